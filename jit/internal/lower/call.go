package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Calls: of subprograms by jump, of the host by leaving code (package rt).

func (l *Lowerer) call(pc prog.PC, in prog.Insn) error {
	if in.IsCall(isa.CallSub) {
		l.callSub(pc, l.p.FuncAt(pc+1+prog.PC(in.Imm)))
		return nil
	}
	if x := l.p.Info[pc].Inline; x != nil && (x.Form != opt.InlineRandom || l.random) {
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
			l.m.Address(Temp, InFrame(layout.Size))
			l.m.Store(S64, InCtx(rt.OffFrame), Temp)
		}
		l.leaveFor(pc)
		l.restore(pc)
	}
	return nil
}

// callSub enters function f with the frame behind this one.
func (l *Lowerer) callSub(pc prog.PC, f int) {
	l.save(pc)
	l.enter(pc, f)
	l.restore(pc)
}

// enter enters function f with the frame behind this one, and comes back.
func (l *Lowerer) enter(pc prog.PC, f int) {
	back := l.code.NewLabel()
	l.m.LabelAddress(Temp, back)
	l.m.Store(S64, InFrame(layout.Size+layout.Return), Temp)
	l.aluImm(pc, isa.Add, S64, prog.R10, layout.Size)
	l.m.Jump(l.bodies + emit.Label(f))
	l.code.Bind(back)
	l.aluImm(pc, isa.Sub, S64, prog.R10, layout.Size)
}

// maxArgs is how many arguments a helper can have.
const maxArgs = 5

// arguments stores the first n arguments where helpers find them.
func (l *Lowerer) arguments(n int) {
	for i := range n {
		l.m.Store(S64, InCtx(rt.OffArg+8*int32(i)), prog.R1+prog.Reg(i))
	}
}

// save puts what lives across the call at pc into the frame.
func (l *Lowerer) save(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.m.Store(S64, savedAt(r), r)
		}
	}
}

func (l *Lowerer) restore(pc prog.PC) {
	for r := prog.R6; r <= prog.R9; r++ {
		if l.p.Info[pc].Live.Has(r) {
			l.m.Load(S64, r, savedAt(r))
		}
	}
}

func savedAt(r prog.Reg) Mem { return InFrame(layout.Saved + 8*int32(r-prog.R6)) }

// leaveFor leaves code for the helper that the call at pc names, and goes on
// with its result in R0.
func (l *Lowerer) leaveFor(pc prog.PC) {
	resume := l.code.NewLabel()
	l.storeMeter()
	l.m.StoreImm(InCtx(rt.OffSave), int32(pc))
	l.m.LeaveTo(rt.Exit(l.p.Info[pc].Call), resume)
	l.code.Bind(resume)
	l.loadMeter()
}

// callHere calls the host with arguments that are in place.
func (l *Lowerer) callHere(pc prog.PC) {
	l.save(pc)
	l.leaveFor(pc)
	l.restore(pc)
}

// CallAside calls the host for the call at pc, out of line, with arguments that are
// in place.
func (l *Lowerer) CallAside(pc prog.PC, end emit.Label) {
	l.callHere(pc)
	l.m.Jump(end)
}

// packet lowers a legacy packet load. What does not lie in the packet from its
// first byte on is left to the host: it returns the value, or a negative number
// if the packet has none there, which ends the function with 0.
func (l *Lowerer) packet(pc prog.PC, in prog.Insn) {
	const off, at = Temp, prog.R3 // which is lost as in a call
	far, end := l.code.NewLabel(), l.code.NewLabel()
	if in.Op.Mode() == isa.IND {
		l.alu(pc, isa.Mov, S32, off, in.Src)
		l.aluImm(pc, isa.Add, S32, off, in.Imm)
	} else {
		l.m.Const(off, uint64(uint32(in.Imm)))
	}
	n := int32(in.Op.Size().Bytes())
	l.m.InPacket(at, off, n, far) // it is if the offset is negative: that is 2 GiB or more here
	l.m.LoadBig(AccessSize(in), prog.R0, At(at, 0))
	l.code.Bind(end)
	l.Late(pc, func() {
		l.code.Bind(far)
		l.m.Store(S64, InCtx(rt.OffArg), off)
		l.m.StoreImm(InCtx(rt.OffArg+8), n)
		l.callHere(pc)
		l.m.IfImm(isa.JSGe, S64, prog.R0, 0, end)
		l.m.Zero(prog.R0)
		l.exit()
	})
}

// AccessSize returns the size of a load or store.
func AccessSize(in prog.Insn) Size {
	switch in.Op.Size() {
	case isa.B:
		return S8
	case isa.H:
		return S16
	case isa.W:
		return S32
	default:
		return S64
	}
}
