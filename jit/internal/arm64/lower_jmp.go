package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Jumps (RFC 9669, section 4.3).

var conds = [16]Cond{
	isa.JEq >> 4: EQ, isa.JNe >> 4: NE, isa.JSet >> 4: NE,
	isa.JGt >> 4: HI, isa.JGe >> 4: HS, isa.JLt >> 4: LO, isa.JLe >> 4: LS,
	isa.JSGt >> 4: GT, isa.JSGe >> 4: GE, isa.JSLt >> 4: LT, isa.JSLe >> 4: LE,
}

// cond returns the condition of a jump.
func cond(op isa.JmpOp) Cond { return conds[op>>4] }

func (l *lowerer) Branch(pc prog.PC, in prog.Insn, to emit.Label) {
	l.compare(in, in.Op.JmpOp() == isa.JSet)
	l.BCond(cond(in.Op.JmpOp()), to)
}

// compare sets the flags for in: of the difference, or of the common bits.
func (l *lowerer) compare(in prog.Insn, bits bool) {
	w, dst := operandWidth(in), host[in.Dst]
	if in.Op.Source() == isa.K {
		n := int64(in.Imm)
		_, isMask := BitMask(w, constant(in))
		switch {
		case bits && isMask:
			l.TstI(w, dst, constant(in))
			return
		case !bits && n >= 0 && IsAddImm(uint64(n)):
			l.CmpI(w, dst, uint32(n))
			return
		case !bits && n < 0 && IsAddImm(uint64(-n)):
			l.CmnI(w, dst, uint32(-n))
			return
		}
	}
	if bits {
		l.Tst(w, dst, l.source(in))
	} else {
		l.Cmp(w, dst, l.source(in))
	}
}
