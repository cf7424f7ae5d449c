package arm64

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// count lowers a count of bits.
func (l *lowerer) count(_ prog.PC, x *opt.Idiom) {
	w := W32
	if x.Wide {
		w = W64
	}
	switch dst, src := host[x.Dst], host[x.Src]; x.Kind {
	case opt.Zeros:
		l.Clz(w, dst, src)
		return
	case opt.Lowest:
		l.Rbit(w, dst, src)
		l.Clz(w, dst, dst)
		l.AndI(W32, dst, dst, uint64(w.Bits()-1)) // all, if there is none
		return
	}
	// The vector unit counts the bits of each byte, and adds them up.
	const v = VReg(0)
	l.FmovToV(w, v, host[x.Src])
	l.Cnt(v, v)
	l.Addv(v, v)
	l.FmovFromV(W32, host[x.Dst], v)
}
