package verifier

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// callRegister executes callx: the register holds the address of a function of
// the program, or the number of a helper.
func (m *machine) callRegister(b *block, in prog.Insn) (goOn bool, err error) {
	r, err := m.read(in.Dst)
	if err != nil {
		return false, err
	}
	if r.Kind == state.Func {
		entry := prog.PC(m.s.Objs[r.Obj].Index)
		m.noteCallee(directCall(isa.CallSub, int32(entry-m.pc-1)))
		return false, m.enterFunc(b, m.sv.p.FuncAt(entry), state.Subprogram, m.s, func(caller, callee *state.Frame) {
			copy(callee.Regs[1:6], caller.Regs[1:6])
		})
	}
	if !r.IsConst() || r.Uint() > 1<<31-1 {
		return false, m.fail(BadArgument, "callx needs a function of the program or the number of a helper, known here, not %s", m.text(r))
	}
	f := m.sv.p.Type.Helpers.Helper(helpers.ID(r.Uint()))
	switch {
	case f == nil:
		return false, m.fail(UnknownCallee, "%s programs cannot call helper %d", m.sv.p.Type.Name, r.Uint())
	case f.Proto.Control != helpers.Plain:
		return false, m.fail(Unsupported, "%s through a register", f.Name)
	}
	m.noteCallee(directCall(isa.CallHelper, int32(r.Uint())))
	if err := m.callHost(f); err != nil {
		return false, err
	}
	return m.follow(m.n.chain, b.succs[0], m.s)
}

// directCall returns the instruction that calls imm, which is of the given kind.
func directCall(kind prog.Reg, imm int32) prog.Insn {
	return prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Call), Src: kind, Imm: imm}
}

// text describes r for people.
func (m *machine) text(r state.Reg) string {
	if r.Kind == state.Scalar {
		return m.s.Num(r).Words()
	}
	return r.Kind.String()
}

// throw executes bpf_throw: the run ends with its argument as the program's
// result, or with what the program's own handler makes of it, whatever frames
// there are.
func (m *machine) throw(f *helpers.Func) error {
	if _, err := m.arguments(f); err != nil {
		return err
	}
	for i := range m.s.Frames {
		if k := m.s.Frames[i].Kind; k != state.Subprogram {
			return m.fail(BadArgument, "%s in a callback, or in a function that is proved by its contract", f.Name)
		}
	}
	if err := m.holdsNothing("an exception"); err != nil {
		return err
	}
	if r := m.sv.handled; r != nil {
		if r.worst > 0 {
			m.weight = addSat(m.weight, r.worst)
		}
		m.sv.leads(m.id, edge{-1, m.weight})
		m.s.Free()
		return nil
	}
	return m.returns(m.s.Reg(1))
}

// maxSections bounds how deep sections nest.
const maxSections = 32

// section executes f if it opens or closes a section.
func (m *machine) section(f *helpers.Func) error {
	h := &m.s.Held
	switch f.Name {
	case "bpf_rcu_read_lock":
		if h.RCU {
			return m.fail(Locked, "the RCU read lock is held already")
		}
		h.RCU = true
	case "bpf_rcu_read_unlock":
		if !h.RCU {
			return m.fail(Locked, "the RCU read lock is not held")
		}
		h.RCU = false
	case "bpf_preempt_disable":
		if h.Preempt == maxSections {
			return m.fail(Limit, "preemption disabled more than %d times", maxSections)
		}
		h.Preempt++
	case "bpf_preempt_enable":
		if h.Preempt == 0 {
			return m.fail(Locked, "preemption is not disabled")
		}
		h.Preempt--
	}
	return nil
}

// exitApart checks what a function leaves that was proved by itself.
func (m *machine) exitApart(r0 state.Reg) error {
	if err := m.holdsNothing("the function ends"); err != nil {
		return err
	}
	if m.sv.handles {
		return m.returns(r0)
	}
	if r0.Kind.IsPointer() {
		return m.fail(BadReturn, "r0 is a %v pointer; the function returns a number", r0.Kind)
	}
	if n := m.s.Num(r0); m.sv.async && n.UMax() != 0 {
		return m.fail(BadReturn, "r0 is %v; a timer's callback returns 0", n)
	}
	m.sv.leads(m.id, edge{-1, m.weight})
	m.s.Free()
	return nil
}

// isOwnBlock reports whether in is a call after which the exploration goes on
// at other places than one: it is a block of its own.
func (v *verifier) isOwnBlock(in prog.Insn) bool {
	if v.entersProgram(in) {
		return true
	}
	f := v.callee(in)
	return isIter(f) || f != nil && f.Proto.Control == helpers.Throw
}

// isCallX reports whether in is a call through a register.
func isCallX(in prog.Insn) bool {
	return in.Op.Class() == isa.JMP && in.Op.JmpOp() == isa.Call && in.Op.Source() == isa.X
}
