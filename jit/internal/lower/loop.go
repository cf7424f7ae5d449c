package lower

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Loops that call a function of the program. Where they are lies in the frame,
// since the function leaves nothing in registers.

func (l *Lowerer) loop(pc prog.PC, x *opt.Loop) {
	head, end := l.code.NewLabel(), l.code.NewLabel()
	at, last, value, arg := InFrame(layout.LoopAt), InFrame(layout.LoopEnd), InFrame(layout.LoopVal), InFrame(layout.LoopArg)
	l.save(pc)
	l.m.Store(S64, arg, prog.R3)
	l.m.StoreImm(at, 0)
	if x.Layout == nil {
		const n = prog.R1
		tooMany := l.code.NewLabel()
		l.alu(pc, isa.Mov, S32, n, n)
		l.m.IfImm(isa.JGt, S32, n, helpers.MaxLoops, tooMany)
		l.m.Store(S64, last, n)
		l.m.IfImm(isa.JEq, S32, n, 0, end)
		l.Late(pc, func() {
			l.code.Bind(tooMany)
			l.m.StoreImm(at, int32(int64(errno.E2BIG.R0())))
			l.m.Jump(end)
		})
	} else {
		l.m.MapAddress(prog.R0, x.Map, 0)
		l.toCPU(&opt.Inline{Map: x.Map, Layout: x.Layout})
		l.m.Store(S64, value, prog.R0)
	}
	l.code.Bind(head)
	if x.Layout == nil {
		l.m.Load(S64, prog.R1, at)
		l.m.Load(S64, prog.R2, arg)
	} else {
		l.m.Const(prog.R1, layout.MapHandle|uint64(uint32(x.Map)))
		l.m.Address(prog.R2, at)
		l.m.Load(S64, prog.R3, value)
		l.m.Load(S64, prog.R4, arg)
	}
	l.enter(pc, x.Func)
	l.m.Load(S64, Temp, at)
	l.aluImm(pc, isa.Add, S64, Temp, 1)
	l.m.Store(S64, at, Temp)
	if x.Layout != nil {
		l.m.AddTo(value, int32(x.Layout.ValueStride))
	}
	l.m.IfImm(isa.JNe, S64, prog.R0, 0, end)
	if x.Layout == nil {
		l.m.IfMem(isa.JLt, S64, Temp, last, head)
	} else {
		l.m.IfImm(isa.JLt, S64, Temp, int32(x.Layout.Entries), head)
	}
	l.code.Bind(end)
	l.m.Load(S64, prog.R0, at)
	l.restore(pc)
}
