package amd64

import (
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
)

// Entering and leaving functions and code. Package layout draws the frame.

// loopAlign is the alignment of loops: a line of the instruction cache. A loop
// that lies in one is read at once; one that straddles two takes half as long
// again.
const loopAlign = 64

// inFrame is the memory at off from Frame.
func inFrame(off int32) Mem { return At(frame, off) }

// inCtx is the memory at off in the rt.Context.
func inCtx(off int32) Mem { return At(ctx, off) }

func (l *lowerer) AlignFunc() { l.Align(16) }

func (l *lowerer) Head(near, far emit.Label) { l.AlignLoop(loopAlign, 1, near, far) }

func (l *lowerer) Trap() { l.Ud2() }

func (l *lowerer) ZeroStack(n int32) {
	l.ZeroR(scratch)
	for off := -n; off < 0; off += 8 {
		l.MovMR(W64, inFrame(off), scratch)
	}
}

func (l *lowerer) Leave(e rt.Exit) {
	l.MovRI(RDX, uint64(uint32(e)))
	l.Ret()
}

func (l *lowerer) LeaveTo(e rt.Exit, resume emit.Label) {
	l.LeaL(RAX, resume)
	l.Leave(e)
}

func (l *lowerer) KeepResults() {
	l.MovMR(W64, inCtx(rt.OffSave), RAX)
	l.MovMR(W64, inCtx(rt.OffSave+8), RDX)
}

func (l *lowerer) Spend(n int32, out emit.Label) {
	l.SubRI(W64, meter, n)
	l.JccL(B, out)
}

func (l *lowerer) SpendWord(m lower.Mem, metered bool, out emit.Label) {
	if metered {
		l.SubRM(W64, meter, memory(m))
	} else {
		l.MovRM(W64, scratch, memory(m))
		l.SubMR(W64, inCtx(rt.OffMeter), scratch)
	}
	l.JccL(B, out)
}

func (l *lowerer) Unspend(m lower.Mem, metered bool) {
	if metered {
		l.AddRM(W64, meter, memory(m))
	} else {
		l.MovRM(W64, scratch, memory(m))
		l.AddMR(W64, inCtx(rt.OffMeter), scratch)
	}
}
