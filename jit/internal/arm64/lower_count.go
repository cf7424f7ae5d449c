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
	if x.Kind == opt.Zeros {
		l.Clz(w, host[x.Dst], host[x.Src])
		return
	}
	// The vector unit counts the bits of each byte, and adds them up.
	const v = VReg(0)
	l.FmovToV(w, v, host[x.Src])
	l.Cnt(v, v)
	l.Addv(v, v)
	l.FmovFromV(W32, host[x.Dst], v)
}
