package vm_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// A pool lends memory to programs and counts what is out.
type pool struct{ out int }

func (p *pool) Discard([]byte) { p.out-- }

func (p *pool) helpers() *helpers.Set {
	return helpers.NewSet(map[helpers.ID]*helpers.Func{
		1: {Name: "borrow", Proto: helpers.Proto{Ret: helpers.Ret{Kind: helpers.RetMem, Size: 16}, AcquiresObject: true},
			Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
				p.out++
				return env.Acquire(make([]byte, 16), p)
			}},
		2: {Name: "give_back", Proto: helpers.Proto{
			Args: [5]helpers.Arg{{Kind: helpers.ArgRingBufMem, Release: true}}, Ret: helpers.Ret{Kind: helpers.RetVoid}},
			Impl: func(env helpers.Env, addr, _, _, _, _ uint64) uint64 {
				if _, _, ok := env.Release(addr); ok {
					p.out--
				}
				return 0
			}},
		3: {Name: "panics", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { panic("helper") }},
		4: {Name: "goexits", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
			runtime.Goexit()
			return 0
		}},
		5: {Name: "aborts", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
			env.Abort(errAborted)
			return 0
		}},
	}, nil)
}

var errAborted = errors.New("not in this house")

const borrowTwice = `
call 1
r6 = r0
call 1
r7 = r0
*(u64 *)(r6 +0) = 1
*(u64 *)(r7 +8) = 2
r1 = r6
call 2
r1 = r7
call 2
r0 = 0
exit`

// TestAbortReleases ends a run after each of its instructions, and finds
// nothing borrowed afterwards.
func TestAbortReleases(t *testing.T) {
	var p pool
	typ := *packetType
	typ.Helpers = p.helpers()
	c := load(t, &typ, borrowTwice, unproven)
	r, err := c.Program("p").Do(context.Background(), nil, vm.RunOptions{})
	if err != nil || p.out != 0 {
		t.Fatalf("whole run: %v, %d borrowed", err, p.out)
	}
	for n := int64(1); n < int64(r.Insns); n++ {
		if _, err := c.Program("p").Do(context.Background(), nil, vm.RunOptions{MaxInsns: n}); !errors.Is(err, vm.ErrMaxInsns) || p.out != 0 {
			t.Fatalf("after %d instructions: %v, %d borrowed", n, err, p.out)
		}
	}
}

// TestRingBufAbort does the same with a ring buffer: a reservation that an
// aborted run leaves must not stop the reader.
func TestRingBufAbort(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	c := load(t, packetType, `
r1 = map[0]
r2 = 16
r3 = 0
call 131
if r0 == 0 goto +6
r6 = r0
*(u64 *)(r6 +0) = 7
*(u64 *)(r6 +8) = 8
r1 = r6
r2 = 0
call 132
r0 = 0
exit`, unproven, ring)
	p := c.Program("p")
	r, err := p.Do(context.Background(), nil, vm.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	used := func() uint64 { return c.Map("ring").(maps.RingBuffer).Query(0) }
	for range 100 { // more than the buffer could hold if reservations stayed
		for n := int64(1); n < int64(r.Insns); n++ {
			if _, err := p.Do(context.Background(), nil, vm.RunOptions{MaxInsns: n}); !errors.Is(err, vm.ErrMaxInsns) {
				t.Fatal(err)
			}
		}
		rd, err := maps.NewRingBufReader(c.Map("ring"))
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := rd.Read(done); err != nil {
				break
			}
		}
		rd.Close()
		if n := used(); n != 0 {
			t.Fatalf("%d bytes are left in the buffer", n)
		}
	}
}

// TestPanics: a panic or an exit of the goroutine in a helper leaves nothing
// behind, and the slot serves the next run.
func TestPanics(t *testing.T) {
	var p pool
	typ := *packetType
	typ.Helpers = p.helpers()
	for helper, want := range map[string]any{"3": "helper", "4": nil} {
		c := load(t, &typ, "call 1\ncall "+helper+"\nr0 = 0\nexit", unproven)
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			c.Program("p").Run(nil)
			t.Errorf("helper %s: Run returned", helper)
		}()
		if got := <-done; got != want || p.out != 0 {
			t.Errorf("helper %s: recovered %v, %d borrowed", helper, got, p.out)
		}
		if s := c.Program("p").Stats(); s.Runs != 1 || s.Errors != 1 {
			t.Errorf("helper %s: stats %+v", helper, s)
		}
		if _, err := load(t, &typ, borrowTwice, unproven).Program("p").Run(nil); err != nil {
			t.Errorf("the run after: %v", err)
		}
	}
	c := load(t, &typ, "call 1\ncall 5\nr0 = 0\nexit", unproven)
	var f *vm.Fault
	if _, err := c.Program("p").Run(nil); !errors.Is(err, errAborted) || !errors.As(err, &f) || f.PC != 1 || p.out != 0 {
		t.Errorf("abort: %v, %d borrowed", err, p.out)
	}
}

// TestReleased: what was given back is no longer the program's.
func TestReleased(t *testing.T) {
	var p pool
	typ := *packetType
	typ.Helpers = p.helpers()
	for _, text := range []string{
		"call 1\nr6 = r0\n*(u64 *)(r6 +0) = 1\nr1 = r6\ncall 2\n*(u64 *)(r6 +0) = 1\nr0 = 0\nexit",
		"call 1\nr6 = r0\nr1 = r6\ncall 2\nr1 = r6\ncall 2\nr0 = 0\nexit",
		"call 1\nr1 = r0\nr1 += 8\ncall 2\nr0 = 0\nexit",
	} {
		var f *vm.Fault
		if _, err := load(t, &typ, text, unproven).Program("p").Run(nil); !errors.As(err, &f) || p.out != 0 {
			t.Errorf("%q: %v, %d borrowed", text, err, p.out)
		}
	}
}
