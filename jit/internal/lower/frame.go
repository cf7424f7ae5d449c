package lower

import (
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Entering and leaving functions and code. Package layout draws the frame.

// prologue begins the body of a function. The host and tail calls enter the
// main program here, with the context in the first argument.
func (l *Lowerer) prologue() {
	l.m.AlignFunc()
	l.code.Bind(l.bodies + emit.Label(l.F))
	if l.F == 0 {
		l.m.Load(S64, prog.R1, InCtx(rt.OffArg))
		l.code.Bind(l.tail)
		l.loadMeter()
	} else if l.metered {
		l.charge(l.p.Program.Funcs[l.F].Entry, l.p.Funcs[l.F].Weight)
	}
	l.zero(l.p.Funcs[l.F].Unset)
	if n := l.p.Funcs[l.F].Stale; n > 0 {
		l.m.ZeroStack(n)
	}
	if l.p.Funcs[l.F].MayGoto {
		l.m.StoreImm(InFrame(layout.Loops), layout.MaxLoops)
	}
}

// exit ends the function: the main program leaves code, and so does what handles
// exceptions in its place; another one goes back to where it was called.
func (l *Lowerer) exit() {
	if l.F == 0 || l.F == l.p.Program.Handler {
		l.leave()
	} else {
		l.m.JumpMem(InFrame(layout.Return))
	}
}

// leave ends the run, or the callback.
func (l *Lowerer) leave() {
	l.storeMeter()
	l.m.Leave(rt.Done)
}

func (l *Lowerer) loadMeter() {
	if l.metered {
		l.m.Load(S64, Meter, InCtx(rt.OffMeter))
	}
}

func (l *Lowerer) storeMeter() {
	if l.metered {
		l.m.Store(S64, InCtx(rt.OffMeter), Meter)
	}
}

// A yield is the code, out of line, that gives Go a turn.
type yield struct {
	start, back emit.Label
	pc          prog.PC
}

// charge takes n from the meter, and yields if it had less. The meter is never
// negative before.
func (l *Lowerer) charge(pc prog.PC, n int32) {
	y := yield{start: l.code.NewLabel(), back: l.code.NewLabel(), pc: pc}
	l.yields = append(l.yields, y)
	l.m.Spend(n, y.start)
	l.code.Bind(y.back)
}

// entries writes, for each function whose address the program takes, the code
// that the host enters it by. It returns where.
func (l *Lowerer) entries() (all []entry) {
	for f := range l.p.Funcs {
		if !l.p.Funcs[f].Callback {
			continue
		}
		at := l.code.NewLabel()
		all = append(all, entry{f, at})
		l.code.Mark(emit.PC(l.p.Program.Funcs[f].Entry))
		l.code.Bind(at)
		if f != l.p.Program.Handler { // whose frame is that of the main program, which may be another function's
			l.m.LabelAddress(Temp, l.done)
			l.m.Store(S64, InFrame(layout.Return), Temp)
		}
		for i := range int32(maxArgs) {
			l.m.Load(S64, prog.R1+prog.Reg(i), InCtx(rt.OffArg+8*i))
		}
		l.loadMeter()
		l.m.Jump(l.bodies + emit.Label(f))
	}
	return all
}

// An entry is where the host enters function f.
type entry struct {
	f  int
	at emit.Label
}

// outOfLine writes what is rarely run.
func (l *Lowerer) outOfLine() {
	l.code.Bind(l.done)
	l.leave()
	for _, x := range l.late {
		l.F = x.f
		l.code.Mark(emit.PC(x.pc))
		x.write()
	}
	for _, y := range l.yields {
		l.code.Mark(emit.PC(y.pc))
		resume := l.code.NewLabel()
		l.code.Bind(y.start)
		l.storeMeter()
		l.m.KeepResults()
		l.m.StoreImm(InCtx(rt.OffArg), int32(y.pc)) // for whoever wants to know
		l.m.LeaveTo(rt.Yield, resume)
		l.code.Bind(resume)
		l.loadMeter()
		l.m.Jump(y.back)
	}
}
