package amd64

import (
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/prog"
)

// The steps of package lower: moves and branches.

// memory is m as an operand.
func memory(m lower.Mem) Mem {
	if m.Index < lower.NumRegs {
		return Indexed(host[m.Base], host[m.Index], 1, m.Off)
	}
	return At(host[m.Base], m.Off)
}

func (l *lowerer) Zero(dst prog.Reg) { l.ZeroR(host[dst]) }

func (l *lowerer) Const(dst prog.Reg, v uint64) { l.MovRI(host[dst], v) }

func (l *lowerer) MapAddress(dst prog.Reg, m int32, off uint32) { l.mapAddress(host[dst], m, off) }

// mapAddress is MapAddress for a register of the host's.
func (l *lowerer) mapAddress(dst Reg, m int32, off uint32) {
	l.Relocate(m, off)
	l.MovRI(dst, placeholder)
}

func (l *lowerer) LabelAddress(dst prog.Reg, at emit.Label) { l.LeaL(host[dst], at) }

func (l *lowerer) Address(dst prog.Reg, m lower.Mem) { l.Lea(W64, host[dst], memory(m)) }

func (l *lowerer) Load(s lower.Size, dst prog.Reg, m lower.Mem) {
	l.loadZero(Width(s), host[dst], memory(m))
}

func (l *lowerer) LoadBig(s lower.Size, dst prog.Reg, m lower.Mem) {
	l.Load(s, dst, m)
	switch s {
	case lower.S16:
		l.RolRI(W16, host[dst], 8)
	case lower.S32:
		l.BswapR(W32, host[dst])
	}
}

// LoadJump needs no fence: the CPU keeps the order of loads.
func (l *lowerer) LoadJump(dst, base, index prog.Reg) {
	m := At(host[base], 0)
	if index < lower.NumRegs {
		m = Indexed(host[base], host[index], 8, 0)
	}
	l.MovRM(W64, host[dst], m)
}

func (l *lowerer) Store(s lower.Size, m lower.Mem, src prog.Reg) {
	l.MovMR(Width(s), memory(m), host[src])
}

func (l *lowerer) StoreImm(m lower.Mem, imm int32) { l.MovMI(W64, memory(m), imm) }

func (l *lowerer) StorePair(m lower.Mem, a, b prog.Reg) {
	l.MovMR(W64, memory(m), host[a])
	l.MovMR(W64, memory(m).Add(8), host[b])
}

func (l *lowerer) AddTo(m lower.Mem, n int32) { l.AddMI(W64, memory(m), n) }

func (l *lowerer) SwapHalves(s lower.Size, dst prog.Reg) { l.RolRI(Width(s), host[dst], 4<<s) }

func (l *lowerer) AddProduct(dst prog.Reg, m lower.Mem, n uint32) {
	l.ImulRMI(W64, scratch, memory(m), int32(n))
	l.AddRR(W64, host[dst], scratch)
}

func (l *lowerer) Element(dst, base prog.Reg, stride uint32) {
	if stride == 8 {
		l.Lea(W64, host[dst], Indexed(host[base], host[dst], 8, 0))
		return
	}
	l.times(host[dst], stride)
	l.AddRR(W64, host[dst], host[base])
}

func (l *lowerer) ElementAt(dst prog.Reg, base lower.Mem, stride uint32) {
	l.times(host[dst], stride)
	l.AddRM(W64, host[dst], memory(base))
}

// times multiplies r by n.
func (l *lowerer) times(r Reg, n uint32) {
	if n&(n-1) == 0 {
		l.ShlRI(W64, r, uint8(bits.TrailingZeros32(n)))
	} else {
		l.ImulRRI(W64, r, r, int32(n))
	}
}

func (l *lowerer) Jump(to emit.Label) { l.JmpL(to) }

func (l *lowerer) JumpReg(r prog.Reg) { l.JmpR(host[r]) }

func (l *lowerer) JumpMem(m lower.Mem) { l.JmpM(memory(m)) }

func (l *lowerer) If(op isa.JmpOp, s lower.Size, a, b prog.Reg, to emit.Label) {
	l.CmpRR(Width(s), host[a], host[b])
	l.JccL(cond(op), to)
}

func (l *lowerer) IfImm(op isa.JmpOp, s lower.Size, a prog.Reg, b int32, to emit.Label) {
	if b == 0 {
		l.TestRR(Width(s), host[a], host[a])
	} else {
		l.CmpRI(Width(s), host[a], b)
	}
	l.JccL(cond(op), to)
}

func (l *lowerer) IfMem(op isa.JmpOp, s lower.Size, a prog.Reg, b lower.Mem, to emit.Label) {
	l.CmpRM(Width(s), host[a], memory(b))
	l.JccL(cond(op), to)
}

func (l *lowerer) IfWord(op isa.JmpOp, a lower.Mem, b int32, to emit.Label) {
	l.CmpMI(W64, memory(a), b)
	l.JccL(cond(op), to)
}

func (l *lowerer) CountDown(m lower.Mem, to emit.Label) {
	l.CmpMI(W64, memory(m), 0)
	l.JccL(E, to)
	l.DecM(W64, memory(m))
}

func (l *lowerer) LoadKeyed(dst, key prog.Reg, m lower.Mem, to emit.Label) {
	l.CmpRM(W64, host[key], memory(m))
	l.JccL(NE, to)
	l.MovRM(W64, host[dst], memory(m).Add(8))
}

func (l *lowerer) InPacket(at, off prog.Reg, n int32, far emit.Label) {
	l.MovRR(W32, host[at], host[off])
	l.AddRM(W64, host[at], inCtx(rt.OffPacket))
	l.Lea(W64, RAX, At(host[at], n))
	l.CmpRM(W64, RAX, inCtx(rt.OffPacketEnd))
	l.JccL(A, far)
}
