package amd64

import (
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
func (l *lowerer) reserve(pc prog.PC, x *opt.Inline, end emit.Label) {
	const ring, record, cons, next, top = scratch, RAX, RDI, R8, RCX
	slow, again := l.NewLabel(), l.NewLabel()
	mask, extent := int32(x.Layout.Entries-1), int32(x.Size+8+7)&^7
	if flags, ok := l.p.Constant(pc, prog.R3); !ok || flags != 0 {
		l.TestRR(W64, host[prog.R3], host[prog.R3])
		l.JccL(NE, slow)
	}
	l.mapAddress(ring, x.Map, 0)
	l.MovRM(W64, top, inCtx(rt.OffHeldTop))
	l.CmpRI(W32, top, rt.MaxHeld*rt.HeldSize)
	l.JccL(AE, slow)
	l.Bind(again)
	l.MovRM(W64, cons, inRing(ring, maps.RingCons)) // first: it does not pass a prod read later
	l.MovRM(W64, record, inRing(ring, maps.RingProd))
	l.Lea(W64, next, At(record, extent))
	l.NegR(W64, cons)
	l.AddRR(W64, cons, next)
	l.CmpRI(W64, cons, mask)
	l.JccL(A, slow)
	l.LockCmpxchgMR(W64, inRing(ring, maps.RingProd), next)
	l.JccL(NE, again)
	l.AndRI(W32, record, mask)
	l.Lea(W64, record, Indexed(ring, record, 1, 8*maps.RingData+8))
	l.MovMI(W64, At(record, -8), int32(x.Size))
	l.MovMR(W64, Indexed(ctx, top, 1, rt.OffHeld), record)
	l.MovMR(W64, Indexed(ctx, top, 1, rt.OffHeld+8), ring)
	l.AddMI(W64, inCtx(rt.OffHeldTop), rt.HeldSize)
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(slow)
		l.MovRI(scratch, layout.MapHandle|uint64(x.Map))
		l.MovMR(W64, inCtx(rt.OffArg), scratch)
		l.MovMR(W64, inCtx(rt.OffArg+8), host[prog.R2])
		l.MovMR(W64, inCtx(rt.OffArg+16), host[prog.R3])
		l.callAside(pc, end)
	})
}

// commit makes the record at R1 whole. The host is called, with what is left to
// do in the third argument: 0 for all of it, or the ring buffer whose readers may
// have to be woken.
func (l *lowerer) commit(pc prog.PC, x *opt.Inline, end emit.Label) {
	const ring, word, top = scratch, RAX, RCX
	record, flags := host[prog.R1], host[prog.R2]
	slow, woken := l.NewLabel(), l.NewLabel()
	l.MovRM(W64, top, inCtx(rt.OffHeldTop))
	l.CmpMR(W64, Indexed(ctx, top, 1, rt.OffHeld-rt.HeldSize), record)
	l.JccL(NE, slow)
	l.MovRM(W64, ring, Indexed(ctx, top, 1, rt.OffHeld-rt.HeldSize+8))
	l.SubRI(W64, top, rt.HeldSize)
	l.MovMR(W64, inCtx(rt.OffHeldTop), top)
	l.MovRM(W32, word, At(record, -8))
	if x.Drop {
		l.OrRI(W32, word, -1<<31|maps.RingDropped)
	} else {
		l.OrRI(W32, word, -1<<31)
	}
	known, ok := l.p.Constant(pc, prog.R2)
	quiet := ok && known == maps.RingBufNoWakeup
	if quiet {
		l.MovMR(W64, At(record, -8), word)
	} else {
		l.XchgMR(W64, At(record, -8), word) // before the readers are counted
		l.CmpMI(W64, inRing(ring, maps.RingWaiting), 0)
		l.JccL(NE, woken)
	}
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(slow)
		l.ZeroR(ring)
		l.Bind(woken)
		l.MovMR(W64, inCtx(rt.OffArg), record)
		l.MovMR(W64, inCtx(rt.OffArg+8), flags)
		l.MovMR(W64, inCtx(rt.OffArg+16), ring)
		l.callAside(pc, end)
	})
}

// callAside calls the host, out of line, with arguments that are in place.
func (l *lowerer) callAside(pc prog.PC, end emit.Label) {
	l.save(pc)
	l.leaveFor(pc)
	l.restore(pc)
	l.JmpL(end)
}

// inRing is word i of a ring buffer's memory.
func inRing(ring Reg, i int32) Mem { return At(ring, 8*i) }
