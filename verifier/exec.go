package verifier

import (
	"math"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// A machine carries one state from a node to the join points that follow,
// instruction by instruction: each is checked against the state before it and
// then changes it. The files exec_*.go have one class each.
type machine struct {
	sv     *solver
	s      *state.State
	n      *node
	id     int // of the explored state
	pc     prog.PC
	weight int64 // instructions since the explored state
	arg    int   // the argument being checked, from 1; 0: none
}

// maxNames bounds the values and objects of a state between two instructions:
// their names have 16 bits. Those that locations still mention are far fewer.
const maxNames = 1 << 15

// fail returns the error that the instruction at pc breaks rule code.
//
// The error is definite if what is known has been followed from the start without
// a join: a patient exploration comes by with the same state, or one that covers it.
func (m *machine) fail(code Code, format string, args ...any) error {
	e := m.sv.errorAt(code, m.pc, m.s.Trace, format, args...)
	e.definite = !m.s.Joined
	m.sv.refused = m.s.Trace
	m.sv.explain(e, m.s, m.arg)
	return e
}

// run executes blocks until the state has arrived at join points or ended.
func (m *machine) run() error {
	for {
		b := &m.sv.g.blocks[m.n.block]
		for m.pc = b.start; m.pc < b.end; m.pc = next(m.sv.p, m.pc) {
			m.weight++
			if m.sv.visits++; m.sv.visits >= m.sv.look {
				if err := m.sv.limits(); err != nil {
					return err
				}
			}
			if len(m.s.Vals) > maxNames || len(m.s.Objs) > maxNames {
				m.s.Canon()
			}
			m.sv.facts.reached[m.pc] = true
			if m.sv.o.Observe != nil {
				m.sv.o.Observe(m.pc, m.s.Describe(m.sv.mapName))
			}
			in := m.sv.p.Insns[m.pc]
			if m.sv.g.leaves[m.pc] {
				goOn, err := m.leave(b, in)
				if err != nil || !goOn {
					return err
				}
				goto nextBlock
			}
			if err := m.exec(in); err != nil {
				return err
			}
		}
		if goOn, err := m.follow(m.n.chain, b.succs[0], m.s); err != nil || !goOn {
			return err
		}
	nextBlock:
	}
}

// follow sends s to block b of chain c. If nothing else can arrive there the
// machine goes on with it itself, and goOn is true.
func (m *machine) follow(c *chain, b int, s *state.State) (goOn bool, err error) {
	if s == m.s && !m.sv.g.blocks[b].joins {
		m.n = m.sv.node(c, b)
		return true, nil
	}
	return false, m.sv.arrive(c, b, s, m.id, m.weight)
}

// exec executes an instruction that control passes through.
func (m *machine) exec(in prog.Insn) error {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		return m.alu(in)
	case isa.LDX:
		return m.load(in)
	case isa.ST, isa.STX:
		return m.store(in)
	case isa.LD:
		if in.IsWide() {
			return m.wide(in)
		}
		return m.loadPacket(in)
	default:
		return m.call(in)
	}
}

// read returns register r, which must be readable.
func (m *machine) read(r prog.Reg) (state.Reg, error) {
	v := m.s.Reg(uint8(r))
	if v.Kind == state.Unreadable {
		return v, m.fail(Unreadable, "r%d is not readable here: it was never written, or a call has overwritten it", r)
	}
	return v, nil
}

func (m *machine) write(r prog.Reg, v state.Reg) { m.s.SetReg(uint8(r), v) }

// wide executes a 16-byte load of a constant, a map or an address.
func (m *machine) wide(in prog.Insn) error {
	second := m.sv.p.Insns[m.pc+1]
	switch in.Src {
	case 0:
		m.write(in.Dst, state.Const(uint64(uint32(in.Imm))|uint64(uint32(second.Imm))<<32))
	case isa.PseudoMapFD:
		if why := m.sv.mapFits(in.Imm); why != "" {
			return m.fail(BadMap, "map %s: %s", m.sv.spec(in.Imm).Name, why)
		}
		o := m.s.Intern(state.Obj{Kind: state.MapPtr, Index: in.Imm})
		m.write(in.Dst, state.Reg{Kind: state.MapPtr, Obj: o})
	case isa.PseudoMapValue:
		if why := m.sv.mapFits(in.Imm); why != "" {
			return m.fail(BadMap, "map %s: %s", m.sv.spec(in.Imm).Name, why)
		}
		spec := m.sv.spec(in.Imm)
		if uint32(second.Imm) >= spec.ValueSize {
			return m.fail(OutOfBounds, "offset %d of map %s, whose value has %d bytes", uint32(second.Imm), spec.Name, spec.ValueSize)
		}
		o := m.s.Intern(m.sv.valueOf(in.Imm))
		m.write(in.Dst, state.Reg{Kind: state.MapValue, Obj: o, C: int64(uint32(second.Imm))})
	case isa.PseudoFunc:
		o := m.s.Intern(state.Obj{Kind: state.Func, Index: in.Imm})
		m.write(in.Dst, state.Reg{Kind: state.Func, Obj: o})
	default:
		return m.fail(Unsupported, "a wide instruction with source %d", in.Src)
	}
	return nil
}

// alu executes the arithmetic classes.
func (m *machine) alu(in prog.Insn) error {
	is64 := in.Op.Class() == isa.ALU64
	op := in.Op.ALUOp()
	b := state.Const(uint64(int64(in.Imm)))
	var err error
	if in.Op.Source() == isa.X && op != isa.End && op != isa.Neg {
		if b, err = m.read(in.Src); err != nil {
			return err
		}
	} else if !is64 {
		b = state.Const(uint64(uint32(in.Imm)))
	}
	if op == isa.Mov {
		if !is64 || in.Off != 0 {
			if err := m.staysWhole(b); err != nil {
				return err
			}
		}
		m.write(in.Dst, m.mov(is64, in.Off, b))
		return nil
	}
	a, err := m.read(in.Dst)
	if err != nil {
		return err
	}
	if in.Dst == prog.R10 {
		return m.fail(BadArithmetic, "r10 is read only")
	}
	if a.Kind.IsPointer() || b.Kind.IsPointer() {
		return m.pointerALU(in, is64, op, a, b)
	}
	if op == isa.Div || op == isa.Mod {
		m.noteDivision(is64, m.s.Num(b))
	}
	var r state.Reg
	switch {
	case op == isa.End:
		r = m.s.Fresh(m.swap(in, m.s.Num(a)))
	case op == isa.Neg && is64:
		r = m.s.ALU64(isa.Sub, 0, state.Const(0), a)
	case op == isa.Neg:
		r = m.s.ALU32(isa.Sub, 0, state.Const(0), a)
	case is64:
		r = m.s.ALU64(op, in.Off, a, b)
	default:
		r = m.s.ALU32(op, in.Off, a, b)
	}
	m.write(in.Dst, r)
	return nil
}

// swap returns what END and BSWAP leave of n, on a program's little-endian
// registers (RFC 9669, section 4.2).
func (m *machine) swap(in prog.Insn, n scalar.Scalar) scalar.Scalar {
	if in.Op.Class() == isa.ALU && in.Op.Source() == isa.K {
		return scalar.Trunc(n, uint(in.Imm))
	}
	return scalar.ByteSwap(n, uint(in.Imm))
}

// mov returns what a move of b leaves. A pointer survives only whole.
func (m *machine) mov(is64 bool, off int16, b state.Reg) state.Reg {
	switch {
	case b.Kind == state.Scalar && is64:
		return m.s.ALU64(isa.Mov, off, b, b)
	case b.Kind == state.Scalar:
		return m.s.ALU32(isa.Mov, off, b, b)
	case is64 && off == 0:
		return b
	case is64:
		return m.s.Unknown()
	}
	return m.s.Fresh(scalar.Unsigned(0, 1<<32-1))
}

// staysWhole says whether the strict rules allow what makes a number of r, of
// which none may be made of an address.
func (m *machine) staysWhole(r state.Reg) error {
	if r.Kind.IsPointer() && m.sv.o.Strict {
		return m.fail(Leak, "a number of the address in a %v pointer", r.Kind)
	}
	return nil
}

// pointerALU executes an operation with an address among its operands (kernel,
// adjust_ptr_min_max_vals): constants and scalars may be added to and
// subtracted from addresses, and addresses from each other; the 32-bit forms
// that only look at an address give a number.
func (m *machine) pointerALU(in prog.Insn, is64 bool, op isa.ALUOp, a, b state.Reg) error {
	if !is64 || op == isa.Neg || op == isa.End {
		if err := m.staysWhole(pointerOf(a, b)); err != nil {
			return err
		}
	}
	if !is64 {
		switch op {
		case isa.End: // of 16, 32 or 64 bits in this class too
			m.write(in.Dst, m.s.Fresh(scalar.Unsigned(0, math.MaxUint64>>(64-uint(in.Imm)))))
			return nil
		case isa.Sub, isa.Neg:
			m.write(in.Dst, m.s.Fresh(scalar.Unsigned(0, 1<<32-1)))
			return nil
		}
		return m.fail(BadArithmetic, "32-bit arithmetic on a %v pointer", pointerOf(a, b).Kind)
	}
	switch {
	case op == isa.Neg || op == isa.End:
		m.write(in.Dst, m.s.Unknown())
		return nil
	case op == isa.Add && a.Kind.IsPointer() && b.Kind == state.Scalar:
		return m.advance(in.Dst, a, b, isa.Add)
	case op == isa.Add && a.Kind == state.Scalar:
		return m.advance(in.Dst, b, a, isa.Add)
	case op == isa.Sub && a.Kind.IsPointer() && b.Kind == state.Scalar:
		return m.advance(in.Dst, a, b, isa.Sub)
	case op == isa.Sub && a.Kind.IsPointer():
		if a.Kind == b.Kind && a.Obj == b.Obj && !m.s.Objs[a.Obj].Nullable {
			a.Kind, b.Kind = state.Scalar, state.Scalar
			a.Obj, b.Obj = 0, 0
			m.write(in.Dst, m.s.ALU64(isa.Sub, 0, a, b))
			return nil
		}
		if !packetKind(a) || !packetKind(b) { // elsewhere the distance tells of addresses
			if err := m.staysWhole(a); err != nil {
				return err
			}
		}
		m.write(in.Dst, m.s.Unknown())
		return nil
	}
	return m.fail(BadArithmetic, "this operation on a %v pointer gives no address", pointerOf(a, b).Kind)
}

func pointerOf(a, b state.Reg) state.Reg {
	if a.Kind.IsPointer() {
		return a
	}
	return b
}

// advance moves pointer p by n.
func (m *machine) advance(dst prog.Reg, p, n state.Reg, op isa.ALUOp) error {
	obj := &m.s.Objs[p.Obj]
	if obj.Nullable {
		return m.fail(NullPointer, "arithmetic on a %v pointer that may be null; compare it with 0 first", p.Kind)
	}
	switch p.Kind {
	case state.Packet, state.PacketMeta, state.MapValue, state.MapKey, state.Mem, state.RingBufMem, state.Stack, state.Ctx:
	default:
		if !n.IsConst() || n.C != 0 {
			return m.fail(BadArithmetic, "arithmetic on a %v pointer", p.Kind)
		}
	}
	off := m.s.ALU64(op, 0, state.Reg{Kind: state.Scalar, V: p.V, C: p.C}, n)
	m.write(dst, state.Reg{Kind: p.Kind, Obj: p.Obj, V: off.V, C: off.C})
	return nil
}
