package amd64

import (
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Entering and leaving functions and code. Package layout draws the frame.

// inFrame is the memory at off from Frame.
func inFrame(off int32) Mem { return At(frame, off) }

// inCtx is the memory at off in the rt.Context.
func inCtx(off int32) Mem { return At(ctx, off) }

// prologue begins the body of a function. The host and tail calls enter the
// main program here, with the context in the first argument.
func (l *lowerer) prologue() {
	l.Align(16)
	l.Bind(l.bodies + emit.Label(l.f))
	if l.f == 0 {
		l.MovRM(W64, host[prog.R1], inCtx(rt.OffArg))
		l.Bind(l.tail)
		l.loadMeter()
	} else if l.metered {
		l.charge(l.p.Program.Funcs[l.f].Entry, l.p.Funcs[l.f].Weight)
	}
	l.zero(l.p.Funcs[l.f].Unset)
	if l.p.ZeroStack {
		l.ZeroR(scratch)
		for off := int32(-layout.Stack); off < 0; off += 8 {
			l.MovMR(W64, inFrame(off), scratch)
		}
	}
	if l.p.Funcs[l.f].MayGoto {
		l.MovMI(W64, inFrame(layout.Loops), layout.MaxLoops)
	}
}

// exit ends the function: the main program leaves code, another one goes back
// to where it was called.
func (l *lowerer) exit() {
	if l.f == 0 {
		l.leave()
	} else {
		l.JmpM(inFrame(layout.Return))
	}
}

// leave ends the run, or the callback.
func (l *lowerer) leave() {
	l.storeMeter()
	l.MovRI(RDX, exitCode(rt.Done))
	l.Ret()
}

func exitCode(e rt.Exit) uint64 { return uint64(uint32(e)) }

func (l *lowerer) loadMeter() {
	if l.metered {
		l.MovRM(W64, meter, inCtx(rt.OffMeter))
	}
}

func (l *lowerer) storeMeter() {
	if l.metered {
		l.MovMR(W64, inCtx(rt.OffMeter), meter)
	}
}

// charge takes n from the meter, and yields if it had less. The meter is never
// negative before.
func (l *lowerer) charge(pc prog.PC, n int32) {
	y := yield{start: l.NewLabel(), back: l.NewLabel(), pc: pc}
	l.yields = append(l.yields, y)
	l.SubRI(W64, meter, n)
	l.JccL(B, y.start)
	l.Bind(y.back)
}

// entries writes, for each function whose address the program takes, the code
// that the host enters it by. It returns where.
func (l *lowerer) entries() map[int]emit.Label {
	at := map[int]emit.Label{}
	for f := range l.p.Funcs {
		if !l.p.Funcs[f].Callback {
			continue
		}
		at[f] = l.NewLabel()
		l.Mark(emit.PC(l.p.Program.Funcs[f].Entry))
		l.Bind(at[f])
		l.LeaL(scratch, l.done)
		l.MovMR(W64, inFrame(layout.Return), scratch)
		for i := range int32(5) {
			l.MovRM(W64, host[prog.R1+prog.Reg(i)], inCtx(rt.OffArg+8*i))
		}
		l.loadMeter()
		l.JmpL(l.bodies + emit.Label(f))
	}
	return at
}

// outOfLine writes what is rarely run.
func (l *lowerer) outOfLine() {
	l.Bind(l.done)
	l.leave()
	for _, write := range l.late {
		write()
	}
	for _, y := range l.yields {
		l.Mark(emit.PC(y.pc))
		resume := l.NewLabel()
		l.Bind(y.start)
		l.storeMeter()
		l.MovMR(W64, inCtx(rt.OffSave), RAX)
		l.MovMR(W64, inCtx(rt.OffSave+8), RDX)
		l.MovMI(W64, inCtx(rt.OffArg), int32(y.pc)) // for whoever wants to know
		l.LeaL(RAX, resume)
		l.MovRI(RDX, exitCode(rt.Yield))
		l.Ret()
		l.Bind(resume)
		l.loadMeter()
		l.JmpL(y.back)
	}
}
