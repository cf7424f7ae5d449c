package arm64

import (
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Records of ring buffers.

// Claim loads what the consumer's place was with acquire, which puts all that follows
// after what the reader read, and stores the producer's place with release, after the
// record's header.
func (l *lowerer) Claim(ring, record prog.Reg, size, extent, mask int32, full emit.Label) {
	const next, cons, taken, prod, status = R1, R2, R2, R6, R12
	at, place := host[ring], host[record]
	again := l.NewLabel()
	l.AddI(W64, prod, at, 8*maps.RingProd)
	l.Bind(again)
	l.AddI(W64, tmp0, at, 8*maps.RingSeen)
	l.Ldar(S64, cons, tmp0) // first: it does not pass a prod read later
	if l.features.LSE {
		l.Ldr(S64, place, At(prod, 0))
	} else {
		l.Ldxr(S64, Relaxed, place, prod)
	}
	l.MovI(tmp0, uint64(extent))
	l.Add(W64, next, place, tmp0)
	l.Sub(W64, cons, next, cons)
	l.MovI(tmp0, uint64(mask))
	l.Cmp(W64, cons, tmp0)
	l.BCond(HI, full)
	l.OrrI(W64, taken, place, 1<<maps.RingTaken)
	if l.features.LSE {
		l.Mov(W64, tmp2, place)
		l.Cas(S64, AcqRel, tmp2, taken, prod)
		l.Cmp(W64, tmp2, place)
		l.BCond(NE, again)
	} else {
		l.Stxr(S64, Release, status, taken, prod)
		l.Cbnz(W32, status, again)
	}
	l.And(W64, place, place, tmp0)
	l.Add(W64, place, place, at)
	l.AddI(W64, place, place, 8*maps.RingData+8)
	l.MovI(tmp0, uint64(size))
	l.Str(S64, tmp0, At(place, -8))
	l.Stlr(S64, next, prod)
}

func (l *lowerer) Publish(m lower.Mem, word prog.Reg, last bool) {
	l.SubI(W64, tmp2, host[m.Base], uint32(-m.Off))
	switch {
	case last:
		l.Stlr(S64, host[word], tmp2)
	case l.features.LSE:
		l.Swp(S64, AcqRel, host[word], tmp0, tmp2)
	default:
		l.Stlr(S64, host[word], tmp2)
		l.Dmb(ISH)
	}
}
