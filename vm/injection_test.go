package vm_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// faultPrograms hold what a run that is cut short has to give back, and use
// every kind of map on the way. All return 0, and work whatever a helper says.
// Map 0 is a ring buffer, 1 an array and 2 a hash with locks at byte 4 of the
// values, 3 a queue, 4 a trie, 5 an array of maps, 6 an LRU hash, 7 takes perf
// events, 8 is a per-CPU hash, and 9 a user ring buffer with a record.
var faultPrograms = map[string]string{
	"reservations": `
		r1 = map[0]
		r2 = 16
		r3 = 0
		call 131
		if r0 == 0 goto out
		r6 = r0
		*(u64 *)(r6 +0) = 1
		r1 = map[0]
		r2 = 24
		r3 = 0
		call 131
		r7 = r0
		if r7 == 0 goto first
		*(u64 *)(r7 +16) = 2
		*(u32 *)(r10 -4) = 3
		r1 = map[0]
		r2 = r10
		r2 += -4
		r3 = 4
		r4 = 0
		call 130
		r1 = r7
		r2 = 0
		call 133
	first:
		*(u64 *)(r6 +8) = 3
		r1 = r6
		r2 = 0
		call 132
	out:
		r0 = 0
		exit`,
	"locks": findIn(1) + "r6 = r0\n" + takeLock + "*(u64 *)(r6 +8) = 1\n*(u64 *)(r6 +16) = 1\n" + giveLock +
		findIn(2) + "r6 = r0\n" + takeLock + "*(u64 *)(r6 +8) = 1\n*(u64 *)(r6 +16) = 1\n" + giveLock + `
	out:
		r0 = 0
		exit`,
	"references": `
		call 1001
		r6 = r0
		call 1001
		r7 = r0
		*(u64 *)(r6 +0) = 1
		*(u64 *)(r7 +8) = 2
		r1 = r6
		call 1002
		call 1001
		r6 = r0
		r1 = r7
		call 1002
		r1 = r6
		call 1002
		r0 = 0
		exit`,
	"callback": `
		r1 = 3
		r2 = subprog[each]
		r3 = 0
		r4 = 0
		call 181
		r0 = 0
		exit
	each:
		r1 = map[0]
		r2 = 8
		r3 = 0
		call 131
		if r0 == 0 goto out
		r6 = r0
		*(u64 *)(r6 +0) = 1
		call 5
		r1 = r6
		r2 = 1
		call 132
	out:
		r0 = 0
		exit`,
	"maps": `
		r6 = r1
		*(u64 *)(r10 -8) = 32
		*(u64 *)(r10 -16) = 5
		*(u64 *)(r10 -24) = 0
		*(u64 *)(r10 -32) = 0
		*(u64 *)(r10 -40) = 0
		r1 = map[3]
		r2 = r10
		r2 += -16
		r3 = 2
		call 87
		r1 = map[3]
		r2 = r10
		r2 += -24
		call 89
		r1 = map[3]
		r2 = r10
		r2 += -24
		call 88
		r1 = map[4]
		r2 = r10
		r2 += -8
		r3 = r10
		r3 += -16
		r4 = 0
		call 2
		r1 = map[4]
		r2 = r10
		r2 += -8
		call 1
		r1 = map[4]
		r2 = r10
		r2 += -8
		call 3
		r1 = map[6]
		r2 = r10
		r2 += -8
		r3 = r10
		r3 += -16
		r4 = 0
		call 2
		r1 = map[6]
		r2 = r10
		r2 += -8
		call 3
		*(u32 *)(r10 -28) = 0
		r1 = map[5]
		r2 = r10
		r2 += -28
		call 1
		if r0 == 0 goto out
		r1 = r0
		r2 = r10
		r2 += -28
		call 1
		if r0 == 0 goto out
		r1 = 1
		lock *(u64 *)(r0 +0) += r1
		r1 = r6
		r2 = map[7]
		r3 = 0xffffffff ll
		r4 = r10
		r4 += -16
		r5 = 8
		call 25
	out:
		r0 = 0
		exit`,
}

func init() {
	// put puts an entry in a map, each calls a function for all of its entries.
	put := func(m int) string {
		return fmt.Sprintf("*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -16) = 1\nr1 = map[%d]\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -16\nr4 = 0\ncall 2\n", m)
	}
	each := func(m int, body string) string {
		return fmt.Sprintf("r1 = map[%d]\nr2 = subprog[%s]\nr3 = 0\nr4 = 0\ncall 164\n", m, body)
	}
	// record keeps a reservation over a call, in a callback, and ends it.
	const record = "r1 = map[0]\nr2 = 8\nr3 = 0\ncall 131\nif r0 == 0 goto %[1]s\nr6 = r0\n*(u64 *)(r6 +0) = 1\ncall 5\nr1 = r6\nr2 = 1\ncall 132\n%[1]s:\nr0 = 0\nexit\n"
	faultPrograms["elements"] = put(6) + put(8) + each(1, "locked") + each(2, "locked") + each(6, "plain") + each(8, "plain") + "r0 = 0\nexit\n" +
		"locked:\nr6 = r3\n" + takeLock + "*(u64 *)(r6 +8) = 1\n*(u64 *)(r6 +16) = 1\n" + giveLock + fmt.Sprintf(record, "a") +
		"plain:\nr1 = 1\nlock *(u64 *)(r3 +0) += r1\n" + fmt.Sprintf(record, "b")
	faultPrograms["records"] = "r1 = map[9]\nr2 = subprog[taken]\nr3 = 0\nr4 = 0\ncall 209\nr0 = 0\nexit\ntaken:\n" + fmt.Sprintf(record, "c")
}

// findIn finds the value of key 0 of a map.
func findIn(n int) string {
	return fmt.Sprintf(`
		*(u32 *)(r10 -4) = 0
		r1 = map[%d]
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto out
		`, n)
}

// inlined are helpers that engines may carry out without a call.
var inlined = map[string]bool{
	"map_lookup_elem": true, "map_update_elem": true, "map_delete_elem": true, "loop": true, "spin_lock": true, "spin_unlock": true,
	"ringbuf_reserve": true, "ringbuf_submit": true, "ringbuf_discard": true,
}

// A faultRun is a program with its maps, and what goes wrong in it.
type faultRun struct {
	t    *testing.T
	name string
	c    *vm.Collection
	pool pool
	user *maps.UserRingBufProducer

	calls  int // of helpers, in the run that goes on
	at     int // the one that something happens to; -1: none
	before func(env helpers.Env) (r0 uint64, done bool)
	after  func(env helpers.Env)
	hit    *helpers.Func // what it was
	out    int           // runs that were cut short
}

// newFaultRun loads a program. If inline is set, what machine code does by itself
// is left to it, and only other helpers fail.
func newFaultRun(t *testing.T, name string, e vm.Engine, inline bool) *faultRun {
	f := &faultRun{t: t, name: name, at: -1}
	typ := *linux.XDP
	own := map[helpers.ID]*helpers.Func{}
	borrowed := f.pool.helpers()
	all := map[helpers.ID]*helpers.Func{1001: borrowed.Helper(1), 1002: borrowed.Helper(2)}
	for _, id := range typ.Helpers.IDs() {
		all[id] = typ.Helpers.Helper(id)
	}
	for id, h := range all {
		if h.Impl == nil || inline && inlined[h.Name] {
			continue
		}
		wrapped := *h
		wrapped.Proto.Ret.RingBuf = h.Proto.Ret.Kind == helpers.RetMem // what the verifier lets 1002 take
		wrapped.Impl = func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
			n := f.calls
			f.calls++
			if n != f.at {
				return h.Impl(env, a1, a2, a3, a4, a5)
			}
			f.hit = h
			if f.before != nil {
				if r0, done := f.before(env); done {
					return r0
				}
			}
			r0 := h.Impl(env, a1, a2, a3, a4, a5)
			if f.after != nil {
				f.after(env)
			}
			return r0
		}
		own[id] = &wrapped
	}
	inner := &maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	array, hash := lockedSpec(maps.Array), lockedSpec(maps.Hash)
	hash.Name = "hash"
	f.c = load(t, &typ, faultPrograms[name], vm.Options{Engine: e, Helpers: own},
		&maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}, array, hash,
		&maps.Spec{Name: "queue", Type: maps.Queue, ValueSize: 8, MaxEntries: 4},
		&maps.Spec{Name: "trie", Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4, Flags: maps.NoPrealloc},
		&maps.Spec{Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: inner},
		&maps.Spec{Name: "lru", Type: maps.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 4},
		&maps.Spec{Name: "events", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(maps.NumCPU())},
		&maps.Spec{Name: "percpu", Type: maps.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 4},
		&maps.Spec{Name: "user", Type: maps.UserRingBuf, MaxEntries: 4096})
	in, err := maps.New(inner)
	if err != nil {
		t.Fatal(err)
	}
	if f.user, err = maps.NewUserRingBufProducer(f.c.Map("user")); err != nil {
		t.Fatal(err)
	}
	if err := f.c.Map("outer").(maps.MapHolder).StoreMap(make([]byte, 4), in, maps.Any); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs the program once, in a goroutine of its own, and returns how it
// ended: with an error, a panic's value, or the end of the goroutine.
func (f *faultRun) run(ctx context.Context, o vm.RunOptions) (err error) {
	f.t.Helper()
	f.calls, f.hit = 0, nil
	if f.name == "records" {
		if _, err := f.user.Write(make([]byte, 8)); err != nil {
			f.t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if v := recover(); v != nil {
				ended <- fmt.Errorf("panic: %v", v)
			} else if !returned {
				ended <- errGoexit
			}
		}()
		r, err := f.c.Program("p").Do(ctx, make([]byte, 64), o)
		if err == nil && r.R0 != 0 {
			err = fmt.Errorf("returned %d", r.R0)
		}
		returned = true
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-time.After(time.Minute):
		f.t.Fatalf("%s: the run does not end", f.name)
	}
	if err != nil {
		f.out++
	}
	return err
}

var errGoexit = errors.New("the goroutine ended")

// check finds nothing borrowed, no record open, no lock held, and the next run
// undisturbed.
func (f *faultRun) check(what string) {
	f.t.Helper()
	if f.pool.out != 0 {
		f.t.Fatalf("%s: %s: %d references are left", f.name, what, f.pool.out)
	}
	r, err := maps.NewRingBufReader(f.c.Map("ring"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		_, err = r.Read(ended)
	}
	if n := f.c.Map("ring").(maps.RingBuffer).Query(maps.RingBufAvailData); n != 0 {
		f.t.Fatalf("%s: %s: the reader waits behind %d bytes", f.name, what, n)
	}
	if _, err := f.c.Map("user").(maps.UserRingBuffer).Drain(0, func([]byte) bool { return true }); err != nil {
		f.t.Fatalf("%s: %s: the user's ring: %v", f.name, what, err)
	}
	for _, name := range []string{"locked", "hash"} {
		// One that waits for ever fails by the time limit of run, below.
		var value [64]byte
		done := make(chan error, 1)
		go func() { done <- maps.LookupLocked(f.c.Map(name), make([]byte, 4), value[:]) }()
		select {
		case err := <-done:
			if err != nil {
				f.t.Fatalf("%s: %s: map %s: %v", f.name, what, name, err)
			}
		case <-time.After(time.Minute):
			f.t.Fatalf("%s: %s: a lock in map %s is held", f.name, what, name)
		}
	}
	f.at = -1
	if err := f.run(context.Background(), vm.RunOptions{}); err != nil {
		f.t.Fatalf("%s: %s: the next run: %v", f.name, what, err)
	}
}

// ended is a context that is done.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// faultEngines are those that run what is proven, and the reference.
var faultEngines = []vm.Engine{vm.Checked, vm.Interp, vm.Auto}

// forFaults calls test for every program in every engine, and finds no memory
// and no goroutine left behind.
func forFaults(t *testing.T, engines []vm.Engine, test func(f *faultRun) (faults int)) {
	for i, e := range slices.Repeat(engines, 2) {
		name, inline := string(e), i >= len(engines)
		if e == vm.Auto {
			name = "auto"
		}
		if inline {
			name += ", inline"
		}
		t.Run(name, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			faults, cut := 0, 0
			for name := range faultPrograms {
				f := newFaultRun(t, name, e, inline)
				if err := f.run(context.Background(), vm.RunOptions{}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				faults += test(f)
				cut += f.out
				f.checkMemory()
			}
			for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
				}
			}
			t.Logf("%d faults, %d runs cut short", faults, cut)
			if faults == 0 {
				t.Error("nothing went wrong")
			}
		})
	}
}

// checkMemory finds that deleted values can be used again: no run that was cut
// short is still taken for one that could hold them.
func (f *faultRun) checkMemory() {
	f.t.Helper()
	m := f.c.Map("lru")
	churn := func() int64 {
		for i := range 3000 {
			key := make([]byte, 8)
			key[0], key[1] = byte(i), byte(i>>8)
			if err := m.Update(key, make([]byte, 8), maps.Any); err != nil {
				f.t.Fatal(err)
			}
		}
		return m.(maps.Sizer).Bytes()
	}
	if first, last := churn(), churn(); last > first || first > 64<<10 {
		f.t.Errorf("%s: a map of 4 entries takes %d bytes, then %d: nothing is used again", f.name, first, last)
	}
}

// TestInjectedErrors has each call of a helper fail with each error that a host may
// choose.
func TestInjectedErrors(t *testing.T) {
	errnos := []errno.Errno{errno.ENOTSUPP}
	for e := errno.Errno(1); e < 134; e++ {
		if !testing.Short() || e%16 == 1 {
			errnos = append(errnos, e)
		}
	}
	forFaults(t, faultEngines, func(f *faultRun) (faults int) {
		calls := f.calls
		for n := range calls {
			for _, e := range errnos {
				f.at, f.after = n, nil
				failed := false
				f.before = func(helpers.Env) (uint64, bool) {
					r0, ok := refusal(&f.hit.Proto, e)
					failed = ok
					return r0, ok
				}
				err := f.run(context.Background(), vm.RunOptions{})
				if err != nil {
					t.Fatalf("%s: call %d fails with %v: %v", f.name, n, e, err)
				}
				if !failed {
					break // it cannot fail
				}
				faults++
				f.check(fmt.Sprintf("call %d fails with %v", n, e))
				if f.hit == nil && f.calls == 0 {
					break
				}
			}
		}
		return faults
	})
}

// refusal returns what a helper with the given contract returns to say e; ok is
// false if its contract has no way to.
func refusal(p *helpers.Proto, e errno.Errno) (r0 uint64, ok bool) {
	for _, a := range p.Args {
		if a.Release {
			return 0, false
		}
	}
	switch r := p.Ret; {
	case r.Kind == helpers.RetInteger && (r.Min == 0 && r.Max == 0 || r.Min <= -int64(e)):
		return uint64(-int64(e)), p.Control == helpers.Plain
	case r.Kind == helpers.RetMapValue || r.Kind == helpers.RetMem || r.Kind == helpers.RetObject:
		return 0, r.Nullable
	}
	return 0, false
}

// TestInjectedInHelpers ends a run in each call of a helper, before or after it did
// its work: by an abort, a panic, the end of the goroutine, or the end of the
// run's context.
func TestInjectedInHelpers(t *testing.T) {
	forFaults(t, faultEngines, func(f *faultRun) (faults int) {
		calls := f.calls
		for n := range calls {
			for what, act := range map[string]func(helpers.Env){
				"abort":  func(env helpers.Env) { env.Abort(errAborted) },
				"panic":  func(helpers.Env) { panic("in a helper") },
				"goexit": func(helpers.Env) { runtime.Goexit() },
			} {
				for _, late := range []bool{false, true} {
					f.at, f.before, f.after = n, nil, nil
					if late {
						f.after = act
					} else {
						f.before = func(env helpers.Env) (uint64, bool) { act(env); return 0, false }
					}
					if err := f.run(context.Background(), vm.RunOptions{}); err == nil {
						t.Fatalf("%s: %s in call %d: the run went on", f.name, what, n)
					}
					faults++
					f.check(fmt.Sprintf("%s in call %d, late %v", what, n, late))
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			f.at, f.before, f.after = n, nil, func(helpers.Env) { cancel() }
			if err := f.run(ctx, vm.RunOptions{}); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: cancelled in call %d: %v", f.name, n, err)
			}
			faults++
			f.check(fmt.Sprintf("cancelled in call %d", n))
		}
		return faults
	})
}

// TestInjectedAtInstructions ends a run before each instruction, in the reference:
// by the limit of instructions, a panic, the end of the goroutine, the end of the
// context, and by registers that hold nonsense from then on.
func TestInjectedAtInstructions(t *testing.T) {
	forFaults(t, []vm.Engine{vm.Checked}, func(f *faultRun) (faults int) {
		r, err := f.c.Program("p").Do(context.Background(), make([]byte, 64), vm.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range int(r.Insns) {
			for what, act := range map[string]func(cancel func(), regs *[16]uint64){
				"panic":  func(func(), *[16]uint64) { panic("at an instruction") },
				"goexit": func(func(), *[16]uint64) { runtime.Goexit() },
				"cancel": func(cancel func(), _ *[16]uint64) { cancel() },
				"nonsense": func(_ func(), regs *[16]uint64) {
					for i := range 10 {
						regs[i] = 0x7ff0_0000_0000_0001
					}
				},
				"meter": nil,
			} {
				ctx, cancel := context.WithCancel(context.Background())
				at := 0
				o := vm.RunOptions{Observe: func(_ *vm.Program, _ int, regs *[16]uint64) {
					if at++; at == n+1 && act != nil {
						act(cancel, regs)
					}
				}}
				if act == nil {
					o.MaxInsns = int64(max(n, 1))
				}
				f.run(ctx, o) // however it ends
				cancel()
				faults++
				f.check(fmt.Sprintf("%s at instruction %d", what, n))
			}
		}
		return faults
	})
}

// TestInjectedMeter ends a run at every number of instructions that an engine may
// stop at: those that count at the heads of loops, too.
func TestInjectedMeter(t *testing.T) {
	forFaults(t, faultEngines, func(f *faultRun) (faults int) {
		for n := int64(1); n < 200; n++ {
			f.run(context.Background(), vm.RunOptions{MaxInsns: n})
			faults++
			f.check(fmt.Sprintf("after %d instructions", n))
		}
		return faults
	})
}
