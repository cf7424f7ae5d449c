package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Arithmetic (RFC 9669, sections 4.1 and 4.2). A 32-bit result clears the upper
// half of its register, as ALU requires (Arm ARM, B1.2.1).

func (l *lowerer) ALU(_ prog.PC, in prog.Insn) {
	w, dst := operandWidth(in), host[in.Dst]
	switch op := in.Op.ALUOp(); op {
	case isa.Add:
		l.additive(in, (*Asm).AddI, (*Asm).SubI, (*Asm).Add)
	case isa.Sub:
		l.additive(in, (*Asm).SubI, (*Asm).AddI, (*Asm).Sub)
	case isa.Or:
		l.logical(in, (*Asm).OrrI, (*Asm).Orr)
	case isa.And:
		l.logical(in, (*Asm).AndI, (*Asm).And)
	case isa.Xor:
		l.logical(in, (*Asm).EorI, (*Asm).Eor)
	case isa.Mul:
		l.Mul(w, dst, dst, l.source(in))
	case isa.Div, isa.Mod:
		l.divide(in)
	case isa.Lsh:
		l.shift(in, (*Asm).LslI, (*Asm).Lslv)
	case isa.Rsh:
		l.shift(in, (*Asm).LsrI, (*Asm).Lsrv)
	case isa.Arsh:
		l.shift(in, (*Asm).AsrI, (*Asm).Asrv)
	case isa.Neg:
		l.Neg(w, dst, dst)
	case isa.Mov:
		l.mov(in)
	case isa.End:
		l.swap(in)
	}
}

// source returns the register that holds the second operand.
func (l *lowerer) source(in prog.Insn) Reg {
	if in.Op.Source() == isa.X {
		return host[in.Src]
	}
	l.MovI(tmp0, constant(in))
	return tmp0
}

// additive lowers an addition or subtraction; other is its inverse, for
// negative constants.
func (l *lowerer) additive(in prog.Insn, imm, other func(*Asm, Width, Reg, Reg, uint32), rrr func(*Asm, Width, Reg, Reg, Reg)) {
	w, dst := operandWidth(in), host[in.Dst]
	n := int64(in.Imm)
	switch {
	case in.Op.Source() == isa.K && n >= 0 && IsAddImm(uint64(n)):
		imm(l.Asm, w, dst, dst, uint32(n))
	case in.Op.Source() == isa.K && n < 0 && IsAddImm(uint64(-n)):
		other(l.Asm, w, dst, dst, uint32(-n))
	default:
		rrr(l.Asm, w, dst, dst, l.source(in))
	}
}

func (l *lowerer) logical(in prog.Insn, imm func(*Asm, Width, Reg, Reg, uint64), rrr func(*Asm, Width, Reg, Reg, Reg)) {
	w, dst := operandWidth(in), host[in.Dst]
	if in.Op.Source() == isa.K {
		if _, ok := BitMask(w, constant(in)); ok {
			imm(l.Asm, w, dst, dst, constant(in))
			return
		}
	}
	rrr(l.Asm, w, dst, dst, l.source(in))
}

// shift lowers a shift. The host masks counts as the program's semantics do.
func (l *lowerer) shift(in prog.Insn, imm func(*Asm, Width, Reg, Reg, uint), rrr func(*Asm, Width, Reg, Reg, Reg)) {
	w, dst := operandWidth(in), host[in.Dst]
	if in.Op.Source() == isa.X {
		rrr(l.Asm, w, dst, dst, host[in.Src])
		return
	}
	switch count := uint(in.Imm) & uint(w.Bits()-1); {
	case count != 0:
		imm(l.Asm, w, dst, dst, count)
	case w == W32:
		l.Mov(W32, dst, dst)
	}
}

// divide lowers division and modulo. The host gives 0 for x / 0, as programs
// want it, hence x for x % 0 = x - x/0*0; the least number by −1 gives itself
// (Arm ARM, SDIV).
func (l *lowerer) divide(in prog.Insn) {
	w, dst, src := operandWidth(in), host[in.Dst], l.source(in)
	div := (*Asm).Udiv
	if in.Off == 1 {
		div = (*Asm).Sdiv
	}
	if in.Op.ALUOp() == isa.Div {
		div(l.Asm, w, dst, dst, src)
		return
	}
	div(l.Asm, w, tmp1, dst, src)
	l.Msub(w, dst, tmp1, src, dst)
}

func (l *lowerer) mov(in prog.Insn) {
	w, dst, src := operandWidth(in), host[in.Dst], host[in.Src]
	switch {
	case in.Op.Source() == isa.K:
		l.MovI(dst, constant(in))
	case in.Off == 8:
		l.Sxtb(w, dst, src)
	case in.Off == 16:
		l.Sxth(w, dst, src)
	case in.Off == 32:
		l.Sxtw(dst, src)
	default:
		l.Mov(w, dst, src)
	}
}

// swap lowers the byte swaps; programs are little-endian, as the host is.
func (l *lowerer) swap(in prog.Insn) {
	dst := host[in.Dst]
	reverse := in.Op.Class() == isa.ALU64 || in.Op.Source() == isa.X
	switch {
	case in.Imm == 16:
		if reverse {
			l.Rev16(W32, dst, dst)
		}
		l.Uxth(dst, dst)
	case in.Imm == 32 && reverse:
		l.Rev(W32, dst, dst)
	case in.Imm == 32:
		l.Mov(W32, dst, dst)
	case reverse:
		l.Rev(W64, dst, dst)
	}
}
