package scalar

import "github.com/skepvm/skep/internal/isa"

// A Width says which part of the registers an instruction computes with.
type Width uint8

const (
	W64 Width = iota // ALU64, JMP
	W32              // ALU, JMP32: the low half; an ALU result is zero-extended
)

// ALU returns the results of dst op src at width w; signed selects SDIV and
// SMOD. Neg has no src. Mov returns src; SignExtend and ByteSwap are called
// apart. An operation that RFC 9669, section 4.1, does not have gives any value
// of the width.
//
// Sound at W32: the low half of ADD, SUB, MUL, AND, OR, XOR and LSH depends on
// the low halves alone; the other operations get operands whose low half has
// been extended to the whole, zero or sign as the operation reads it.
func ALU(op isa.ALUOp, w Width, signed bool, dst, src Scalar) Scalar {
	if w == W32 {
		return alu32(op, signed, dst, src)
	}
	switch op {
	case isa.Add:
		return Add(dst, src)
	case isa.Sub:
		return Sub(dst, src)
	case isa.Mul:
		return Mul(dst, src)
	case isa.Div:
		if signed {
			return SDiv(dst, src)
		}
		return Div(dst, src)
	case isa.Mod:
		if signed {
			return SMod(dst, src)
		}
		return Mod(dst, src)
	case isa.And:
		return And(dst, src)
	case isa.Or:
		return Or(dst, src)
	case isa.Xor:
		return Xor(dst, src)
	case isa.Lsh:
		return Lsh(dst, src)
	case isa.Rsh:
		return Rsh(dst, src)
	case isa.Arsh:
		return Arsh(dst, src)
	case isa.Neg:
		return Neg(dst)
	case isa.Mov:
		return src
	default:
		return Top()
	}
}

func alu32(op isa.ALUOp, signed bool, dst, src Scalar) Scalar {
	switch op {
	case isa.Add:
		return lowResult(dst.bits.Add(src.bits), dst.low().add(src.low(), halfBits))
	case isa.Sub:
		return lowResult(dst.bits.Sub(src.bits), dst.low().sub(src.low(), halfBits))
	case isa.And:
		t := dst.bits.And(src.bits).Trunc(halfBits)
		return lowResult(t, dst.low().and(src.low(), t, halfBits))
	case isa.Or:
		t := dst.bits.Or(src.bits).Trunc(halfBits)
		return lowResult(t, dst.low().or(src.low(), t, halfBits))
	case isa.Xor:
		t := dst.bits.Xor(src.bits).Trunc(halfBits)
		return lowResult(t, dst.low().xor(src.low(), t, halfBits))
	case isa.Lsh, isa.Rsh, isa.Arsh:
		src = And(src, Const(halfBits-1))
	}
	switch {
	case op == isa.Arsh:
		dst = SignExtend(dst, halfBits)
	case op == isa.Rsh, (op == isa.Div || op == isa.Mod) && !signed:
		dst, src = Low(dst), Low(src)
	case op == isa.Div, op == isa.Mod:
		dst, src = SignExtend(dst, halfBits), SignExtend(src, halfBits)
	}
	return Low(ALU(op, W64, signed, dst, src))
}
