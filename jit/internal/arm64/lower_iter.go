package arm64

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Number iterators: 8 bytes at R1, cur and end, as helpers.IterNumNew and its
// siblings keep them.

func (l *lowerer) inlineIterNew(end emit.Label) {
	const first, n = tmp1, tmp2
	it, last := host[prog.R1], host[prog.R3]
	bad, tooMany := l.NewLabel(), l.NewLabel()
	l.Sxtw(first, host[prog.R2])
	l.Sxtw(n, last)
	l.Sub(W64, n, n, first)
	l.MovI(tmp0, helpers.MaxIterNum)
	l.Cmp(W64, n, tmp0)
	l.BCond(HI, bad)
	l.SubI(W32, first, first, 1)
	l.Str(S32, first, At(it, 0))
	l.Str(S32, last, At(it, 4))
	l.Mov(W64, R0, ZR)
	l.late = append(l.late, func() {
		l.Bind(bad)
		l.Str(S64, ZR, At(it, 0))
		l.Tbz(n, 63, tooMany)
		l.MovI(R0, helpers.Int(errno.EINVAL))
		l.B(end)
		l.Bind(tooMany)
		l.MovI(R0, helpers.Int(errno.E2BIG))
		l.B(end)
	})
}

func (l *lowerer) inlineIterNext(end emit.Label) {
	const cur, last = tmp0, tmp1
	it := host[prog.R1]
	through := l.NewLabel()
	l.Ldr(S32, cur, At(it, 0))
	l.Ldr(S32, last, At(it, 4))
	l.AddI(W32, cur, cur, 1)
	l.Cmp(W32, cur, last)
	l.BCond(GE, through)
	l.Str(S32, cur, At(it, 0))
	l.Mov(W64, R0, it)
	l.late = append(l.late, func() {
		l.Bind(through)
		l.Str(S64, ZR, At(it, 0))
		l.Mov(W64, R0, ZR)
		l.B(end)
	})
}

func (l *lowerer) inlineIterDestroy() { l.Str(S64, ZR, At(host[prog.R1], 0)) }
