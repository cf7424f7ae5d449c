package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Copies of a known size.

// inlinePacket copies between the packet and other memory, which may be a part of
// the packet, too: a slice of it, or what a global function got. If it is not all
// there, code calls.
func (l *Lowerer) inlinePacket(pc prog.PC, x *opt.Inline, end emit.Label) {
	const off, other, packet = prog.R2, prog.R3, Temp
	// What else is free once code does not call any more. The last one is.
	load := [...]prog.Reg{prog.R0, prog.R1, prog.R4, prog.R5, packet}
	store := [...]prog.Reg{prog.R0, prog.R1, prog.R4, prog.R5, other}
	far := l.code.NewLabel()
	if at, ok := l.p.Constant(pc, off); x.Near && (!ok || uint32(at) > opt.Near) {
		l.m.IfImm(isa.JGt, S32, off, opt.Near, far)
	}
	l.m.InPacket(packet, off, int32(x.Size), far)
	if pieces := opt.Pieces(x.Size); len(pieces) > len(load) {
		l.outside(other, far)
		for i := range pieces {
			if x.Form == opt.InlineLoadBytes {
				l.copyAll(other, packet, pieces[i:i+1], load[:])
			} else {
				l.copyAll(packet, other, pieces[i:i+1], store[:])
			}
		}
	} else if x.Form == opt.InlineLoadBytes {
		l.copyAll(other, packet, pieces, load[:])
	} else {
		l.copyAll(packet, other, pieces, store[:])
	}
	l.m.Zero(prog.R0)
	l.Late(pc, func() {
		l.code.Bind(far)
		l.arguments(maxArgs)
		l.CallAside(pc, end)
	})
}

// outside jumps if the memory at r, which does not begin before the packet and end
// in it, is a part of the packet.
func (l *Lowerer) outside(r prog.Reg, inside emit.Label) {
	out := l.code.NewLabel()
	l.m.IfMem(isa.JLt, S64, r, InCtx(rt.OffPacket), out)
	l.m.IfMem(isa.JLt, S64, r, InCtx(rt.OffPacketEnd), inside)
	l.code.Bind(out)
}

// inlineCopy copies what may overlap.
func (l *Lowerer) inlineCopy(pc prog.PC, x *opt.Inline) {
	const to, from = prog.R1, prog.R2
	l.copyAll(to, from, opt.Pieces(x.Size), []prog.Reg{prog.R0, prog.R4, prog.R5, Temp})
	l.alu(pc, isa.Mov, S64, prog.R0, to)
}

// copyAll loads all pieces before it stores any, so that from and to may overlap.
// There are as many temps; only the last one may be from.
func (l *Lowerer) copyAll(to, from prog.Reg, pieces []opt.Piece, temps []prog.Reg) {
	for i, part := range pieces {
		l.m.Load(Size(part.Log), temps[i], At(from, part.At))
	}
	for i, part := range pieces {
		l.m.Store(Size(part.Log), At(to, part.At), temps[i])
	}
}
