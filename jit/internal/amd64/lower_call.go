package amd64

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
			l.Lea(W64, scratch, inFrame(layout.Size))
			l.MovMR(W64, inCtx(rt.OffFrame), scratch)
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
	l.LeaL(scratch, back)
	l.MovMR(W64, inFrame(layout.Size+layout.Return), scratch)
	l.AddRI(W64, frame, layout.Size)
	l.JmpL(l.bodies + emit.Label(f))
	l.Bind(back)
	l.SubRI(W64, frame, layout.Size)
}

// maxArgs is how many arguments a helper can have.
const maxArgs = 5

// arguments stores the first n arguments where helpers find them.
func (l *lowerer) arguments(n int) {
	for i := range n {
		l.MovMR(W64, inCtx(rt.OffArg+8*int32(i)), host[prog.R1+prog.Reg(i)])
	}
}

// save puts what lives across the call at pc into the frame.
func (l *lowerer) save(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.MovMR(W64, inFrame(savedAt(r)), host[r])
		}
	}
}

func (l *lowerer) restore(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.MovRM(W64, host[r], inFrame(savedAt(r)))
		}
	}
}

func savedAt(r prog.Reg) int32 { return layout.Saved + 8*int32(r-prog.R6) }

// leaveFor leaves code for the helper that the call at pc names, and goes on
// with its result in R0.
func (l *lowerer) leaveFor(pc prog.PC) {
	resume := l.NewLabel()
	l.storeMeter()
	l.MovMI(W64, inCtx(rt.OffSave), int32(pc))
	l.LeaL(RAX, resume)
	l.MovRI(RDX, exitCode(rt.Exit(l.p.Info[pc].Call)))
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
		l.MovMR(W64, inCtx(rt.OffFrame), frame)
	}
	l.MovMI(W64, inCtx(rt.OffArg+8*args), int32(l.f))
	l.leaveFor(pc)
	l.TestRR(W64, RAX, RAX)
	l.JccL(E, none)
	if l.f == 0 {
		ran := l.NewLabel()
		l.CmpRI(W64, RAX, layout.Ran)
		l.JccL(E, ran)
		l.JmpR(RAX)
		l.Bind(ran)
	}
	l.MovRM(W64, RAX, inCtx(rt.OffR0))
	l.exit()
	l.Bind(none)
	l.restore(pc)
}

// packet lowers a legacy packet load. What does not lie in the packet from its
// first byte on is left to the host: it returns the value, or a negative number
// if the packet has none there, which ends the function with 0.
func (l *lowerer) packet(pc prog.PC, in prog.Insn) {
	const off, at = scratch, RDX // R3, which is lost as in a call
	far, end := l.NewLabel(), l.NewLabel()
	if in.Op.Mode() == isa.IND {
		l.MovRR(W32, off, host[in.Src])
		l.AddRI(W32, off, in.Imm)
	} else {
		l.MovRI(off, uint64(uint32(in.Imm)))
	}
	n := int32(in.Op.Size().Bytes())
	l.MovRM(W64, at, inCtx(rt.OffPacket))
	l.AddRR(W64, at, off)
	l.AddRI(W64, at, n)
	l.CmpRM(W64, at, inCtx(rt.OffPacketEnd))
	l.JccL(A, far) // also if the offset is negative: that is 2 GiB or more here
	switch n {
	case 1:
		l.MovzxRM(W8, RAX, At(at, -n))
	case 2:
		l.MovzxRM(W16, RAX, At(at, -n))
		l.RolRI(W16, RAX, 8)
	default:
		l.MovRM(W32, RAX, At(at, -n))
		l.BswapR(W32, RAX)
	}
	l.Bind(end)
	f := l.f
	l.late = append(l.late, func() {
		l.f = f
		l.Mark(emit.PC(pc))
		l.Bind(far)
		l.MovMR(W64, inCtx(rt.OffArg), off)
		l.MovMI(W64, inCtx(rt.OffArg+8), n)
		l.save(pc)
		l.leaveFor(pc)
		l.restore(pc)
		l.TestRR(W64, RAX, RAX)
		l.JccL(NS, end)
		l.ZeroR(RAX)
		l.exit()
	})
}
