package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// count lowers a count of bits, which ends at pc: by itself, if the host has an
// instruction for it.
func (l *lowerer) count(pc prog.PC, x *opt.Idiom) {
	w := W32
	if x.Wide {
		w = W64
	}
	switch {
	case x.Kind == opt.Ones && l.features.POPCNT:
		l.PopcntRR(w, host[x.Dst], host[x.Src])
	case x.Kind == opt.Zeros && l.features.LZCNT:
		l.LzcntRR(w, host[x.Dst], host[x.Src])
	case x.Kind == opt.Lowest && l.features.BMI1:
		l.TzcntRR(w, host[x.Dst], host[x.Src])
		l.AndRI(W32, host[x.Dst], int32(w.Bits()-1)) // all, if there is none
	default:
		for at := x.To; at <= pc; at = l.p.Next(at) {
			in := l.p.Insns[at]
			switch c := in.Op.Class(); {
			case in.IsWide() && in.Src == isa.PseudoMapValue:
				l.MapAddress(in.Dst, in.Imm, uint32(l.p.Insns[at+1].Imm))
			case in.IsWide():
				l.MovRI(host[in.Dst], uint64(uint32(in.Imm))|uint64(uint32(l.p.Insns[at+1].Imm))<<32)
			case c == isa.LDX:
				l.LDX(at, in)
			default:
				l.ALU(at, in)
			}
		}
	}
}
