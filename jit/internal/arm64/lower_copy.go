package arm64

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
	const from, temp = tmp0, tmp1
	off, to, size := host[prog.R2], host[prog.R3], host[prog.R4]
	far := l.NewLabel()
	l.Ldr(S64, from, inCtx(rt.OffPacket))
	l.Ldr(S64, tmp2, inCtx(rt.OffPacketEnd))
	l.AddExt(W64, from, from, off, UXTW, 0)
	l.AddI(W64, temp, from, x.Size)
	l.Cmp(W64, temp, tmp2)
	l.BCond(HI, far)
	for _, part := range opt.Pieces(x.Size) {
		l.Ldr(Size(part.Log), temp, At(from, part.At))
		l.Str(Size(part.Log), temp, At(to, part.At))
	}
	l.Mov(W64, R0, ZR)
	l.late = append(l.late, func() {
		l.Mark(emit.PC(pc))
		l.Bind(far)
		l.MovI(size, uint64(x.Size))
		l.arguments(4)
		l.save(pc)
		l.leaveFor(pc)
		l.restore(pc)
		l.B(end)
	})
}

// inlineCopy loads all before it stores any, since the two may overlap.
func (l *lowerer) inlineCopy(x *opt.Inline) {
	to, from := host[prog.R1], host[prog.R2]
	temps := [...]Reg{R0, tmp0, tmp1, tmp2}
	pieces := opt.Pieces(x.Size)
	for i, part := range pieces {
		l.Ldr(Size(part.Log), temps[i], At(from, part.At))
	}
	for i, part := range pieces {
		l.Str(Size(part.Log), temps[i], At(to, part.At))
	}
	l.Mov(W64, R0, to)
}
