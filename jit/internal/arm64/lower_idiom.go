package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// Idioms: what the host has an instruction for (package opt).

func (l *lowerer) Idiom(pc prog.PC, x *opt.Idiom) {
	in := l.p.Insns[pc]
	switch x.Kind {
	case opt.Rotate:
		w := W32
		if x.Wide {
			w = W64
		}
		l.RorI(w, host[x.Dst], host[x.Src], uint(w.Bits())-uint(x.Imm))
	case opt.Sum:
		l.sum(host[x.Dst], x)
	case opt.Access:
		l.access(in, x)
	case opt.Update: // nothing but loads and stores has operands in memory
		l.LDX(pc-2, l.p.Insns[pc-2])
		l.ALU(pc-1, l.p.Insns[pc-1])
		l.STX(pc, in)
	case opt.Set:
		op := in.Op.JmpOp()
		l.compare(in, op == isa.JSet)
		c := cond(op)
		if x.Imm == 0 {
			c = c.Not()
		}
		l.Cset(W64, host[x.Dst], c)
	case opt.Branch:
		op := in.Op.JmpOp()
		l.compare(in, op == isa.JSet)
		l.BCond(cond(op).Not(), l.Label(x.To))
		if to, _ := in.Target(pc); to != pc+2 {
			l.B(l.Label(to))
		}
	case opt.Choose:
		l.choose(pc, in, x)
	case opt.Tally:
		op, w := in.Op.JmpOp(), W32
		if x.Wide {
			w = W64
		}
		l.compare(in, op == isa.JSet)
		c := cond(op)
		if x.Imm == 0 {
			c = c.Not()
		}
		l.Cinc(w, host[x.Dst], host[x.Dst], c)
	case opt.Ones, opt.Zeros, opt.Lowest:
		l.count(pc, x)
	}
}

// sum computes x into dst, which may be one of its operands.
func (l *lowerer) sum(dst Reg, x *opt.Idiom) {
	w, src := W32, host[x.Src]
	if x.Wide {
		w = W64
	}
	if x.Index != opt.NoIndex {
		l.AddShifted(w, dst, src, host[x.Index], LSL, uint(x.Shift))
		src = dst
	}
	switch n := int64(x.Imm); {
	case n == 0 && x.Index != opt.NoIndex:
	case n == 0:
		l.Mov(w, dst, src)
	case n >= 0 && IsAddImm(uint64(n)):
		l.AddI(w, dst, src, uint32(n))
	case n < 0 && IsAddImm(uint64(-n)):
		l.SubI(w, dst, src, uint32(-n))
	default:
		l.MovI(tmp0, uint64(n))
		l.Add(w, dst, src, tmp0)
	}
}

// access lowers a load or store of what x adds up to.
func (l *lowerer) access(in prog.Insn, x *opt.Idiom) {
	s, sum, off := accessSize(in), *x, x.Imm
	if FitsOffset(s, off) {
		sum.Imm = 0
	} else {
		off = 0
	}
	base := tmp2
	if sum.Index == opt.NoIndex && sum.Imm == 0 {
		base = host[sum.Src]
	} else {
		l.sum(tmp2, &sum)
	}
	m := At(base, off)
	switch {
	case in.Op.Class() == isa.STX:
		l.Str(s, host[in.Src], m)
	case in.Op.Class() == isa.ST && in.Imm == 0:
		l.Str(s, ZR, m)
	case in.Op.Class() == isa.ST:
		l.MovI(tmp0, uint64(int64(in.Imm)))
		l.Str(s, tmp0, m)
	case in.Op.Mode() == isa.MEMSX:
		l.Ldrs(W64, s, host[in.Dst], m)
	default:
		l.Ldr(s, host[in.Dst], m)
	}
}
