package vm

import (
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestTailIsNative: a tail call whose target has machine code does not leave it.
func TestTailIsNative(t *testing.T) {
	insns, err := prog.Assemble("r6 = map[1][0]+0\nr7 = *(u64 *)(r6 +0)\nr7 += 1\n*(u64 *)(r6 +0) = r7\nif r7 == 20 goto +4\nr2 = map[0]\nr3 = 1\ncall 12\nr0 = r7\nexit")
	if err != nil {
		t.Fatal(err)
	}
	typ := &hook.Type{Name: "test", Input: hook.InputPacket, Return: hook.AnyReturn, Helpers: helpers.Base(), Ctx: hook.NewCtx("ctx", 4,
		hook.Field{Name: "ro", Size: 4, Read: 4})}
	p, err := prog.FromInsns("p", typ, insns, []*maps.Spec{
		{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Name: "n", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := usableJIT(JIT); err != nil {
		t.Skipf("no machine code here: %v", err)
	}
	c, err := LoadProgram(p, Options{Engine: JIT})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := c.Program("p")
	if err := c.Map("progs").(maps.ProgramArray).Store(1, q); err != nil {
		t.Fatal(err)
	}
	left := 0
	for i, call := range q.native.code.Calls() {
		if call.Kind == jit.CallTail {
			q.native.impls[i] = func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
				left++
				return nativeTail(env, a1, a2, a3, a4, a5)
			}
		}
	}
	if got, err := q.Run([]byte{1}); got != 20 || err != nil || left != 0 {
		t.Errorf("got %d, %v; code left %d times", got, err, left)
	}
	q.target.Enter(0)
	n := c.Map("n").LookupElem(0, make([]byte, 4))
	clear(n)
	if got, err := q.Run([]byte{1}); got != 20 || err != nil || left != 19 {
		t.Errorf("without a place to enter: got %d, %v; code left %d times", got, err, left)
	}
}

// TestTailCounts: a tail call for which the meter has too little left is the host's,
// and counts once, wherever the meter is; those after it are code's own again.
func TestTailCounts(t *testing.T) {
	typ := &hook.Type{Name: "test", Input: hook.InputPacket, Return: hook.AnyReturn, Helpers: helpers.Base(), Ctx: hook.NewCtx("ctx", 4,
		hook.Field{Name: "ro", Size: 4, Read: 4})}
	if err := usableJIT(JIT); err != nil {
		t.Skipf("no machine code here: %v", err)
	}
	for _, body := range []int{250, 300, 1000, 3000} {
		insns, err := prog.Assemble("r6 = map[1][0]+0\nr7 = *(u64 *)(r6 +0)\nr7 += 1\n*(u64 *)(r6 +0) = r7\n" +
			strings.Repeat("r7 *= 3\n", body) + "r2 = map[0]\nr3 = 1\ncall 12\nr0 = *(u64 *)(r6 +0)\nexit")
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("p", typ, insns, []*maps.Spec{
			{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
			{Name: "n", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := LoadProgram(p, Options{Engine: JIT})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		q := c.Program("p")
		if err := c.Map("progs").(maps.ProgramArray).Store(1, q); err != nil {
			t.Fatal(err)
		}
		left := 0
		for i, call := range q.native.code.Calls() {
			if call.Kind == jit.CallTail {
				q.native.impls[i] = func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
					left++
					return nativeTail(env, a1, a2, a3, a4, a5)
				}
			}
		}
		// The first program and 33 more (kernel, MAX_TAIL_CALL_CNT). The host begins one
		// when the meter is too low, and code goes on from there with a whole slice.
		const calls = 33
		perSlice := slice / int(q.native.code.Weight())
		for range 3 {
			left = 0
			clear(c.Map("n").LookupElem(0, make([]byte, 4)))
			before := q.Stats().Insns
			got, err := q.Run([]byte{1})
			if got != calls+1 || err != nil || left != calls/(perSlice+1) {
				t.Errorf("of %d instructions: %d programs ran, %v; code left %d times, want %d", body, got, err, left, calls/(perSlice+1))
			}
			if n := q.Stats().Insns - before; n != uint64(calls+1)*uint64(q.native.code.Weight()) {
				t.Errorf("of %d instructions: %d programs counted %d", body, calls+1, n)
			}
		}
	}
}
