package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// lockedSpec is a map whose values are two words that belong together and, at
// byte 4, the lock that they are changed under.
func lockedSpec(typ maps.Type) *maps.Spec {
	return &maps.Spec{Name: "locked", Type: typ, KeySize: 4, ValueSize: 64, MaxEntries: 4,
		Value:    structOf(64, field(4, "bpf_spin_lock", 4)),
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: make([]byte, 64)}}}
}

// findLocked finds the value of key 0 of map 1 and leaves its address in R6.
const findLocked = `
	*(u32 *)(r10 -4) = 0
	r2 = r10
	r2 += -4
	r1 = map[1]
	call 1
	if r0 == 0 goto out
	r6 = r0
`

const takeLock = "r1 = r6\nr1 += 4\ncall 93\n"
const giveLock = "r1 = r6\nr1 += 4\ncall 94\n"

// addUnderLock adds one to both words under the lock, in a way that loses an
// addition if another is at work at the same time.
const addUnderLock = findLocked + takeLock + `
	r1 = *(u64 *)(r6 +8)
	r2 = *(u64 *)(r6 +56)
	if r1 != r2 goto torn
	r1 += 1
	*(u64 *)(r6 +8) = r1
	*(u64 *)(r6 +56) = r1
	` + giveLock + `
out:
	r0 = 0
	exit
torn:
	` + giveLock + `
	r0 = 1
	exit
`

// TestSpinLock compares values under locks with the kernel's: what programs
// leave, and what updates under the lock and without do to them.
func TestSpinLock(t *testing.T) {
	var cs []construct
	for _, typ := range []maps.Type{maps.Array, maps.Hash} {
		for _, flags := range []maps.UpdateFlags{maps.Any, maps.Exist, maps.Lock, maps.Lock | maps.Exist, maps.Lock | maps.NoExist} {
			cs = append(cs, construct{name: fmt.Sprintf("%v, update %d", typ, flags), maps: []*maps.Spec{lockedSpec(typ)}, runs: 3, text: `
				*(u32 *)(r10 -4) = 0
				r1 = 1
				*(u64 *)(r10 -72) = r1
				r1 = -1
				*(u64 *)(r10 -64) = r1
				*(u64 *)(r10 -56) = r1
				*(u64 *)(r10 -48) = r1
				*(u64 *)(r10 -40) = r1
				*(u64 *)(r10 -32) = r1
				*(u64 *)(r10 -24) = r1
				*(u64 *)(r10 -16) = r1
				r1 = map[1]
				r2 = r10
				r2 += -4
				r3 = r10
				r3 += -72
				r4 = ` + fmt.Sprint(uint64(flags)) + `
				call 2
				*(u64 *)(r9 +0) = r0
				` + addUnderLock})
		}
	}
	checkConstructs(t, cs)
}

// TestSpinLockExcludes has programs in every engine, and Go code, change the
// same value at the same time, each under its lock.
func TestSpinLockExcludes(t *testing.T) {
	for _, typ := range []maps.Type{maps.Array, maps.Hash} {
		spec := lockedSpec(typ)
		shared, err := maps.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer shared.Close()
		const each = 2000
		var wg sync.WaitGroup
		workers := 0
		for _, e := range usable(t) {
			c := construct{text: addUnderLock, maps: []*maps.Spec{spec}}
			coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire, Maps: map[string]maps.Map{"locked": shared}})
			if err != nil {
				t.Fatalf("%s: %v", e, err)
			}
			defer coll.Close()
			for range 2 {
				workers++
				wg.Add(1)
				go func() {
					defer wg.Done()
					for range each {
						if r0, err := coll.Program("p").Run(make([]byte, 64)); r0 != 0 || err != nil {
							t.Errorf("%s: R0 %d, %v", e, r0, err)
							return
						}
					}
				}()
			}
		}
		stop := make(chan struct{})
		var reader sync.WaitGroup
		reader.Add(1)
		go func() { // whoever takes the lock sees the two words equal
			defer reader.Done()
			v := make([]byte, 64)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := maps.LookupLocked(shared, make([]byte, 4), v); err != nil {
					t.Error(err)
					return
				}
				if a, b := binary.NativeEndian.Uint64(v[8:]), binary.NativeEndian.Uint64(v[56:]); a != b {
					t.Errorf("%v: a look under the lock sees %d and %d", typ, a, b)
					return
				}
				runtime.Gosched()
			}
		}()
		wg.Wait()
		close(stop)
		reader.Wait()
		v := make([]byte, 64)
		if err := shared.Lookup(make([]byte, 4), v); err != nil {
			t.Fatal(err)
		}
		if n := binary.NativeEndian.Uint64(v[8:]); n != uint64(workers*each) {
			t.Errorf("%v: %d additions of %d", typ, n, workers*each)
		}
	}
}

// free reports whether the lock of key 0 can be had within a minute.
func free(t *testing.T, m maps.Map) bool {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- maps.LookupLocked(m, make([]byte, 4), make([]byte, 64)) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
		return true
	case <-time.After(time.Minute):
		return false
	}
}

// TestSpinLockAborts ends runs at each instruction while they may hold a lock,
// by the limit, by a panic and by an exit of the goroutine: it is free
// afterwards.
func TestSpinLockAborts(t *testing.T) {
	for _, e := range usable(t) {
		// A loop under the lock, so that every engine looks at its meter there.
		c := construct{maps: []*maps.Spec{lockedSpec(maps.Array)}, text: findLocked + takeLock + `
			r1 = 0
		again:
			*(u64 *)(r6 +8) = r1
			r1 += 1
			if r1 < 40000 goto again
			` + giveLock + "out:\n" + exit0}
		coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		defer coll.Close()
		p, aborted := coll.Program("p"), 0
		for n := int64(1); n < 120100; n += 1 + n/40*int64(n/200) {
			_, err := p.Do(context.Background(), nil, vm.RunOptions{MaxInsns: n})
			if err != nil && !errors.Is(err, vm.ErrMaxInsns) {
				t.Fatalf("%s: after %d instructions: %v", e, n, err)
			}
			if err != nil {
				aborted++
			}
			if !free(t, coll.Map("locked")) {
				t.Fatalf("%s: the lock is held after a run of %d instructions", e, n)
			}
		}
		if aborted == 0 {
			t.Errorf("%s: no run was cut short", e)
		}
	}
}

// TestSpinLockUnproven: what a program without a proof may not do to locks.
func TestSpinLockUnproven(t *testing.T) {
	typ := *packetType
	typ.Helpers = helpers.Base().With(map[helpers.ID]*helpers.Func{
		1000: {Name: "panics", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { panic("helper") }},
	}, nil)
	for name, text := range map[string]string{
		"taken twice":       takeLock + takeLock + "goto out",
		"not a lock":        "r1 = r6\nr1 += 8\ncall 93",
		"other memory":      "r1 = r10\nr1 += -4\ncall 93",
		"given, not taken":  giveLock,
		"another given":     takeLock + "r1 = r6\nr1 += 8\ncall 94",
		"call while held":   takeLock + "call 1000",
		"stored to":         "*(u32 *)(r6 +4) = 1",
		"partly stored to":  "*(u64 *)(r6 +0) = 1",
		"loaded":            "r0 = *(u8 *)(r6 +7)",
		"exchanged":         "r1 = 1\nw1 = xchg32_32(r6 + 4, w1)",
		"copied over":       "r1 = r6\nr2 = 64\nr3 = 0\nr3 = r6\nr2 = r10\nr2 += -4\nr1 = map[0]\nr4 = 0\ncall 2",
		"written by a call": "r1 = r6\nr2 = 16\ncall 16",
	} {
		spec := lockedSpec(maps.Array)
		c := load(t, &typ, onValue(text), unproven, spec)
		if _, err := c.Program("p").Run(nil); !errors.As(err, new(*vm.Fault)) {
			t.Errorf("%s: %v, want a fault", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
		if !free(t, c.Map("locked")) {
			t.Errorf("%s: the lock is held", name)
		}
	}
}

// onValue finds the value of the only map, leaves its address in R6 and goes on
// with text.
func onValue(text string) string {
	return "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto out\nr6 = r0\n" + text + "\nout:\n" + exit0
}

// TestSpinLockWaits: a run that waits for a lock can be cancelled.
func TestSpinLockWaits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	spec := lockedSpec(maps.Array)
	shared, err := maps.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := construct{text: addUnderLock, maps: []*maps.Spec{spec}}
	o := vm.Options{Engine: vm.Checked, Verify: vm.VerifyRequire, Maps: map[string]maps.Map{"locked": shared}}
	coll, err := vm.LoadProgram(c.link(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	go func() { // holds the lock for as long as the observer waits
		held := false
		_, _ = coll.Program("p").Do(context.Background(), nil, vm.RunOptions{Observe: func(_ *vm.Program, pc int, _ *[16]uint64) {
			if pc > 12 && !held {
				held = true
				close(entered)
				<-leave
			}
		}})
	}()
	<-entered
	defer close(leave)
	for _, e := range usable(t) {
		o.Engine = e
		other, err := vm.LoadProgram(c.link(t), o)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := other.Program("p").RunContext(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the deadline", e, err)
		}
	}
}

// TestLockedReplacement: a map whose values have other fields cannot stand for
// one with a lock, nor one with a lock for one without.
func TestLockedReplacement(t *testing.T) {
	spec := lockedSpec(maps.Array)
	for name, value := range map[string]*btf.Type{"none": nil, "elsewhere": structOf(64, field(8, "bpf_spin_lock", 4))} {
		other := *spec
		other.Value = value
		m, err := maps.New(&other)
		if err != nil {
			t.Fatal(err)
		}
		c := construct{text: addUnderLock, maps: []*maps.Spec{spec}}
		if _, err := vm.LoadProgram(c.link(t), vm.Options{Maps: map[string]maps.Map{"locked": m}}); err == nil {
			t.Errorf("%s: taken", name)
		}
		plain := *spec
		plain.Value = nil
		locked, err := maps.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		c = construct{text: findLocked + "out:\n" + exit0, maps: []*maps.Spec{&plain}}
		if _, err := vm.LoadProgram(c.link(t), vm.Options{Maps: map[string]maps.Map{"locked": locked}}); err == nil {
			t.Error("a lock that the program knows nothing of: taken")
		}
	}
	if err := maps.LookupLocked(mustMap(t, &maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}), make([]byte, 4), make([]byte, 8)); !errors.Is(err, errno.EINVAL) {
		t.Errorf("a locked look at a value without a lock: %v", err)
	}
}

func mustMap(t testing.TB, s *maps.Spec) maps.Map {
	t.Helper()
	m, err := maps.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
