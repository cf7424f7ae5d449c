package arm64

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// inlineTail goes on in the program at place R3 of a prog array by a jump (see
// rt.Target), if there is one that has machine code, is of the run's kind, and has
// room for its frames, and if the meter has enough left. Otherwise code calls, and
// the host looks closer. Without a target, or after too many tail calls, code goes
// on here.
//
// The load of the place is load-acquire, so that it and what it leads to come
// after the run's announcement of itself (see inlineHash).
func (l *lowerer) inlineTail(pc prog.PC, x *opt.Inline, end emit.Label) {
	const target, entry, weight, temp = R0, R1, R3, R6
	slow, undo, none := l.NewLabel(), l.NewLabel(), l.NewLabel()
	if place, ok := l.p.Place(pc); !ok {
		l.Mov(W32, target, host[prog.R3])
		l.cmpLimit(target, x.Layout.Entries)
		l.BCond(HS, end)
		l.mapAddress(tmp2, x.Map, 0)
		l.AddShifted(W64, tmp2, tmp2, target, LSL, 3)
	} else if place < x.Layout.Entries {
		l.mapAddress(tmp2, x.Map, 8*place)
	} else {
		return
	}
	l.Ldar(S64, target, tmp2)
	l.CmpI(W64, target, maps.JumpOther)
	l.BCond(LS, none)
	l.Ldr(S64, entry, At(target, rt.TargetEntry))
	l.Ldr(S64, temp, At(target, rt.TargetKind))
	l.Ldr(S64, tmp1, inCtx(rt.OffKind))
	l.Cbz(W64, entry, slow)
	l.Cmp(W64, temp, tmp1)
	l.BCond(NE, slow)
	l.Ldr(S64, tmp1, inCtx(rt.OffTails))
	l.CmpI(W64, tmp1, rt.MaxTails)
	l.BCond(HS, end)
	l.AddI(W64, tmp1, tmp1, 1)
	l.Ldr(S64, temp, At(target, rt.TargetSpan))
	l.Ldr(S64, tmp0, inCtx(rt.OffEnd))
	l.Add(W64, temp, temp, frame)
	l.Cmp(W64, temp, tmp0)
	l.BCond(HI, slow)
	l.Ldr(S64, weight, At(target, rt.TargetWeight))
	left := meter
	if !l.metered {
		left = tmp0
		l.Ldr(S64, left, inCtx(rt.OffMeter))
	}
	l.Subs(W64, left, left, weight)
	l.BCond(LO, undo)
	l.Str(S64, left, inCtx(rt.OffMeter))
	l.Stp(W64, tmp1, target, inCtx(rt.OffTails))
	l.Br(entry)
	f := l.f
	l.late = append(l.late, func() {
		l.f = f
		l.Mark(emit.PC(pc))
		l.Bind(none)
		l.BCond(LO, end) // not even one of another engine
		l.B(slow)
		l.Bind(undo)
		if l.metered {
			l.Add(W64, meter, meter, weight)
		}
		l.Bind(slow)
		l.MovI(host[prog.R2], layout.MapHandle|uint64(x.Map))
		l.tailCall(pc)
		l.B(end)
	})
}
