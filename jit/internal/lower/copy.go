package lower

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Copies of a known size.

// inlineLoadBytes copies from the packet. The destination is no part of it:
// the helper's contract allows no packet memory.
func (l *Lowerer) inlineLoadBytes(pc prog.PC, x *opt.Inline, end emit.Label) {
	const off, to, size, from, temp = prog.R2, prog.R3, prog.R4, Temp, prog.R0
	far := l.code.NewLabel()
	l.m.InPacket(from, off, int32(x.Size), far)
	for _, part := range opt.Pieces(x.Size) {
		l.m.Load(Size(part.Log), temp, At(from, part.At))
		l.m.Store(Size(part.Log), At(to, part.At), temp)
	}
	l.m.Zero(prog.R0)
	l.Late(pc, func() {
		l.code.Bind(far)
		l.m.Const(size, uint64(x.Size))
		l.arguments(4)
		l.CallAside(pc, end)
	})
}

// inlineCopy loads all before it stores any, since the two may overlap.
func (l *Lowerer) inlineCopy(x *opt.Inline) {
	const to, from = prog.R1, prog.R2
	temps := [...]prog.Reg{prog.R0, prog.R4, prog.R5, Temp}
	pieces := opt.Pieces(x.Size)
	for i, part := range pieces {
		l.m.Load(Size(part.Log), temps[i], At(from, part.At))
	}
	for i, part := range pieces {
		l.m.Store(Size(part.Log), At(to, part.At), temps[i])
	}
	l.m.Copy(S64, prog.R0, to)
}
