package verifier

import (
	"context"
	"testing"

	"github.com/skepvm/skep/prog"
)

// TestWatch follows a run of two turns of a loop, and then one that does what
// no run can do.
func TestWatch(t *testing.T) {
	p := assemble(t, "xdp", `
		r0 = 0
		r6 = r1
	again:
		r0 += 1
		if r0 != 2 goto again
		exit`)
	v, _, err := Verify(context.Background(), p, Options{Invariants: true})
	if err != nil {
		t.Fatal(err)
	}
	const ctx, stack = 0x10000, 0x20000
	type step struct {
		pc prog.PC
		r0 uint64 // before the instruction
	}
	for _, tc := range []struct {
		name  string
		steps []step
		ok    bool // all but the last step always are
	}{
		{"as it runs", []step{{0, 7}, {1, 0}, {2, 0}, {3, 1}, {2, 1}, {3, 2}, {4, 2}}, true},
		{"another result", []step{{0, 7}, {1, 0}, {2, 0}, {3, 1}, {2, 1}, {3, 2}, {4, 3}}, false},
		{"another number in the loop", []step{{0, 7}, {1, 0}, {2, 0}, {3, 1}, {2, 5}}, false},
		{"one turn", []step{{0, 7}, {1, 0}, {2, 0}, {3, 1}, {4, 1}}, false},
	} {
		w := v.Watch()
		for i, s := range tc.steps {
			c := &Concrete{Ctx: ctx, Frames: []ConcreteFrame{{Call: -1, Stack: make([]byte, 512)}}}
			c.Frames[0].Regs[0], c.Frames[0].Regs[1], c.Frames[0].Regs[6], c.Frames[0].Regs[10] = s.r0, ctx, ctx, stack
			err := w.Step(s.pc, c)
			if last := i == len(tc.steps)-1; (err == nil) != (tc.ok || !last) {
				t.Errorf("%s: before instruction %d with %d: %v", tc.name, s.pc, s.r0, err)
			}
		}
	}
}
