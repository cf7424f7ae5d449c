package amd64

import (
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Records of ring buffers. Locked instructions order everything; other stores
// release, and loads acquire (SDM vol. 3, section 9.2).

func (l *lowerer) Claim(ring, record prog.Reg, size, extent, mask int32, full emit.Label) {
	const cons, taken, next = RDI, RDI, R8
	at, prod := host[ring], host[record] // compare-and-exchange wants the latter in RAX
	again := l.NewLabel()
	l.Bind(again)
	l.MovRM(W64, cons, inRing(at, maps.RingSeen)) // first: it does not pass a prod read later
	l.MovRM(W64, prod, inRing(at, maps.RingProd))
	l.Lea(W64, next, At(prod, extent))
	l.NegR(W64, cons)
	l.AddRR(W64, cons, next)
	l.CmpRI(W64, cons, mask)
	l.JccL(A, full)
	l.MovRR(W64, taken, prod)
	l.BtsRI(W64, taken, maps.RingTaken)
	l.LockCmpxchgMR(W64, inRing(at, maps.RingProd), taken)
	l.JccL(NE, again)
	l.AndRI(W32, prod, mask)
	l.Lea(W64, prod, Indexed(at, prod, 1, 8*maps.RingData+8))
	l.MovMI(W64, At(prod, -8), size)
	l.MovMR(W64, inRing(at, maps.RingProd), next) // after the header
}

func (l *lowerer) Publish(m lower.Mem, word prog.Reg, last bool) {
	if last {
		l.MovMR(W64, memory(m), host[word])
	} else {
		l.XchgMR(W64, memory(m), host[word])
	}
}

// inRing is word i of a ring buffer's memory.
func inRing(ring Reg, i int32) Mem { return At(ring, 8*i) }
