package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Jumps (RFC 9669, section 4.3).

var conds = [16]Cond{
	isa.JEq >> 4: E, isa.JNe >> 4: NE, isa.JSet >> 4: NE,
	isa.JGt >> 4: A, isa.JGe >> 4: AE, isa.JLt >> 4: B, isa.JLe >> 4: BE,
	isa.JSGt >> 4: G, isa.JSGe >> 4: GE, isa.JSLt >> 4: L, isa.JSLe >> 4: LE,
}

// cond returns the condition of a jump.
func cond(op isa.JmpOp) Cond { return conds[op>>4] }

func (l *lowerer) Branch(pc prog.PC, in prog.Insn, to emit.Label) {
	l.compare(pc, in)
	l.JccL(cond(in.Op.JmpOp()), to)
}

// compare sets the flags for in: of the difference, or of the common bits. One of
// its operands may be in memory.
func (l *lowerer) compare(pc prog.PC, in prog.Insn) {
	bits := in.Op.JmpOp() == isa.JSet
	w, dst, src := operandWidth(in), host[in.Dst], host[in.Src]
	k := in.Op.Source() == isa.K
	if load := l.p.Info[pc].Load - 1; load >= 0 {
		m, size := l.loaded(load)
		switch first := l.p.Insns[load].Dst == in.Dst; {
		case bits && k:
			l.TestMI(size, m, narrow(size, in.Imm))
		case bits && first:
			l.TestMR(w, m, src)
		case bits:
			l.TestMR(w, m, dst)
		case k:
			l.CmpMI(size, m, narrow(size, in.Imm))
		case first:
			l.CmpMR(w, m, src)
		default:
			l.CmpRM(w, dst, m)
		}
		return
	}
	switch {
	case bits && k:
		l.TestRI(w, dst, in.Imm)
	case bits:
		l.TestRR(w, dst, src)
	case k && in.Imm == 0:
		if !l.tested(pc, in) {
			l.TestRR(w, dst, dst)
		}
	case k:
		l.CmpRI(w, dst, in.Imm)
	case (in.Op.JmpOp() == isa.JLt || in.Op.JmpOp() == isa.JGe) && l.carried(pc, w, in.Dst, in.Src):
	default:
		l.CmpRR(w, dst, src)
	}
}
