package arm64

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
//
// The acquiring load of cons puts all that follows after the reader's zeros. The
// header need not be ordered with prod: without it, the record is open.
func (l *lowerer) reserve(pc prog.PC, x *opt.Inline, end emit.Label) {
	const ring, record, next, cons, top, prod, status = tmp2, R0, R1, R2, R5, R6, R12
	slow, again := l.NewLabel(), l.NewLabel()
	if flags, ok := l.p.Constant(pc, prog.R3); !ok || flags != 0 {
		l.Cbnz(W64, host[prog.R3], slow)
	}
	l.mapAddress(ring, x.Map, 0)
	l.Ldr(S64, top, inCtx(rt.OffHeldTop))
	l.CmpI(W64, top, uint32(rt.MaxHeld*rt.HeldSize))
	l.BCond(HS, slow)
	l.AddI(W64, prod, ring, 8*maps.RingProd)
	l.Bind(again)
	l.Ldar(S64, cons, ring) // first: it does not pass a prod read later
	if l.features.LSE {
		l.Ldr(S64, record, At(prod, 0))
	} else {
		l.Ldxr(S64, Relaxed, record, prod)
	}
	l.MovI(tmp0, uint64(x.Size+8+7)&^7)
	l.Add(W64, next, record, tmp0)
	l.Sub(W64, cons, next, cons)
	l.MovI(tmp0, uint64(x.Layout.Entries-1))
	l.Cmp(W64, cons, tmp0)
	l.BCond(HI, slow)
	if l.features.LSE {
		l.Mov(W64, tmp1, record)
		l.Cas(S64, AcqRel, tmp1, next, prod)
		l.Cmp(W64, tmp1, record)
		l.BCond(NE, again)
	} else {
		l.Stxr(S64, Release, status, next, prod)
		l.Cbnz(W32, status, again)
	}
	l.And(W64, record, record, tmp0)
	l.Add(W64, record, record, ring)
	l.AddI(W64, record, record, 8*maps.RingData+8)
	l.MovI(tmp0, uint64(x.Size))
	l.Str(S64, tmp0, At(record, -8))
	l.Add(W64, tmp1, ctx, top)
	l.Stp(W64, record, ring, At(tmp1, rt.OffHeld))
	l.AddI(W64, top, top, uint32(rt.HeldSize))
	l.Str(S64, top, inCtx(rt.OffHeldTop))
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(slow)
		l.MovI(tmp0, layout.MapHandle|uint64(x.Map))
		l.Stp(W64, tmp0, host[prog.R2], inCtx(rt.OffArg))
		l.Str(S64, host[prog.R3], inCtx(rt.OffArg+16))
		l.callAside(pc, end)
	})
}

// commit makes the record at R1 whole. The host is called, with what is left to
// do in the third argument: 0 for all of it, or the ring buffer whose readers may
// have to be woken.
func (l *lowerer) commit(pc prog.PC, x *opt.Inline, end emit.Label) {
	const ring, word, top = tmp2, R0, R5
	record, flags := host[prog.R1], host[prog.R2]
	slow, woken := l.NewLabel(), l.NewLabel()
	l.Ldr(S64, top, inCtx(rt.OffHeldTop))
	l.Add(W64, tmp1, ctx, top)
	l.Ldp(W64, tmp0, ring, At(tmp1, rt.OffHeld-rt.HeldSize))
	l.Cmp(W64, tmp0, record)
	l.BCond(NE, slow)
	l.SubI(W64, top, top, uint32(rt.HeldSize))
	l.Str(S64, top, inCtx(rt.OffHeldTop))
	l.Ldr(S32, word, At(record, -8))
	bits := uint64(maps.RingWhole)
	if x.Drop {
		bits |= maps.RingDropped
	}
	l.OrrI(W32, word, word, bits)
	l.SubI(W64, tmp1, record, 8)
	known, ok := l.p.Constant(pc, prog.R2)
	quiet := ok && known == maps.RingBufNoWakeup
	switch {
	case quiet:
		l.Stlr(S64, word, tmp1)
	case l.features.LSE:
		l.Swp(S64, AcqRel, word, tmp0, tmp1) // before the readers are counted
	default:
		l.Stlr(S64, word, tmp1)
		l.Dmb(ISH)
	}
	if !quiet {
		l.Ldr(S64, tmp0, At(ring, 8*maps.RingWaiting))
		l.Cbnz(W64, tmp0, woken)
	}
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(slow)
		l.Mov(W64, ring, ZR)
		l.Bind(woken)
		l.Stp(W64, record, flags, inCtx(rt.OffArg))
		l.Str(S64, ring, inCtx(rt.OffArg+16))
		l.callAside(pc, end)
	})
}

// callAside calls the host, out of line, with arguments that are in place.
func (l *lowerer) callAside(pc prog.PC, end emit.Label) {
	l.save(pc)
	l.leaveFor(pc)
	l.restore(pc)
	l.B(end)
}
