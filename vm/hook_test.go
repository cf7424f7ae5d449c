package vm_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// returns is a program that returns n.
func returns(t testing.TB, typ *hook.Type, n int) *vm.Program {
	return load(t, typ, fmt.Sprintf("r0 = %d\nexit", n), vm.Options{}).Program("p")
}

func TestHook(t *testing.T) {
	h := vm.NewHook(packetType, vm.HookOptions{Default: 77})
	run := func(want uint64) {
		t.Helper()
		if got, err := h.Run([]byte{1}); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	run(77)
	attach := func(n, priority int) *vm.Link {
		t.Helper()
		l, err := h.Attach(returns(t, packetType, n), vm.AttachOptions{Priority: priority})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	last := attach(3, 10)
	run(3)
	zero := attach(0, -5)
	run(3) // 0 is not final
	same := attach(4, 10)
	run(3) // attached first, runs first
	first := attach(9, 0)
	run(9)
	if err := zero.Update(returns(t, packetType, 5)); err != nil {
		t.Fatal(err)
	}
	run(5)
	for _, l := range []*vm.Link{zero, first, last} {
		l.Close()
		l.Close()
	}
	run(4)
	if err := last.Update(returns(t, packetType, 5)); !errors.Is(err, vm.ErrDetached) {
		t.Errorf("update of a closed link: %v", err)
	}
	same.Close()
	run(77)

	other := *packetType
	other.Name = "other"
	if _, err := h.Attach(returns(t, &other, 1), vm.AttachOptions{}); err == nil {
		t.Error("a program of another type was attached")
	}
	if _, err := h.Attach(nil, vm.AttachOptions{}); !errors.Is(err, vm.ErrNoProgram) {
		t.Errorf("nil program: %v", err)
	}
	sum := vm.NewHook(packetType, vm.HookOptions{Stop: func(v uint64) bool { return v == 2 }})
	for _, n := range []int{1, 3, 2, 8} {
		if _, err := sum.Attach(returns(t, packetType, n), vm.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := sum.Run(nil); err != nil || got != 2 {
		t.Errorf("host's rule: got %d, %v", got, err)
	}
}

// request is a typed context.
type request struct {
	Body   hook.Bytes
	Method uint32
	Status uint32 `bpf:"rw"`
	Route  [4]uint8
	Admin  bool
	hidden int `bpf:"-"`
}

func TestTyped(t *testing.T) {
	typ := hook.MustDefine[request]("request")
	off := func(name string) int { return int(typ.Ctx.Field(name).Off) }
	c := load(t, typ.Type, fmt.Sprintf(`
r2 = *(u64 *)(r1 +%d)
r3 = *(u64 *)(r1 +%d)
r0 = r2
r0 += 2
if r0 > r3 goto +5
r0 = *(u8 *)(r2 +1)
r4 = *(u32 *)(r1 +%d)
r0 += r4
r4 += 200
*(u32 *)(r1 +%d) = r4
exit`, off("data"), off("data_end"), off("method"), off("status")), vm.Options{})
	h := vm.NewHookOf(typ, vm.HookOptions{})
	if _, err := h.Attach(c.Program("p"), vm.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	r := request{Body: []byte{1, 40}, Method: 2, hidden: 1}
	if got, err := h.Run(&r); err != nil || got != 42 || r.Status != 202 || r.Method != 2 || r.hidden != 1 {
		t.Errorf("got %d, %v, %+v", got, err, r)
	}
	body := []byte{1, 40}
	if n := testing.AllocsPerRun(200, func() {
		r := request{Body: body, Method: 2}
		if _, err := h.Run(&r); err != nil || r.Status != 202 {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
	if _, err := c.Program("p").Run(&r); err == nil {
		t.Error("Run took a struct that it cannot know")
	}
}

// TestConcurrent runs programs on many goroutines while maps change, links are
// swapped and collections are closed. The race detector watches; the counters
// must add up.
func TestConcurrent(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 300
	}
	hits := &maps.Spec{Name: "hits", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	flows := &maps.Spec{Name: "flows", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 64}
	const text = `
r6 = *(u32 *)(r1 +0)
r7 = *(u32 *)(r1 +4)
r0 = r6
r0 += 4
if r0 > r7 goto +16
r2 = map[0][0]+0
r3 = 1
lock *(u64 *)(r2 +0) += r3
r1 = map[1]
r2 = r6
r3 = r10
r3 += -8
*(u64 *)(r10 -8) = 5
r4 = 0
call 2
r1 = map[1]
r2 = r6
call 1
r0 = 2
exit`
	shared, err := maps.New(hits)
	if err != nil {
		t.Fatal(err)
	}
	sharedFlows, err := maps.New(flows)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *vm.Collection {
		return load(t, packetType, text, vm.Options{Maps: map[string]maps.Map{"hits": shared, "flows": sharedFlows}}, hits, flows)
	}
	h := vm.NewHook(packetType, vm.HookOptions{})
	link, err := h.Attach(fresh().Program("p"), vm.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var changes, runs sync.WaitGroup
	background := func(f func(i int)) {
		changes.Add(1)
		go func() {
			defer changes.Done()
			for i := 0; !stop.Load(); i++ {
				f(i)
			}
		}()
	}
	background(func(i int) {
		key := []byte{byte(i), 0, 0, 0}
		sharedFlows.Update(key, make([]byte, 8), maps.Any)
		sharedFlows.Delete(key)
		sharedFlows.Lookup(key, make([]byte, 8))
	})
	background(func(i int) {
		c := fresh()
		if err := link.Update(c.Program("p")); err != nil {
			t.Error(err)
		}
		l, err := h.Attach(c.Program("p"), vm.AttachOptions{Priority: 1})
		if err != nil {
			t.Error(err)
		}
		l.Close()
	})
	background(func(i int) { // a collection is closed under its runs
		c := fresh()
		var inner sync.WaitGroup
		inner.Add(1)
		go func() {
			defer inner.Done()
			for {
				if _, err := c.Program("p").Run(nil); err != nil {
					if !errors.Is(err, vm.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		}()
		c.Close()
		inner.Wait()
	})
	for g := range 6 {
		runs.Add(1)
		go func() {
			defer runs.Done()
			pkt := make([]byte, 64)
			for i := range n {
				pkt[0], pkt[1] = byte(i), byte(g)
				if v, err := h.Run(pkt); err != nil || v != 2 {
					t.Errorf("got %d, %v", v, err)
					return
				}
			}
		}()
	}
	runs.Wait()
	stop.Store(true)
	changes.Wait()
	v := make([]byte, 8)
	if err := shared.Lookup(make([]byte, 4), v); err != nil {
		t.Fatal(err)
	}
	if got := int(v[0]) | int(v[1])<<8 | int(v[2])<<16; got != 6*n {
		t.Errorf("counted %d runs of %d", got, 6*n)
	}
}

// TestNested has a helper run another program.
func TestNested(t *testing.T) {
	inner := returns(t, packetType, 40)
	typ := *packetType
	typ.Helpers = helpers.NewSet(map[helpers.ID]*helpers.Func{
		1: {Name: "run", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
			r0, err := inner.Run(env.Packet().Data())
			if err != nil {
				env.Abort(err)
			}
			return r0
		}},
	}, nil)
	c := load(t, &typ, "r6 = 2\n*(u64 *)(r10 -8) = 1\ncall 1\nr0 += r6\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit", vm.Options{})
	if r0, err := c.Program("p").Run([]byte{1}); err != nil || r0 != 43 {
		t.Errorf("got %d, %v", r0, err)
	}
}
