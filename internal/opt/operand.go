package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// operand matches a load whose result only in, the current instruction, reads,
// as an operand that hosts may have in memory: the second one of an operation,
// either one of a comparison.
//
//	r = *p; …; d += r
//	r = *p; …; if r == d goto to
//
// It is of the operation's width; or narrower, where it is compared with a
// constant of its own width and signs do not matter.
func (m *matcher) operand(in *prog.Insn) {
	switch c := in.Op.Class(); c {
	case isa.ALU, isa.ALU64:
		switch in.Op.ALUOp() {
		case isa.Add, isa.Sub, isa.And, isa.Or, isa.Xor, isa.Mul:
			if in.Op.Source() == isa.X && in.Dst != in.Src {
				m.take(in, in.Src)
			}
		}
	case isa.JMP, isa.JMP32:
		switch in.Op.JmpOp() {
		case isa.JA, isa.Call, isa.Exit, isa.MayGoto:
			return
		}
		if in.Op.Source() == isa.K {
			m.take(in, in.Dst)
		} else if in.Dst != in.Src && !m.take(in, in.Src) {
			m.take(in, in.Dst)
		}
	}
}

// take makes the load of r an operand of in, if it is on the line and suits.
//
// Sound: nothing between the load and in writes what its address is made of,
// stores, or reads r; and nothing reads r afterwards. A load that comes later
// than in the program sees what a run could have seen that was as fast.
func (m *matcher) take(in *prog.Insn, r prog.Reg) bool {
	if m.lives(r) {
		return false
	}
	writes := Regs(0) // by what lies between
	for j := 1; j <= m.n; j++ {
		l := m.prev(j)
		load := &m.Insns[l.pc]
		switch c := load.Op.Class(); {
		case c == isa.LDX && l.writes.Has(r):
			i := &m.Info[l.pc]
			if writes&l.reads != 0 || i.Merged || !fits(in, load, i.Field != nil && i.Field.IsPointer()) {
				return false
			}
			i.Merged = true
			m.Info[m.at].Load = l.pc + 1
			return true
		case c == isa.ST || c == isa.STX || (l.reads | l.writes).Has(r):
			return false
		}
		writes |= l.writes
	}
	return false
}

// fits reports whether load can be an operand of in; pointer: it loads a whole
// pointer, whatever its size says.
func fits(in, load *prog.Insn, pointer bool) bool {
	size := load.Op.Size().Bytes()
	if pointer {
		size = 8
	}
	wide := in.Op.Class() == isa.ALU64 || in.Op.Class() == isa.JMP
	switch c := in.Op.Class(); {
	case load.Op.Mode() != isa.MEM:
		return false
	case wide && size == 8, !wide && size == 4:
		return true
	case c == isa.ALU || c == isa.ALU64 || in.Op.Source() == isa.X:
		return false
	}
	switch in.Op.JmpOp() {
	case isa.JSGt, isa.JSGe, isa.JSLt, isa.JSLe:
		return false
	}
	switch size {
	case 1:
		return in.Imm >= 0 && in.Imm <= 0xff
	case 2:
		return in.Imm >= 0 && in.Imm <= 0x7f // larger ones have forms that decode slowly
	case 4:
		return in.Imm >= 0
	}
	return false
}
