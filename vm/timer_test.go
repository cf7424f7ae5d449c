package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// timedSpec is a map whose values have a timer at byte 16.
func timedSpec(typ maps.Type) *maps.Spec {
	return &maps.Spec{Name: "timed", Type: typ, KeySize: 4, ValueSize: 64, MaxEntries: 4,
		Value:    structOf(64, field(16, "bpf_timer", 16)),
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: make([]byte, 64)}}}
}

// onTimer finds the value of key 0 of map 1, whose address is then in R6.
const onTimer = `
	*(u32 *)(r10 -4) = 0
	r2 = r10
	r2 += -4
	r1 = map[1]
	call 1
	if r0 == 0 goto out
	r6 = r0
`

func initTimer(clock int) string {
	return fmt.Sprintf("r1 = r6\nr1 += 16\nr2 = map[1]\nr3 = %d\ncall 169\n", clock)
}

const setCallback = "r1 = r6\nr1 += 16\nr2 = subprog[late]\ncall 170\n"

func startTimer(ns, flags int) string {
	return fmt.Sprintf("r1 = r6\nr1 += 16\nr2 = %d\nr3 = %d\ncall 171\n", ns, flags)
}

const cancelTimer = "r1 = r6\nr1 += 16\ncall 172\n"

// late is a callback that counts its calls in results at 200, and leaves the key
// plus 1 at 208 and what the value has at byte 8 at 216.
const late = `
out:
	r0 = 0
	exit
late:
	r9 = map[0][0]+0
	r1 = *(u64 *)(r9 +200)
	r1 += 1
	*(u64 *)(r9 +200) = r1
	r1 = *(u32 *)(r2 +0)
	r1 += 1
	*(u64 *)(r9 +208) = r1
	r1 = *(u64 *)(r3 +8)
	*(u64 *)(r9 +216) = r1
	r0 = 0
	exit
`

// TestTimerErrors compares what the helpers on timers return, in and out of
// order, with the kernel's. Nothing fires.
func TestTimerErrors(t *testing.T) {
	var cs []construct
	for _, typ := range []maps.Type{maps.Array, maps.Hash, maps.LRUHash} {
		for clock := range 18 {
			cs = append(cs, construct{name: fmt.Sprintf("%v, clock %d", typ, clock), maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + initTimer(clock) + keep(0) + cancelTimer + keep(8) + "out:\n" + exit0})
		}
		far := "r1 = r6\nr1 += 16\nr2 = 3600000000000 ll\nr3 = 0\ncall 171\n"
		cs = append(cs,
			construct{name: fmt.Sprintf("%v, before init", typ), maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + setCallback + keep(0) + far + keep(8) + cancelTimer + keep(16) + late},
			construct{name: fmt.Sprintf("%v, twice", typ), maps: []*maps.Spec{timedSpec(typ)}, runs: 2, text: onTimer + initTimer(1) + keep(0) + initTimer(1) + keep(8) + "out:\n" + exit0},
			construct{name: fmt.Sprintf("%v, without a callback", typ), maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + initTimer(1) + startTimer(1000, 0) + keep(0) + cancelTimer + keep(8) + "out:\n" + exit0},
			construct{name: fmt.Sprintf("%v, started and cancelled", typ), maps: []*maps.Spec{timedSpec(typ)}, runs: 2, text: onTimer + initTimer(1) + setCallback + keep(0) + far + keep(8) + cancelTimer + keep(16) + cancelTimer + keep(24) +
				far + keep(32) + setCallback + keep(40) + far + keep(48) + cancelTimer + keep(56) + late},
			construct{name: fmt.Sprintf("%v, overwritten", typ), maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + initTimer(1) + setCallback + far + keep(0) + `
				*(u64 *)(r10 -72) = 0
				*(u64 *)(r10 -64) = 0
				*(u64 *)(r10 -56) = 0
				*(u64 *)(r10 -48) = 0
				*(u64 *)(r10 -40) = 0
				*(u64 *)(r10 -32) = 0
				*(u64 *)(r10 -24) = 0
				*(u64 *)(r10 -16) = 0
				r1 = map[1]
				r2 = r10
				r2 += -4
				r3 = r10
				r3 += -72
				r4 = 0
				call 2
				` + keep(8) + `
				r1 = map[1]
				r2 = r10
				r2 += -4
				call 1
				if r0 == 0 goto out
				r6 = r0
				` + cancelTimer + keep(16) + initTimer(1) + keep(24) + late},
		)
		for _, flags := range []int{1, 2, 3, 4, 8, -1} {
			cs = append(cs, construct{name: fmt.Sprintf("%v, start with flags %d", typ, flags), maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + initTimer(1) + setCallback +
				strings.Replace(far, "r3 = 0", fmt.Sprintf("r3 = %d", flags), 1) + keep(0) + strings.Replace("r1 = r6\nr1 += 16\nr2 = 9000000000000000000 ll\nr3 = 0\ncall 171\n", "r3 = 0", fmt.Sprintf("r3 = %d", flags), 1) + keep(8) + cancelTimer + keep(16) + late})
		}
	}
	checkConstructs(t, cs)
}

// TestTimerFires has a timer fire in the kernel and here, and compares what its
// callback finds.
func TestTimerFires(t *testing.T) {
	for _, typ := range []maps.Type{maps.Array, maps.Hash} {
		c := construct{maps: []*maps.Spec{timedSpec(typ)}, text: onTimer + "r1 = 77\n*(u64 *)(r6 +8) = r1\n" + initTimer(1) + keep(0) + setCallback + keep(8) + startTimer(1000000, 0) + keep(16) + late}
		p := c.link(t)
		var want []byte
		if oracle.Available() == nil {
			k := c.kernel(t, p)
			defer k.close()
			if _, err := k.prog.Run(oracle.RunInput{Data: make([]byte, 64)}); err != nil {
				t.Fatal(err)
			}
			want = fired(t, 216, func() []byte { return k.entries(t, p.Maps[:1]) })
		}
		for _, e := range usable(t) {
			coll, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire})
			if err != nil {
				t.Fatal(err)
			}
			defer coll.Close()
			if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			got := fired(t, 216, func() []byte { return entries(t, p.Maps[:1], coll.Map) })
			if want == nil {
				want = got
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("%v, %s: results differ at byte %d:\n%x\n%x", typ, e, i, got, want)
			}
		}
	}
}

// fired waits until a callback has left a number at offset last, which is what
// it does last.
func fired(t *testing.T, last int, look func() []byte) []byte {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if b := look(); binary.NativeEndian.Uint64(b[last:]) > 0 {
			return b
		}
	}
	t.Fatal("no timer has fired in a minute")
	return nil
}

// calls returns what late has counted.
func calls(t *testing.T, c *vm.Collection) int {
	t.Helper()
	v := make([]byte, 256)
	if err := c.Map("results").Lookup(make([]byte, 4), v); err != nil {
		t.Fatal(err)
	}
	return int(binary.NativeEndian.Uint64(v[200:]))
}

// TestTimerClock moves a clock by hand: timers fire at their times, absolute and
// relative, start themselves again, and not after their values have gone.
func TestTimerClock(t *testing.T) {
	again := strings.Replace(late, "r0 = 0\n	exit\n", "r0 = 0\n	exit\n", 1)
	again = strings.TrimSuffix(strings.TrimSpace(again), "r0 = 0\n	exit") + `
		r6 = r3
		r1 = r6
		r1 += 16
		r2 = 1000
		r3 = 2
		call 171
		r0 = 0
		exit`
	for _, e := range usable(t) {
		begin := func(text string, typ maps.Type) (*vm.ManualClock, *vm.Collection) {
			t.Helper()
			clock := &vm.ManualClock{}
			c := construct{maps: []*maps.Spec{timedSpec(typ)}, text: text}
			coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire, Host: clock.Host(helpers.Host{}),
				CallbackError: func(_ *vm.Program, err error) { t.Errorf("%s: %v", e, err) }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { coll.Close() })
			clock.Advance(time.Second)
			if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			return clock, coll
		}
		at := func(what string, clock *vm.ManualClock, coll *vm.Collection, d time.Duration, want int) {
			t.Helper()
			clock.Advance(d)
			if n := calls(t, coll); n != want {
				t.Errorf("%s, %s: %d calls, want %d", e, what, n, want)
			}
		}
		for _, typ := range []maps.Type{maps.Array, maps.Hash, maps.LRUHash} {
			set := onTimer + initTimer(1) + setCallback
			clock, coll := begin(set+startTimer(5000, 0)+late, typ)
			at("early", clock, coll, 4999, 0)
			at("in time", clock, coll, 1, 1)
			at("once", clock, coll, time.Hour, 1)

			clock, coll = begin(set+startTimer(1000005000, 1)+late, typ)
			at("absolute, early", clock, coll, 4999, 0)
			at("absolute, in time", clock, coll, 1, 1)

			clock, coll = begin(set+startTimer(500, 1)+late, typ)
			at("absolute, past", clock, coll, 1, 1)

			clock, coll = begin(set+startTimer(5000, 0)+startTimer(9000, 0)+late, typ)
			at("started twice, early", clock, coll, 8999, 0)
			at("started twice", clock, coll, time.Hour, 1)

			clock, coll = begin(set+startTimer(1000, 0)+again, typ)
			at("again", clock, coll, 10500, 10)
			if err := coll.Map("timed").Update(make([]byte, 4), make([]byte, 64), maps.Any); err != nil {
				t.Fatal(err)
			}
			at("overwritten", clock, coll, time.Second, 10)

			clock, coll = begin(set+startTimer(1000, 0)+late, typ)
			if err := coll.Map("timed").Delete(make([]byte, 4)); (err == nil) == (typ == maps.Array) {
				t.Fatal(err)
			}
			want := 0
			if typ == maps.Array {
				want = 1
			}
			at("deleted", clock, coll, time.Second, want)

			clock, coll = begin(set+startTimer(1000, 0)+late, typ)
			results := coll.Map("results")
			coll.Close()
			if n := clock.Advance(time.Second); n != 0 || results == nil {
				t.Errorf("%s: %d timers of a closed collection fire", e, n)
			}
		}
	}
}

// TestTimerSharedMap: a timer whose callback's collection is closed fires no
// more, though its map lives on; one whose map is closed neither.
func TestTimerSharedMap(t *testing.T) {
	spec := timedSpec(maps.Array)
	for _, closeMap := range []bool{false, true} {
		shared := mustMap(t, spec)
		clock := &vm.ManualClock{}
		c := construct{maps: []*maps.Spec{spec}, text: onTimer + initTimer(1) + keep(0) + setCallback + keep(8) + startTimer(1000, 0) + keep(16) + late}
		o := vm.Options{Maps: map[string]maps.Map{"timed": shared}, Host: clock.Host(helpers.Host{}), Verify: vm.VerifyRequire}
		coll, err := vm.LoadProgram(c.link(t), o)
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		if closeMap {
			shared.Close()
		} else {
			coll.Close()
		}
		if n := clock.Advance(time.Second); n != 0 {
			t.Errorf("map closed %v: %d timers fire", closeMap, n)
		}
		if !closeMap { // the timer is there, and another collection's callback can be its
			second, err := vm.LoadProgram(c.link(t), o)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			if _, err := second.Program("p").Run(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
			clock.Advance(time.Second)
			v := make([]byte, 256)
			if err := second.Map("results").Lookup(make([]byte, 4), v); err != nil {
				t.Fatal(err)
			}
			if int64(binary.NativeEndian.Uint64(v)) != -int64(errno.EBUSY) || calls(t, second) != 1 {
				t.Errorf("init again: %d, want EBUSY; %d calls, want 1", int64(binary.NativeEndian.Uint64(v)), calls(t, second))
			}
			continue
		}
		if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		v := make([]byte, 256)
		if err := coll.Map("results").Lookup(make([]byte, 4), v); err != nil {
			t.Fatal(err)
		}
		if int64(binary.NativeEndian.Uint64(v)) != -int64(errno.EPERM) {
			t.Errorf("init in a closed map: %d, want EPERM", int64(binary.NativeEndian.Uint64(v)))
		}
	}
}

// cancelInside is a callback that cancels its own timer and leaves what that
// returns in results at 200.
const cancelInside = `
out:
	r0 = 0
	exit
late:
	r9 = map[0][0]+0
	r1 = r3
	r1 += 16
	call 172
	r0 += 1000
	*(u64 *)(r9 +200) = r0
	r0 = 0
	exit
`

// TestTimerCancelsItself: EDEADLK, in the kernel and here.
func TestTimerCancelsItself(t *testing.T) {
	c := construct{maps: []*maps.Spec{timedSpec(maps.Array)}, text: onTimer + initTimer(1) + setCallback + startTimer(1000, 0) + cancelInside}
	p := c.link(t)
	const want = 1000 - 35
	if oracle.Available() == nil {
		k := c.kernel(t, p)
		defer k.close()
		if _, err := k.prog.Run(oracle.RunInput{Data: make([]byte, 64)}); err != nil {
			t.Fatal(err)
		}
		if n := binary.NativeEndian.Uint64(fired(t, 200, func() []byte { return k.entries(t, p.Maps[:1]) })[200:]); n != want {
			t.Errorf("the kernel: %d", int64(n)-1000)
		}
	}
	for _, e := range usable(t) {
		clock := &vm.ManualClock{}
		coll, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire, Host: clock.Host(helpers.Host{})})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		if n := calls(t, coll); n != want {
			t.Errorf("%s: %d, want -35", e, n-1000)
		}
	}
}

// TestTimerMetered: a callback's run is cut short by the limit, and its error,
// or a helper's panic, reported; nothing stays behind.
func TestTimerMetered(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, e := range usable(t) {
		var reported atomic.Int64
		var last atomic.Value
		clock := &vm.ManualClock{}
		c := construct{maps: []*maps.Spec{timedSpec(maps.Array)}, text: onTimer + initTimer(1) + setCallback + startTimer(1000, 0) + `
		out:
			r0 = 0
			exit
		late:
			r1 = 0
		again:
			r1 += 1
			*(u64 *)(r3 +8) = r1
			if r1 < 100000 goto again
			r0 = 0
			exit`}
		coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire, MaxInsns: 50000, Host: clock.Host(helpers.Host{}),
			CallbackError: func(_ *vm.Program, err error) { reported.Add(1); last.Store(err) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		if err, _ := last.Load().(error); reported.Load() != 1 || !errors.Is(err, vm.ErrMaxInsns) {
			t.Errorf("%s: %d reports, %v; want the limit", e, reported.Load(), err)
		}
		if s := coll.Program("p").Stats(); s.Runs != 2 || s.Errors != 1 {
			t.Errorf("%s: stats %+v", e, s)
		}
		coll.Close()
	}
	// Real clocks, and collections that are closed while their timers are armed
	// or at work.
	c := construct{maps: []*maps.Spec{timedSpec(maps.Hash)}, text: onTimer + initTimer(1) + setCallback + startTimer(1000, 2) + strings.Replace(late, "call 171", "call 171", 1)}
	p := c.link(t)
	for range 50 {
		coll, err := vm.LoadProgram(p, vm.Options{Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := coll.Program("p").RunContext(context.Background(), make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		coll.Close()
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
