package amd64

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
func (l *lowerer) inlineTail(pc prog.PC, x *opt.Inline, end emit.Label) {
	const target, entry, weight, temp = RAX, RCX, RSI, R8
	slow, undo, none := l.NewLabel(), l.NewLabel(), l.NewLabel()
	if place, ok := l.p.Place(pc); !ok {
		l.MovRR(W32, target, host[prog.R3])
		l.CmpRI(W32, target, int32(x.Layout.Entries))
		l.JccL(AE, end)
		l.mapAddress(scratch, x.Map, 0)
		l.MovRM(W64, target, Indexed(scratch, target, 8, 0))
	} else if place < x.Layout.Entries {
		l.mapAddress(scratch, x.Map, 8*place)
		l.MovRM(W64, target, At(scratch, 0))
	} else {
		return
	}
	l.CmpRI(W64, target, maps.JumpOther)
	l.JccL(BE, none)
	l.MovRM(W64, entry, At(target, rt.TargetEntry))
	l.MovRM(W64, temp, At(target, rt.TargetKind))
	l.TestRR(W64, entry, entry)
	l.JccL(E, slow)
	l.CmpRM(W64, temp, inCtx(rt.OffKind))
	l.JccL(NE, slow)
	l.CmpMI(W64, inCtx(rt.OffTails), rt.MaxTails)
	l.JccL(AE, end)
	l.MovRM(W64, temp, At(target, rt.TargetSpan))
	l.AddRR(W64, temp, frame)
	l.CmpRM(W64, temp, inCtx(rt.OffEnd))
	l.JccL(A, slow)
	l.MovRM(W64, weight, At(target, rt.TargetWeight))
	if l.metered {
		l.SubRR(W64, meter, weight)
	} else {
		l.SubMR(W64, inCtx(rt.OffMeter), weight)
	}
	l.JccL(B, undo)
	l.storeMeter()
	l.AddMI(W64, inCtx(rt.OffTails), 1)
	l.MovMR(W64, inCtx(rt.OffTarget), target)
	l.JmpR(entry)
	f := l.f
	l.late = append(l.late, func() {
		l.f = f
		l.Mark(emit.PC(pc))
		l.Bind(none)
		l.JccL(B, end) // not even one of another engine
		l.JmpL(slow)
		l.Bind(undo)
		if l.metered {
			l.AddRR(W64, meter, weight)
		} else {
			l.AddMR(W64, inCtx(rt.OffMeter), weight)
		}
		l.Bind(slow)
		l.MovRI(host[prog.R2], layout.MapHandle|uint64(x.Map))
		l.tailCall(pc)
		l.JmpL(end)
	})
}
