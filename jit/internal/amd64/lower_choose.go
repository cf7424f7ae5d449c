package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// choose lowers the jump in at pc over x.Imm instructions to conditional moves.
// What they compute goes to scratch where it is no register; only moves that
// leave the flags alone follow the comparison.
func (l *lowerer) choose(pc prog.PC, in prog.Insn, x *opt.Idiom) {
	body := l.p.Insns[pc+1]
	c := cond(in.Op.JmpOp()).Not() // when they count
	if body.Op.ALUOp() != isa.Mov {
		if l.carry(pc, in, body, c, x) {
			return
		}
		w, dst := operandWidth(body), host[body.Dst]
		if body.Op.ALUOp() == isa.Add {
			m := At(dst, body.Imm)
			if body.Op.Source() == isa.X {
				m = Indexed(dst, host[body.Src], 1, 0)
			}
			l.compare(pc, in)
			l.Lea(w, scratch, m)
		} else {
			l.MovRR(w, scratch, dst)
			l.into(scratch, body)
			l.compare(pc, in)
		}
		l.CmovccRR(W64, c, dst, scratch)
		return
	}
	l.compare(pc, in)
	for _, move := range l.p.Insns[pc+1 : pc+1+prog.PC(x.Imm)] {
		w, dst, src := operandWidth(move), host[move.Dst], host[move.Src]
		switch {
		case move.Op.Source() == isa.K && w == W64:
			l.MovRI(scratch, uint64(int64(move.Imm)))
			l.CmovccRR(W64, c, dst, scratch)
		case move.Op.Source() == isa.K:
			l.MovRI(scratch, uint64(uint32(move.Imm)))
			l.CmovccRR(W64, c, dst, scratch)
		case w == W32 && x.Wide:
			l.MovRR(W32, scratch, src)
			l.CmovccRR(W64, c, dst, scratch)
		default:
			l.CmovccRR(w, c, dst, src)
		}
	}
}

// into lowers the operation op, which is one of those that package opt chooses but
// no sum, on dst in place of its own register.
func (l *lowerer) into(dst Reg, op prog.Insn) {
	w, src, k := operandWidth(op), host[op.Src], op.Op.Source() == isa.K
	either := func(rr func(*Asm, Width, Reg, Reg), ri func(*Asm, Width, Reg, int32)) {
		if k {
			ri(l.Asm, w, dst, op.Imm)
		} else {
			rr(l.Asm, w, dst, src)
		}
	}
	count := uint8(op.Imm) & uint8(w.Bits()-1)
	switch op.Op.ALUOp() {
	case isa.Sub:
		either((*Asm).SubRR, (*Asm).SubRI)
	case isa.And:
		either((*Asm).AndRR, (*Asm).AndRI)
	case isa.Or:
		either((*Asm).OrRR, (*Asm).OrRI)
	case isa.Xor:
		either((*Asm).XorRR, (*Asm).XorRI)
	case isa.Neg:
		l.NegR(w, dst)
	case isa.Lsh:
		l.ShlRI(w, dst, count)
	case isa.Rsh:
		l.ShrRI(w, dst, count)
	case isa.Arsh:
		l.SarRI(w, dst, count)
	}
}

// carry lowers the addition of 1 in body where c holds, if that is one unsigned number
// below another: the carry of their difference.
func (l *lowerer) carry(pc prog.PC, in, body prog.Insn, c Cond, x *opt.Idiom) bool {
	w := operandWidth(body)
	if body.Op.ALUOp() != isa.Add || body.Op.Source() != isa.K || body.Imm != 1 || w == W32 && x.Wide {
		return false
	}
	return l.addCarry(pc, in, w, host[body.Dst], c)
}

// addCarry adds 1 to dst where c holds of in's comparison, if that is a carry.
func (l *lowerer) addCarry(pc prog.PC, in prog.Insn, w Width, dst Reg, c Cond) bool {
	switch {
	case in.Op.JmpOp() == isa.JSet:
		return false
	case c == B || c == AE:
		l.compare(pc, in)
	case (c == A || c == BE) && in.Op.Source() == isa.X && l.p.Info[pc].Load == 0:
		if w := operandWidth(in); !l.carried(pc, w, in.Src, in.Dst) {
			l.CmpRR(w, host[in.Src], host[in.Dst])
		}
		c ^= B ^ A
	default:
		return false
	}
	if c == B {
		l.AdcRI(w, dst, 0)
	} else {
		l.SbbRI(w, dst, -1)
	}
	return true
}

// tally lowers the addition of a condition.
func (l *lowerer) tally(pc prog.PC, in prog.Insn, x *opt.Idiom) {
	c, w, dst := cond(in.Op.JmpOp()), W32, host[x.Dst]
	if x.Imm == 0 {
		c = c.Not()
	}
	if x.Wide {
		w = W64
	}
	if l.addCarry(pc, in, w, dst, c) {
		return
	}
	l.ZeroR(scratch)
	l.compare(pc, in)
	l.SetccR(c, scratch)
	l.AddRR(w, dst, scratch)
}
