package amd64

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Loops that call a function of the program. Where they are lies in the frame,
// since the function leaves nothing in registers.

func (l *lowerer) loop(pc prog.PC, x *opt.Loop) {
	head, end := l.NewLabel(), l.NewLabel()
	at, last, value, arg := inFrame(layout.LoopAt), inFrame(layout.LoopEnd), inFrame(layout.LoopVal), inFrame(layout.LoopArg)
	l.save(pc)
	l.MovMR(W64, arg, host[prog.R3])
	l.MovMI(W64, at, 0)
	if x.Layout == nil {
		n, tooMany := host[prog.R1], l.NewLabel()
		l.MovRR(W32, n, n)
		l.CmpRI(W32, n, helpers.MaxLoops)
		l.JccL(A, tooMany)
		l.MovMR(W64, last, n)
		l.TestRR(W32, n, n)
		l.JccL(E, end)
		l.late = append(l.late, func() {
			l.Bind(tooMany)
			l.MovMI(W64, at, int32(int64(errno.E2BIG.R0())))
			l.JmpL(end)
		})
	} else {
		l.mapAddress(host[prog.R0], x.Map, 0)
		l.toCPU(&opt.Inline{Map: x.Map, Layout: x.Layout})
		l.MovMR(W64, value, host[prog.R0])
	}
	l.Bind(head)
	if x.Layout == nil {
		l.MovRM(W64, host[prog.R1], at)
		l.MovRM(W64, host[prog.R2], arg)
	} else {
		l.MovRI(host[prog.R1], layout.MapHandle|uint64(uint32(x.Map)))
		l.Lea(W64, host[prog.R2], at)
		l.MovRM(W64, host[prog.R3], value)
		l.MovRM(W64, host[prog.R4], arg)
	}
	l.enter(x.Func)
	l.MovRM(W64, scratch, at)
	l.IncR(W64, scratch)
	l.MovMR(W64, at, scratch)
	if x.Layout != nil {
		l.AddMI(W64, value, int32(x.Layout.ValueStride))
	}
	l.TestRR(W64, host[prog.R0], host[prog.R0])
	l.JccL(NE, end)
	if x.Layout == nil {
		l.CmpRM(W64, scratch, last)
	} else {
		l.CmpRI(W64, scratch, int32(x.Layout.Entries))
	}
	l.JccL(B, head)
	l.Bind(end)
	l.MovRM(W64, host[prog.R0], at)
	l.restore(pc)
}
