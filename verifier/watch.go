package verifier

import (
	"fmt"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Concrete is a running program between two instructions, as Watch.Step wants
// to know it.
type (
	Concrete      = state.Concrete
	ConcreteFrame = state.ConcreteFrame
)

// A Watch compares one run with what was proven of all runs: at each join
// point a state that was explored must describe the run, and from there on
// what the abstract semantics make of that state, instruction by instruction.
// It belongs to one goroutine, and so do all Watches of one Verified.
type Watch struct {
	m    machine
	last prog.PC
	on   bool // m.s describes the run before the instruction at last
}

// Watch returns a Watch for the beginning of a run; nil if Options.Invariants
// was not set.
func (v *Verified) Watch() *Watch {
	if v.solver == nil {
		return nil
	}
	return &Watch{m: machine{sv: v.solver}}
}

// Step says that the run is before the instruction at pc. calls are the PCs of
// the calls that are under way, outermost first. The error says what the proof
// is wrong about; after one the Watch must not be used.
func (w *Watch) Step(pc prog.PC, calls []prog.PC, c *Concrete) error {
	sv := w.m.sv
	defer func() { w.last = pc }()
	if b := sv.g.at[pc]; b >= 0 && (sv.g.blocks[b].joins || !w.on) {
		return w.enter(b, calls, c)
	}
	if err := w.advance(pc); err != nil {
		return err
	}
	if err := w.m.s.Holds(c); err != nil {
		return fmt.Errorf("before instruction %d: %w; proven:\n%v", pc, err, w.m.s)
	}
	return nil
}

// enter finds the state of block b that describes c.
func (w *Watch) enter(b int, calls []prog.PC, c *Concrete) error {
	sv := w.m.sv
	at := sv.root
	for i, call := range calls {
		callee := sv.g.blocks[b].fn
		if i+1 < len(calls) {
			callee = sv.p.FuncAt(calls[i+1])
		}
		if at = at.kids[chainKey{call, callee}]; at == nil {
			return fmt.Errorf("before instruction %d: calls at %v: proven not to happen", sv.g.blocks[b].start, calls)
		}
	}
	n := at.nodes[b]
	if n == nil || len(n.kept) == 0 {
		return fmt.Errorf("before instruction %d: proven unreachable after calls at %v", sv.g.blocks[b].start, calls)
	}
	var why error
	for _, s := range n.kept {
		err := s.Holds(c)
		if err == nil {
			w.m.n, w.m.s, w.on = n, s.Clone(), true
			return nil
		}
		why = fmt.Errorf("%w; in\n%v", err, s)
	}
	return fmt.Errorf("before instruction %d: none of %d states describes the run; the last: %w", sv.g.blocks[b].start, len(n.kept), why)
}

// advance executes the instruction before the one at pc.
func (w *Watch) advance(pc prog.PC) error {
	m := &w.m
	m.pc = w.last
	in := m.sv.p.Insns[m.pc]
	if !isJump(in) || in.Op.JmpOp() == isa.Call {
		return m.exec(in)
	}
	switch in.Op.JmpOp() {
	case isa.JA, isa.MayGoto, isa.Exit:
		return nil
	}
	a, b, is32 := m.comparands(in)
	if !m.assume(m.s, in, is32, pc != next(m.sv.p, m.pc), a, b) {
		return fmt.Errorf("from instruction %d to %d: proven impossible in\n%v", m.pc, pc, m.s)
	}
	return nil
}

// comparands returns what the conditional jump in compares. Both are known to
// be readable.
func (m *machine) comparands(in prog.Insn) (a, b state.Reg, is32 bool) {
	is32 = in.Op.Class() == isa.JMP32
	b = state.Const(uint64(int64(in.Imm)))
	if in.Op.Source() == isa.X {
		b = m.s.Reg(uint8(in.Src))
	} else if is32 {
		b = state.Const(uint64(uint32(in.Imm)))
	}
	return m.s.Reg(uint8(in.Dst)), b, is32
}
