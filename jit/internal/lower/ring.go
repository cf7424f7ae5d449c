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

// Records of ring buffers: what package maps does in Reserve and Commit. What
// code reserves it notes in the Context, so that a run that ends early leaves
// nothing open.

// reserve reserves a record. If there is no room, or there seems to be none, code
// calls.
func (l *Lowerer) reserve(pc prog.PC, x *opt.Inline, end emit.Label) {
	const ring, record, top = Temp, prog.R0, prog.R4
	slow := l.code.NewLabel()
	if flags, ok := l.p.Constant(pc, prog.R3); !ok || flags != 0 {
		l.m.IfImm(isa.JNe, S64, prog.R3, 0, slow)
	}
	l.m.MapAddress(ring, x.Map, 0)
	l.m.Load(S64, top, InCtx(rt.OffHeldTop))
	l.m.IfImm(isa.JGe, S32, top, rt.MaxHeld*rt.HeldSize, slow)
	l.claim(x, slow)
	l.m.StorePair(Indexed(Ctx, top, rt.OffHeld), record, ring)
	l.aluImm(pc, isa.Add, S64, top, rt.HeldSize)
	l.m.Store(S64, InCtx(rt.OffHeldTop), top)
	l.Late(pc, func() {
		l.code.Bind(slow)
		l.m.Const(Temp, layout.MapHandle|uint64(x.Map))
		l.m.StorePair(InCtx(rt.OffArg), Temp, prog.R2)
		l.m.Store(S64, InCtx(rt.OffArg+16), prog.R3)
		l.CallAside(pc, end)
	})
}

// output makes a record of what is at R2. The host is called to do that, or, with the
// ring buffer and the record as the first arguments, if its readers may have to be
// woken.
func (l *Lowerer) output(pc prog.PC, x *opt.Inline, end emit.Label) {
	const data, flags, ring, record, temp = prog.R2, prog.R4, Temp, prog.R0, prog.R5
	slow, woken := l.code.NewLabel(), l.code.NewLabel()
	l.m.MapAddress(ring, x.Map, 0)
	l.claim(x, slow)
	for _, part := range opt.Pieces(x.Size) {
		l.m.Load(Size(part.Log), temp, At(data, part.At))
		l.m.Store(Size(part.Log), At(record, part.At), temp)
	}
	l.m.Const(temp, uint64(x.Size)|maps.RingWhole)
	l.publish(pc, temp, record, flags, woken)
	l.m.Zero(prog.R0)
	l.Late(pc, func() {
		l.code.Bind(slow)
		l.m.Const(prog.R1, layout.MapHandle|uint64(x.Map))
		l.arguments(4)
		l.CallAside(pc, end)
		l.code.Bind(woken)
		l.m.StorePair(InCtx(rt.OffArg), ring, record)
		l.m.Store(S64, InCtx(rt.OffArg+24), flags)
		l.CallAside(pc, end)
	})
}

// claim claims place for an open record in the ring buffer at Temp: its address is in R0.
func (l *Lowerer) claim(x *opt.Inline, full emit.Label) {
	l.m.Claim(Temp, prog.R0, int32(x.Size), int32(x.Size+8+7)&^7, int32(x.Layout.Entries-1), full)
}

// publish stores word as the header of the record, which makes it whole, and jumps if
// a reader of the ring buffer at Temp waits whom flags do not let sleep.
func (l *Lowerer) publish(pc prog.PC, word, record, flags prog.Reg, woken emit.Label) {
	known, ok := l.p.Constant(pc, flags)
	quiet := ok && known == maps.RingBufNoWakeup
	l.m.Publish(At(record, -8), word, quiet) // before the readers are counted
	if !quiet {
		l.m.IfWord(isa.JNe, At(Temp, 8*maps.RingWaiting), 0, woken)
	}
}

// commit makes the record at R1 whole. The host is called, with what is left to
// do in the third argument: 0 for all of it, or the ring buffer whose readers may
// have to be woken.
func (l *Lowerer) commit(pc prog.PC, x *opt.Inline, end emit.Label) {
	const record, flags, ring, word, top = prog.R1, prog.R2, Temp, prog.R0, prog.R4
	slow, woken := l.code.NewLabel(), l.code.NewLabel()
	l.m.Load(S64, top, InCtx(rt.OffHeldTop))
	l.m.LoadKeyed(ring, record, Indexed(Ctx, top, rt.OffHeld-rt.HeldSize), slow)
	l.aluImm(pc, isa.Sub, S64, top, rt.HeldSize)
	l.m.Store(S64, InCtx(rt.OffHeldTop), top)
	l.m.Load(S32, word, At(record, -8))
	bits := uint32(maps.RingWhole)
	if x.Drop {
		bits |= maps.RingDropped
	}
	l.aluImm(pc, isa.Or, S32, word, int32(bits))
	l.publish(pc, word, record, flags, woken)
	l.Late(pc, func() {
		l.code.Bind(slow)
		l.m.Zero(ring)
		l.code.Bind(woken)
		l.m.StorePair(InCtx(rt.OffArg), record, flags)
		l.m.Store(S64, InCtx(rt.OffArg+16), ring)
		l.CallAside(pc, end)
	})
}
