package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// tailCall asks the host for the target: 0 if there is none, layout.Ran if the
// host has run it, whose result is then this function's, or, in the main program
// alone, where to go on.
func (l *Lowerer) tailCall(pc prog.PC) {
	const args = 3
	none := l.code.NewLabel()
	l.arguments(args)
	l.save(pc)
	if l.F != 0 {
		l.m.Store(S64, InCtx(rt.OffFrame), prog.R10)
	}
	l.m.StoreImm(InCtx(rt.OffArg+8*args), int32(l.F))
	l.leaveFor(pc)
	l.m.IfImm(isa.JEq, S64, prog.R0, 0, none)
	if l.F == 0 {
		ran := l.code.NewLabel()
		l.m.IfImm(isa.JEq, S64, prog.R0, layout.Ran, ran)
		l.m.JumpReg(prog.R0)
		l.code.Bind(ran)
	}
	l.m.Load(S64, prog.R0, InCtx(rt.OffR0))
	l.exit()
	l.code.Bind(none)
	l.restore(pc)
}

// inlineTail goes on in the program at place R3 of a prog array by a jump (see
// rt.Target), if there is one that has machine code, is of the run's kind, and has
// room for its frames, and if the meter has enough left. Otherwise code calls, and
// the host looks closer. Without a target, or after too many tail calls, code goes
// on here.
func (l *Lowerer) inlineTail(pc prog.PC, x *opt.Inline, end emit.Label) {
	const target, entry, temp = prog.R0, prog.R4, prog.R5
	weight, tails := At(target, rt.TargetWeight), InCtx(rt.OffTails)
	slow, undo, none := l.code.NewLabel(), l.code.NewLabel(), l.code.NewLabel()
	if place, ok := l.p.Place(pc); !ok {
		l.alu(pc, isa.Mov, S32, target, prog.R3)
		l.m.IfImm(isa.JGe, S32, target, int32(x.Layout.Entries), end)
		l.m.MapAddress(Temp, x.Map, 0)
		l.m.LoadJump(target, Temp, target)
	} else if place < x.Layout.Entries {
		l.m.MapAddress(Temp, x.Map, 8*place)
		l.m.LoadJump(target, Temp, NumRegs)
	} else {
		return
	}
	l.m.IfImm(isa.JLe, S64, target, maps.JumpOther, none)
	l.m.Load(S64, entry, At(target, rt.TargetEntry))
	l.m.Load(S64, temp, At(target, rt.TargetKind))
	l.m.IfImm(isa.JEq, S64, entry, 0, slow)
	l.m.IfMem(isa.JNe, S64, temp, InCtx(rt.OffKind), slow)
	l.m.Load(S64, temp, At(target, rt.TargetSpan))
	l.alu(pc, isa.Add, S64, temp, prog.R10)
	l.m.IfMem(isa.JGt, S64, temp, InCtx(rt.OffEnd), slow)
	l.m.CountDown(tails, end)
	l.m.SpendWord(weight, l.metered, undo)
	l.storeMeter()
	l.m.Store(S64, InCtx(rt.OffTarget), target)
	l.m.JumpReg(entry)
	l.Late(pc, func() {
		l.code.Bind(none)
		l.m.IfImm(isa.JLt, S64, target, maps.JumpOther, end) // not even one of another engine
		l.m.Jump(slow)
		l.code.Bind(undo)
		l.m.Unspend(weight, l.metered)
		l.m.AddTo(tails, 1)
		l.code.Bind(slow)
		l.m.Const(prog.R2, layout.MapHandle|uint64(x.Map))
		l.tailCall(pc)
		l.m.Jump(end)
	})
}
