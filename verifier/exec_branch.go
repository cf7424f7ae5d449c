package verifier

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// leave executes the instruction that ends block b: a jump, an exit, or a call
// that enters the program. goOn says that the machine itself continues, at
// m.n.
func (m *machine) leave(b *block, in prog.Insn) (goOn bool, err error) {
	switch in.Op.JmpOp() {
	case isa.JA:
		return m.follow(m.n.chain, b.succs[0], m.s)
	case isa.Exit:
		return m.exit()
	case isa.Call:
		return m.enter(b, in)
	case isa.MayGoto:
		// Both ways are possible; the engine's budget makes the loop end.
		other := m.s.Clone()
		m.note(other, state.Taken)
		if err := m.sv.arrive(m.n.chain, b.succs[1], other, m.id, m.weight); err != nil {
			return false, err
		}
		return m.follow(m.n.chain, b.succs[0], m.s)
	}
	return m.branch(b, in)
}

func (m *machine) note(s *state.State, n state.TraceNote) {
	sv := m.sv
	if len(sv.traces) == 0 {
		sv.traces = make([]state.Trace, traceChunk)
	}
	sv.decisions++
	t := &sv.traces[0]
	sv.traces = sv.traces[1:]
	*t = state.Trace{Prev: s.Trace, PC: int32(m.pc), Note: n}
	s.Trace = t
	if sv.along != nil {
		sv.compare(t)
	}
}

// traceChunk is how many decisions are allocated at a time.
const traceChunk = 32

// branch executes a conditional jump: each way that is possible is followed
// with what it says of the operands.
func (m *machine) branch(b *block, in prog.Insn) (goOn bool, err error) {
	a, err := m.read(in.Dst)
	if err != nil {
		return false, err
	}
	is32 := in.Op.Class() == isa.JMP32
	c := state.Const(uint64(int64(in.Imm)))
	if in.Op.Source() == isa.X {
		if c, err = m.read(in.Src); err != nil {
			return false, err
		}
	} else if is32 {
		c = state.Const(uint64(uint32(in.Imm)))
	}
	if m.sv.o.Strict && !m.mayCompare(in, a, c) {
		return false, m.fail(Leak, "comparison of a %v pointer", pointerOf(a, c).Kind)
	}
	if a.IsConst() && c.IsConst() {
		return m.decided(b, in, is32, a, c)
	}
	taken := m.s.Clone()
	canTake := m.assume(taken, in, is32, true, a, c)
	canFall := m.assume(m.s, in, is32, false, a, c)
	if canTake {
		m.sv.facts.outcome[m.pc] |= wasTaken
		m.note(taken, state.Taken)
		if !canFall {
			m.s.Free()
			m.s = taken
			return m.follow(m.n.chain, b.succs[1], m.s)
		}
		if err := m.sv.arrive(m.n.chain, b.succs[1], taken, m.id, m.weight); err != nil {
			return false, err
		}
	}
	if !canTake {
		taken.Free()
	}
	if !canFall {
		m.s.Free()
		return false, nil // the state described no run at all
	}
	m.sv.facts.outcome[m.pc] |= wasNotTaken
	m.note(m.s, state.NotTaken)
	return m.follow(m.n.chain, b.succs[0], m.s)
}

// decided follows a conditional jump whose operands are constants.
func (m *machine) decided(b *block, in prog.Insn, is32 bool, x, y state.Reg) (goOn bool, err error) {
	if m.assume(m.s, in, is32, true, x, y) {
		m.sv.facts.outcome[m.pc] |= wasTaken
		m.note(m.s, state.Taken)
		return m.follow(m.n.chain, b.succs[1], m.s)
	}
	m.sv.facts.outcome[m.pc] |= wasNotTaken
	m.note(m.s, state.NotTaken)
	return m.follow(m.n.chain, b.succs[0], m.s)
}

// mayCompare says whether the strict rules allow a comparison: of numbers, of
// a pointer with 0, of two pointers into the packet.
func (m *machine) mayCompare(in prog.Insn, a, b state.Reg) bool {
	if !a.Kind.IsPointer() && !b.Kind.IsPointer() {
		return true
	}
	if a.Kind.IsPointer() && b.Kind.IsPointer() {
		return packetKind(a) && packetKind(b)
	}
	null := b
	if b.Kind.IsPointer() {
		null = a
	}
	op := in.Op.JmpOp()
	return null.IsConst() && null.C == 0 && in.Op.Class() == isa.JMP && (op == isa.JEq || op == isa.JNe)
}

func packetKind(r state.Reg) bool { return r.Kind == state.Packet || r.Kind == state.PacketMeta }

// assume narrows s to the runs in which the jump goes the way taken says.
func (m *machine) assume(s *state.State, in prog.Insn, is32, taken bool, a, b state.Reg) bool {
	op := in.Op.JmpOp()
	ap, bp := a.Kind.IsPointer(), b.Kind.IsPointer()
	switch {
	case !ap && !bp:
		return s.Assume(op, is32, taken, a, b)
	case is32:
		return true
	case ap && bp:
		return assumePointers(s, op, taken, a, b)
	case ap:
		return assumePointer(s, op, taken, a, s.Num(b))
	}
	return assumePointer(s, mirror(op), taken, b, s.Num(a))
}

// mirror returns the comparison with its operands exchanged.
func mirror(op isa.JmpOp) isa.JmpOp {
	switch op {
	case isa.JGt:
		return isa.JLt
	case isa.JLt:
		return isa.JGt
	case isa.JGe:
		return isa.JLe
	case isa.JLe:
		return isa.JGe
	case isa.JSGt:
		return isa.JSLt
	case isa.JSLt:
		return isa.JSGt
	case isa.JSGe:
		return isa.JSLe
	case isa.JSLe:
		return isa.JSGe
	}
	return op
}

// assumePointer is assume for a pointer and a number: only null tests teach
// something. An address is neither 0 nor does it say more.
func assumePointer(s *state.State, op isa.JmpOp, taken bool, p state.Reg, n scalar.Scalar) bool {
	if !n.IsConst() {
		return true
	}
	c := n.Bits().Value
	var null bool // the outcome under which p is null
	switch {
	case c == 0 && (op == isa.JEq || op == isa.JLe):
		null = taken
	case c == 0 && (op == isa.JNe || op == isa.JGt), c == 1 && op == isa.JGe:
		null = !taken
	case c == 1 && op == isa.JLt:
		null = taken
	case c == 0 && op == isa.JLt:
		return !taken
	case c == 0 && op == isa.JGe:
		return taken
	default:
		return true
	}
	if !s.Objs[p.Obj].Nullable {
		return !null || !inAddressSpace(s, p)
	}
	s.ResolveNull(p.Obj, null)
	return true
}

// assumePointers is assume for two pointers. Pointers into one object compare
// as their offsets do.
//
// Sound: offsets are bounded, so that no address wraps; an object does not
// span the end of the address space.
func assumePointers(s *state.State, op isa.JmpOp, taken bool, a, b state.Reg) bool {
	if s.Objs[a.Obj].Nullable || s.Objs[b.Obj].Nullable {
		return assumeNullable(s, op, taken, a, b)
	}
	x, y, ok := a, b, a.Obj == b.Obj && a.Kind == b.Kind
	switch {
	case a.Kind == state.PacketMeta && b.Kind == state.Packet && b.V == state.Zero:
		y, ok = state.Reg{V: state.MetaLen, C: b.C}, true
	case b.Kind == state.PacketMeta && a.Kind == state.Packet && a.V == state.Zero:
		x, ok = state.Reg{V: state.MetaLen, C: a.C}, true
	}
	if !ok {
		return true
	}
	signed, ok := signedForm(op)
	if !ok || !inAddressSpace(s, x) || !inAddressSpace(s, y) {
		return true
	}
	return s.Assume(signed, false, taken, x, y)
}

// assumeNullable is assume for two pointers of which one may be null: equality
// with one that is not settles it.
func assumeNullable(s *state.State, op isa.JmpOp, taken bool, a, b state.Reg) bool {
	if equal := op == isa.JEq && taken || op == isa.JNe && !taken; !equal {
		return true
	}
	an, bn := s.Objs[a.Obj].Nullable, s.Objs[b.Obj].Nullable
	switch {
	case an && !bn:
		s.ResolveNull(a.Obj, false)
	case bn && !an:
		s.ResolveNull(b.Obj, false)
	}
	return true
}

// nullPage is how far below an object an address surely does not wrap: nothing
// that programs can reach lies so low.
const nullPage = 4096

// inAddressSpace reports whether the address p, an offset away from its object,
// is the sum without wrapping, and not 0.
func inAddressSpace(s *state.State, p state.Reg) bool {
	n := s.Num(p)
	return n.SMin() > -nullPage && n.SMax() < maxOffset
}

// signedForm returns the comparison of offsets that equals op on addresses. ok
// is false for those that look at an address's sign or bits.
func signedForm(op isa.JmpOp) (signed isa.JmpOp, ok bool) {
	switch op {
	case isa.JEq, isa.JNe:
		return op, true
	case isa.JGt:
		return isa.JSGt, true
	case isa.JGe:
		return isa.JSGe, true
	case isa.JLt:
		return isa.JSLt, true
	case isa.JLe:
		return isa.JSLe, true
	}
	return 0, false
}
