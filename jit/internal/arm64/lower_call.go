package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Calls: of subprograms by jump, of the host by leaving code (package rt).

func (l *lowerer) call(pc prog.PC, in prog.Insn) error {
	if in.IsCall(isa.CallSub) {
		l.callSub(pc, l.p.FuncAt(pc+1+prog.PC(in.Imm)))
		return nil
	}
	if x := l.p.Info[pc].Inline; x != nil {
		l.inline(pc, x)
		return nil
	}
	if x := l.p.Info[pc].Loop; x != nil {
		l.loop(pc, x)
		return nil
	}
	switch c := &l.p.Calls[l.p.Info[pc].Call]; c.Kind {
	case opt.CallTail:
		l.tailCall(pc)
	default:
		l.arguments(maxArgs) // a variadic helper's contract names fewer than it gets
		l.save(pc)
		if c.Kind == opt.CallCallback {
			l.AddI(W64, tmp0, frame, layout.Size)
			l.Str(S64, tmp0, inCtx(rt.OffFrame))
		}
		l.leaveFor(pc)
		l.restore(pc)
	}
	return nil
}

// callSub enters function f with the frame behind this one.
func (l *lowerer) callSub(pc prog.PC, f int) {
	l.save(pc)
	l.enter(f)
	l.restore(pc)
}

// enter enters function f with the frame behind this one, and comes back.
func (l *lowerer) enter(f int) {
	back := l.NewLabel()
	l.Adr(tmp0, back)
	l.AddI(W64, frame, frame, layout.Size)
	l.Str(S64, tmp0, inFrame(layout.Return))
	l.B(l.bodies + emit.Label(f))
	l.Bind(back)
	l.SubI(W64, frame, frame, layout.Size)
}

// maxArgs is how many arguments a helper can have.
const maxArgs = 5

// arguments stores the first n arguments where helpers find them.
func (l *lowerer) arguments(n int) {
	for i := range n {
		l.Str(S64, host[prog.R1+prog.Reg(i)], inCtx(rt.OffArg+8*int32(i)))
	}
}

// save puts what lives across the call at pc into the frame.
func (l *lowerer) save(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.Str(S64, host[r], inFrame(savedAt(r)))
		}
	}
}

func (l *lowerer) restore(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.Ldr(S64, host[r], inFrame(savedAt(r)))
		}
	}
}

func savedAt(r prog.Reg) int32 { return layout.Saved + 8*int32(r-prog.R6) }

// leaveFor leaves code for the helper that the call at pc names, and goes on
// with its result in R0.
func (l *lowerer) leaveFor(pc prog.PC) {
	resume := l.NewLabel()
	l.storeMeter()
	l.MovI(tmp0, uint64(pc))
	l.Str(S64, tmp0, inCtx(rt.OffSave))
	l.Adr(R0, resume)
	l.MovI(exitReg, exitCode(rt.Exit(l.p.Info[pc].Call)))
	l.Ret()
	l.Bind(resume)
	l.loadMeter()
}

// tailCall asks the host for the target: 0 if there is none, layout.Ran if the
// host has run it, whose result is then this function's, or, in the main program
// alone, where to go on.
func (l *lowerer) tailCall(pc prog.PC) {
	const args = 3
	none := l.NewLabel()
	l.arguments(args)
	l.save(pc)
	if l.f != 0 {
		l.Str(S64, frame, inCtx(rt.OffFrame))
	}
	l.MovI(tmp0, uint64(l.f))
	l.Str(S64, tmp0, inCtx(rt.OffArg+8*args))
	l.leaveFor(pc)
	l.Cbz(W64, R0, none)
	if l.f == 0 {
		ran := l.NewLabel()
		l.CmpI(W64, R0, layout.Ran)
		l.BCond(EQ, ran)
		l.Br(R0)
		l.Bind(ran)
	}
	l.Ldr(S64, R0, inCtx(rt.OffR0))
	l.exit()
	l.Bind(none)
	l.restore(pc)
}

// packet lowers a legacy packet load. What does not lie in the packet from its
// first byte on is left to the host: it returns the value, or a negative number
// if the packet has none there, which ends the function with 0.
func (l *lowerer) packet(pc prog.PC, in prog.Insn) {
	const off, at = tmp0, tmp1
	far, end := l.NewLabel(), l.NewLabel()
	l.MovI(off, uint64(uint32(in.Imm)))
	if in.Op.Mode() == isa.IND {
		l.Add(W32, off, off, host[in.Src])
	}
	n := int32(in.Op.Size().Bytes())
	l.Ldr(S64, at, inCtx(rt.OffPacket))
	l.Ldr(S64, tmp2, inCtx(rt.OffPacketEnd))
	l.Add(W64, at, at, off)
	l.AddI(W64, at, at, uint32(n))
	l.Cmp(W64, at, tmp2)
	l.BCond(HI, far) // also if the offset is negative: that is 2 GiB or more here
	switch n {
	case 1:
		l.Ldr(S8, R0, At(at, -n))
	case 2:
		l.Ldr(S16, R0, At(at, -n))
		l.Rev16(W32, R0, R0)
	default:
		l.Ldr(S32, R0, At(at, -n))
		l.Rev(W32, R0, R0)
	}
	l.Bind(end)
	f := l.f
	l.late = append(l.late, func() {
		l.f = f
		l.Mark(emit.PC(pc))
		l.Bind(far)
		l.MovI(tmp1, uint64(n))
		l.Stp(W64, off, tmp1, inCtx(rt.OffArg))
		l.save(pc)
		l.leaveFor(pc)
		l.restore(pc)
		l.Tbz(R0, 63, end)
		l.Mov(W64, R0, ZR)
		l.exit()
	})
}
