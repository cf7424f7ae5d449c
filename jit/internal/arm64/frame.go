package arm64

import (
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
)

// Entering and leaving functions and code. Package layout draws the frame.

// inFrame is the memory at off from Frame.
func inFrame(off int32) Mem { return At(frame, off) }

// inCtx is the memory at off in the rt.Context.
func inCtx(off int32) Mem { return At(ctx, off) }

func (l *lowerer) AlignFunc() {}

func (l *lowerer) Head(near, far emit.Label) {}

func (l *lowerer) Trap() { l.Brk(0) }

func (l *lowerer) ZeroStack(n int32) {
	for off := -n; off < 0; off += 16 {
		l.Stp(W64, ZR, ZR, inFrame(off))
	}
}

func (l *lowerer) Leave(e rt.Exit) {
	l.MovI(exitReg, uint64(uint32(e)))
	l.Ret()
}

func (l *lowerer) LeaveTo(e rt.Exit, resume emit.Label) {
	l.Adr(R0, resume)
	l.Leave(e)
}

func (l *lowerer) KeepResults() { l.Stp(W64, R0, R1, inCtx(rt.OffSave)) }

func (l *lowerer) Spend(n int32, out emit.Label) {
	if IsAddImm(uint64(n)) {
		l.SubsI(W64, meter, meter, uint32(n))
	} else {
		l.MovI(tmp0, uint64(n))
		l.Subs(W64, meter, meter, tmp0)
	}
	l.BCond(LO, out)
}

func (l *lowerer) SpendWord(m lower.Mem, metered bool, out emit.Label) {
	l.Ldr(S64, tmp2, l.memory(m))
	if metered {
		l.Subs(W64, meter, meter, tmp2)
		l.BCond(LO, out)
		return
	}
	l.Ldr(S64, tmp0, inCtx(rt.OffMeter))
	l.Subs(W64, tmp0, tmp0, tmp2)
	l.BCond(LO, out)
	l.Str(S64, tmp0, inCtx(rt.OffMeter))
}

// Unspend has nothing to give back in memory: SpendWord stores no meter that had
// less.
func (l *lowerer) Unspend(m lower.Mem, metered bool) {
	if metered {
		l.Ldr(S64, tmp0, l.memory(m))
		l.Add(W64, meter, meter, tmp0)
	}
}
