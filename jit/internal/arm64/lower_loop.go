package arm64

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
	l.Str(S64, host[prog.R3], arg)
	l.Str(S64, ZR, at)
	if x.Layout == nil {
		n, tooMany := host[prog.R1], l.NewLabel()
		l.Mov(W32, n, n)
		l.MovI(tmp0, helpers.MaxLoops)
		l.Cmp(W32, n, tmp0)
		l.BCond(HI, tooMany)
		l.Str(S64, n, last)
		l.Cbz(W32, n, end)
		l.late = append(l.late, func() {
			l.Bind(tooMany)
			l.MovI(tmp0, errno.E2BIG.R0())
			l.Str(S64, tmp0, at)
			l.B(end)
		})
	} else {
		l.mapAddress(R0, x.Map, 0)
		l.toCPU(&opt.Inline{Map: x.Map, Layout: x.Layout})
		l.Str(S64, R0, value)
	}
	l.Bind(head)
	if x.Layout == nil {
		l.Ldr(S64, host[prog.R1], at)
		l.Ldr(S64, host[prog.R2], arg)
	} else {
		l.MovI(host[prog.R1], layout.MapHandle|uint64(uint32(x.Map)))
		l.AddI(W64, host[prog.R2], frame, layout.LoopAt)
		l.Ldr(S64, host[prog.R3], value)
		l.Ldr(S64, host[prog.R4], arg)
	}
	l.enter(x.Func)
	l.Ldr(S64, tmp1, at)
	l.AddI(W64, tmp1, tmp1, 1)
	l.Str(S64, tmp1, at)
	if x.Layout != nil {
		l.Ldr(S64, tmp2, value)
		l.MovI(tmp0, uint64(x.Layout.ValueStride))
		l.Add(W64, tmp2, tmp2, tmp0)
		l.Str(S64, tmp2, value)
	}
	l.Cbnz(W64, host[prog.R0], end)
	if x.Layout == nil {
		l.Ldr(S64, tmp0, last)
	} else {
		l.MovI(tmp0, uint64(x.Layout.Entries))
	}
	l.Cmp(W64, tmp1, tmp0)
	l.BCond(LO, head)
	l.Bind(end)
	l.Ldr(S64, host[prog.R0], at)
	l.restore(pc)
}
