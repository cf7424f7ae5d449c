package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// choose lowers the jump in at pc over x.Imm instructions to conditional
// selections. What they compute goes to tmp1 where it is no register; only what
// leaves the flags alone follows the comparison.
func (l *lowerer) choose(pc prog.PC, in prog.Insn, x *opt.Idiom) {
	op := in.Op.JmpOp()
	c := cond(op).Not() // when they count
	l.compare(in, op == isa.JSet)
	for _, body := range l.p.Insns[pc+1 : pc+1+prog.PC(x.Imm)] {
		w, dst := operandWidth(body), host[body.Dst]
		result := tmp1
		switch body.Op.ALUOp() {
		case isa.Mov:
			switch {
			case body.Op.Source() == isa.K && body.Imm == 0:
				result = ZR
			case body.Op.Source() == isa.K:
				l.MovI(tmp1, constant(body))
			case w == W64 || !x.Wide:
				result = host[body.Src]
			default:
				l.Mov(W32, tmp1, host[body.Src])
			}
		case isa.Neg:
			l.Neg(w, tmp1, dst)
		case isa.Lsh, isa.Rsh, isa.Arsh:
			l.shiftTo(tmp1, body)
		default:
			l.into(tmp1, body)
		}
		if w == W32 && !x.Wide {
			l.Csel(W32, dst, result, dst, c)
		} else {
			l.Csel(W64, dst, result, dst, c)
		}
	}
}

// shiftTo computes the shift op, by a constant, of its register into d.
func (l *lowerer) shiftTo(d Reg, op prog.Insn) {
	w, n := operandWidth(op), host[op.Dst]
	count := uint(op.Imm) & uint(w.Bits()-1)
	switch kind := op.Op.ALUOp(); {
	case count == 0:
		l.Mov(w, d, n)
	case kind == isa.Lsh:
		l.LslI(w, d, n, count)
	case kind == isa.Rsh:
		l.LsrI(w, d, n, count)
	default:
		l.AsrI(w, d, n, count)
	}
}

// into computes the operation op, a sum or a logical one, into d. It leaves the
// flags alone.
func (l *lowerer) into(d Reg, op prog.Insn) {
	w, n, m := operandWidth(op), host[op.Dst], l.source(op)
	switch op.Op.ALUOp() {
	case isa.Add:
		l.Add(w, d, n, m)
	case isa.Sub:
		l.Sub(w, d, n, m)
	case isa.And:
		l.And(w, d, n, m)
	case isa.Or:
		l.Orr(w, d, n, m)
	case isa.Xor:
		l.Eor(w, d, n, m)
	}
}
