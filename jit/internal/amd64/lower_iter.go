package amd64

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Number iterators: 8 bytes at R1, cur and end, as helpers.IterNumNew and its
// siblings keep them.

func (l *lowerer) inlineIterNew(end emit.Label) {
	const r0 = RAX
	it, first, last, n := host[prog.R1], host[prog.R2], host[prog.R3], host[prog.R4]
	bad, tooMany := l.NewLabel(), l.NewLabel()
	l.MovsxRR(W64, W32, r0, first)
	l.MovsxRR(W64, W32, n, last)
	l.SubRR(W64, n, r0)
	l.CmpRI(W64, n, helpers.MaxIterNum)
	l.JccL(A, bad)
	l.SubRI(W32, r0, 1)
	l.MovMR(W32, At(it, 0), r0)
	l.MovMR(W32, At(it, 4), last)
	l.ZeroR(r0)
	l.late = append(l.late, func() {
		l.Bind(bad)
		l.MovMI(W64, At(it, 0), 0)
		l.TestRR(W64, n, n)
		l.JccL(NS, tooMany)
		l.MovRI(r0, helpers.Int(errno.EINVAL))
		l.JmpL(end)
		l.Bind(tooMany)
		l.MovRI(r0, helpers.Int(errno.E2BIG))
		l.JmpL(end)
	})
}

func (l *lowerer) inlineIterNext(end emit.Label) {
	const r0, cur = RAX, scratch
	it := host[prog.R1]
	through := l.NewLabel()
	l.MovRM(W32, cur, At(it, 0))
	l.AddRI(W32, cur, 1)
	l.CmpRM(W32, cur, At(it, 4))
	l.JccL(GE, through)
	l.MovMR(W32, At(it, 0), cur)
	l.MovRR(W64, r0, it)
	l.late = append(l.late, func() {
		l.Bind(through)
		l.MovMI(W64, At(it, 0), 0)
		l.ZeroR(r0)
		l.JmpL(end)
	})
}

func (l *lowerer) inlineIterDestroy() { l.MovMI(W64, At(host[prog.R1], 0), 0) }
