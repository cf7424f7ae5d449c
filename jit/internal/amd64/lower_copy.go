package amd64

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Copies of a known size.

// inlineLoadBytes copies from the packet. The destination is no part of it:
// the helper's contract allows no packet memory.
func (l *lowerer) inlineLoadBytes(pc prog.PC, x *opt.Inline, end emit.Label) {
	const from, temp = scratch, RAX
	off, to, size := host[prog.R2], host[prog.R3], host[prog.R4]
	far := l.NewLabel()
	l.MovRR(W32, from, off)
	l.AddRM(W64, from, inCtx(rt.OffPacket))
	l.Lea(W64, temp, At(from, int32(x.Size)))
	l.CmpRM(W64, temp, inCtx(rt.OffPacketEnd))
	l.JccL(A, far)
	for _, part := range opt.Pieces(x.Size) {
		l.loadZero(Width(part.Log), temp, At(from, part.At))
		l.MovMR(Width(part.Log), At(to, part.At), temp)
	}
	l.ZeroR(host[prog.R0])
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(far)
		l.MovRI(size, uint64(x.Size))
		l.arguments(4)
		l.save(pc)
		l.leaveFor(pc)
		l.restore(pc)
		l.JmpL(end)
	})
}

// inlineCopy loads all before it stores any, since the two may overlap.
func (l *lowerer) inlineCopy(x *opt.Inline) {
	to, from := host[prog.R1], host[prog.R2]
	temps := [...]Reg{RAX, host[prog.R4], host[prog.R5], scratch}
	pieces := opt.Pieces(x.Size)
	for i, part := range pieces {
		l.loadZero(Width(part.Log), temps[i], At(from, part.At))
	}
	for i, part := range pieces {
		l.MovMR(Width(part.Log), At(to, part.At), temps[i])
	}
	l.MovRR(W64, host[prog.R0], to)
}
