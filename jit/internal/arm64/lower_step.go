package arm64

import (
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/prog"
)

// The steps of package lower: moves and branches. They use tmp0 and tmp2.

// memory is m as an operand.
func (l *lowerer) memory(m lower.Mem) Mem {
	if m.Index < lower.NumRegs {
		l.Add(W64, tmp2, host[m.Base], host[m.Index])
		return At(tmp2, m.Off)
	}
	return At(host[m.Base], m.Off)
}

func (l *lowerer) Zero(dst prog.Reg) { l.Mov(W64, host[dst], ZR) }

func (l *lowerer) Const(dst prog.Reg, v uint64) { l.MovI(host[dst], v) }

func (l *lowerer) MapAddress(dst prog.Reg, m int32, off uint32) { l.mapAddress(host[dst], m, off) }

// mapAddress is MapAddress for a register of the host's.
func (l *lowerer) mapAddress(dst Reg, m int32, off uint32) {
	l.Relocate(m, off)
	l.Movz(W64, dst, 0, 0)
	for part := uint(1); part < 4; part++ {
		l.Movk(W64, dst, 0, part)
	}
}

func (l *lowerer) LabelAddress(dst prog.Reg, at emit.Label) { l.Adr(host[dst], at) }

func (l *lowerer) Address(dst prog.Reg, m lower.Mem) {
	l.AddI(W64, host[dst], host[m.Base], uint32(m.Off))
}

// width is the width of an operation on s.
func width(s lower.Size) Width {
	if s == lower.S64 {
		return W64
	}
	return W32
}

func (l *lowerer) Load(s lower.Size, dst prog.Reg, m lower.Mem) {
	l.Ldr(Size(s), host[dst], l.memory(m))
}

func (l *lowerer) LoadBig(s lower.Size, dst prog.Reg, m lower.Mem) {
	l.Load(s, dst, m)
	switch s {
	case lower.S16:
		l.Rev16(W32, host[dst], host[dst])
	case lower.S32:
		l.Rev(W32, host[dst], host[dst])
	}
}

// LoadJump is load-acquire, so that what is loaded and what it leads to come after
// the run's announcement of itself (see InlineHash).
func (l *lowerer) LoadJump(dst, base, index prog.Reg) {
	at := host[base]
	if index < lower.NumRegs {
		at = tmp2
		l.AddShifted(W64, at, host[base], host[index], LSL, 3)
	}
	l.Ldar(S64, host[dst], at)
}

func (l *lowerer) Store(s lower.Size, m lower.Mem, src prog.Reg) {
	l.Str(Size(s), host[src], l.memory(m))
}

func (l *lowerer) StoreImm(m lower.Mem, imm int32) {
	src := ZR
	if imm != 0 {
		src = tmp0
		l.MovI(src, uint64(int64(imm)))
	}
	l.Str(S64, src, l.memory(m))
}

func (l *lowerer) StorePair(m lower.Mem, a, b prog.Reg) {
	l.Stp(W64, host[a], host[b], l.memory(m))
}

func (l *lowerer) AddTo(m lower.Mem, n int32) {
	at := l.memory(m)
	l.Ldr(S64, tmp0, at)
	l.addImm(W64, tmp0, n, exitReg)
	l.Str(S64, tmp0, at)
}

// addImm adds n to r, by way of temp if need be.
func (l *lowerer) addImm(w Width, r Reg, n int32, temp Reg) {
	switch n := int64(n); {
	case n >= 0 && IsAddImm(uint64(n)):
		l.AddI(w, r, r, uint32(n))
	case n < 0 && IsAddImm(uint64(-n)):
		l.SubI(w, r, r, uint32(-n))
	default:
		l.MovI(temp, uint64(n))
		l.Add(w, r, r, temp)
	}
}

func (l *lowerer) SwapHalves(s lower.Size, dst prog.Reg) {
	l.RorI(width(s), host[dst], host[dst], 4<<s)
}

func (l *lowerer) AddProduct(dst prog.Reg, m lower.Mem, n uint32) {
	l.Ldr(S64, tmp0, l.memory(m))
	l.MovI(tmp1, uint64(n))
	l.Madd(W64, host[dst], tmp0, tmp1, host[dst])
}

func (l *lowerer) Element(dst, base prog.Reg, stride uint32) {
	if stride&(stride-1) == 0 {
		l.AddShifted(W64, host[dst], host[base], host[dst], LSL, uint(bits.TrailingZeros32(stride)))
		return
	}
	l.MovI(tmp0, uint64(stride))
	l.Madd(W64, host[dst], host[dst], tmp0, host[base])
}

func (l *lowerer) ElementAt(dst prog.Reg, base lower.Mem, stride uint32) {
	l.Load(lower.S64, lower.Temp, base)
	l.Element(dst, lower.Temp, stride)
}

func (l *lowerer) Jump(to emit.Label) { l.B(to) }

func (l *lowerer) JumpReg(r prog.Reg) { l.Br(host[r]) }

func (l *lowerer) JumpMem(m lower.Mem) {
	l.Ldr(S64, tmp0, l.memory(m))
	l.Br(tmp0)
}

func (l *lowerer) If(op isa.JmpOp, s lower.Size, a, b prog.Reg, to emit.Label) {
	l.Cmp(width(s), host[a], host[b])
	l.BCond(cond(op), to)
}

func (l *lowerer) IfImm(op isa.JmpOp, s lower.Size, a prog.Reg, b int32, to emit.Label) {
	l.ifImm(op, width(s), host[a], b, to)
}

// ifImm is IfImm for a register of the host's, which may be tmp2.
func (l *lowerer) ifImm(op isa.JmpOp, w Width, a Reg, b int32, to emit.Label) {
	n := uint64(int64(b))
	if w == W32 {
		n = uint64(uint32(b))
	}
	switch {
	case b == 0 && op == isa.JEq:
		l.Cbz(w, a, to)
	case b == 0 && op == isa.JNe:
		l.Cbnz(w, a, to)
	case b == 0 && op == isa.JSGe:
		l.Tbz(a, uint(w.Bits()-1), to)
	case IsAddImm(n):
		l.CmpI(w, a, uint32(n))
		l.BCond(cond(op), to)
	default:
		l.MovI(tmp0, n)
		l.Cmp(w, a, tmp0)
		l.BCond(cond(op), to)
	}
}

func (l *lowerer) IfMem(op isa.JmpOp, s lower.Size, a prog.Reg, b lower.Mem, to emit.Label) {
	l.Ldr(Size(s), tmp0, l.memory(b))
	l.Cmp(width(s), host[a], tmp0)
	l.BCond(cond(op), to)
}

func (l *lowerer) IfWord(op isa.JmpOp, a lower.Mem, b int32, to emit.Label) {
	l.Ldr(S64, tmp2, l.memory(a))
	l.ifImm(op, W64, tmp2, b, to)
}

func (l *lowerer) CountDown(m lower.Mem, to emit.Label) {
	l.Ldr(S64, tmp0, l.memory(m))
	l.Cbz(W64, tmp0, to)
	l.SubI(W64, tmp0, tmp0, 1)
	l.Str(S64, tmp0, l.memory(m))
}

func (l *lowerer) LoadKeyed(dst, key prog.Reg, m lower.Mem, to emit.Label) {
	l.Ldp(W64, tmp0, host[dst], l.memory(m))
	l.Cmp(W64, tmp0, host[key])
	l.BCond(NE, to)
}

func (l *lowerer) InPacket(at, off prog.Reg, n int32, far emit.Label) {
	l.Ldr(S64, tmp0, inCtx(rt.OffPacket))
	l.Ldr(S64, tmp2, inCtx(rt.OffPacketEnd))
	l.AddExt(W64, host[at], tmp0, host[off], UXTW, 0)
	l.AddI(W64, tmp0, host[at], uint32(n))
	l.Cmp(W64, tmp0, tmp2)
	l.BCond(HI, far)
}
