package verifier

import (
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// stackUse notes that bytes [lo, hi) of the frame that p points into are used,
// and checks that they hold nothing that only helpers may touch.
func (m *machine) stackUse(p state.Reg, lo, hi int) error {
	f := int(m.s.Objs[p.Obj].Index)
	if c, ok := m.s.Special(f, lo, hi); ok {
		return m.fail(BadPointer, "access to stack bytes %d to %d, where a %v lies that only helpers may touch", lo, hi, c.Reg.Kind)
	}
	m.depth(f, lo)
	return nil
}

// overwrite ends the dynptrs without a reference of which a store to bytes
// [lo, hi) of frame f hits one, with the slices of them (kernel,
// destroy_if_dynptr_stack_slot).
func (m *machine) overwrite(f, lo, hi int) {
	for {
		c, ok := m.s.Special(f, lo, hi)
		if !ok || c.Reg.Kind != state.Dynptr || m.s.Objs[m.s.Root(c.Reg.Obj)].Ref {
			return
		}
		m.s.ReleaseObj(c.Reg.Obj)
	}
}

// depth notes that the function of frame f uses its stack down to lo.
func (m *machine) depth(f, lo int) {
	fn := m.s.Frames[f].Func
	m.sv.used[fn] = max(m.sv.used[fn], -lo)
}

// stackDepth checks what all frames of any chain of calls take together: each
// is rounded up to frameAlign bytes (kernel, check_max_stack_depth_subprog).
//
// Every chain that can be is a chain that was explored.
func (sv *solver) stackDepth() error { return sv.chainDepth(sv.root, 0, 0, 0) }

func (sv *solver) chainDepth(c *chain, call prog.PC, above, frames int) error {
	name := sv.p.Funcs[c.fn].Name
	if frames > 0 && above >= maxAboveTailCall && sv.tailCalls[c.fn] {
		return sv.errorAt(StackDepth, call, nil, "%s makes tail calls below frames of %d bytes; %d is the most", name, above, maxAboveTailCall-1)
	}
	frame := (max(sv.used[c.fn], 1) + frameAlign - 1) / frameAlign * frameAlign
	above, frames = above+frame, frames+1
	switch {
	case above > maxStack:
		return sv.errorAt(StackDepth, call, nil, "the frames of this chain of calls take %d bytes of stack, %d of them in %s; %d is the most", above, frame, name, maxStack)
	case frames > maxFrames:
		return sv.errorAt(StackDepth, call, nil, "a chain of more than %d calls", maxFrames)
	}
	for _, k := range c.order {
		if err := sv.chainDepth(c.kids[k], k.call, above, frames); err != nil {
			return err
		}
	}
	for _, r := range c.roots {
		if above <= r.above && frames <= r.frames {
			continue // seen from further down
		}
		r.above, r.frames = max(r.above, above), max(r.frames, frames)
		if err := sv.chainDepth(r.chain, c.apart[r]-1, r.above, r.frames); err != nil {
			return err
		}
	}
	return nil
}

const (
	frameAlign       = 16
	maxAboveTailCall = 256
	maxStack         = state.StackSize // over all frames of a chain of calls
)

// newTailCalls finds the functions that make tail calls themselves.
func (v *verifier) newTailCalls() {
	v.tailCalls = make([]bool, len(v.p.Funcs))
	for fn := range v.p.Funcs {
		f := &v.p.Funcs[fn]
		for pc := f.Entry; pc < f.End; pc = next(v.p, pc) {
			v.tailCalls[fn] = v.tailCalls[fn] || v.isTailCall(v.p.Insns[pc])
		}
	}
}
