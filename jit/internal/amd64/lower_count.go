package amd64

import (
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
	default:
		for at := x.To; at <= pc; at = l.p.Next(at) {
			in := l.p.Insns[at]
			if in.IsWide() {
				l.MovRI(host[in.Dst], uint64(uint32(in.Imm))|uint64(uint32(l.p.Insns[at+1].Imm))<<32)
			} else {
				l.ALU(at, in)
			}
		}
	}
}
