package isa

import (
	"fmt"
	"math/bits"
)

// Compute64 returns dst op src on 64-bit operands (RFC 9669, section 4.1). off is
// the offset field of the instruction: it selects the signed forms of Div and
// Mod and the sign-extending forms of Mov. An immediate operand arrives
// sign-extended in src. Neg ignores src.
//
// Compute64 and its neighbours are the definition of the operations: the reference
// interpreter runs them, constants are folded with them, and compiled code is
// tested against them. They panic on an operation that decoding refuses.
func Compute64(op ALUOp, off int16, dst, src uint64) uint64 {
	switch op {
	case Add:
		return dst + src
	case Sub:
		return dst - src
	case Mul:
		return dst * src
	case Div:
		switch {
		case src == 0:
			return 0
		case off != 0:
			return uint64(int64(dst) / int64(src)) // Go: MIN / -1 = MIN
		default:
			return dst / src
		}
	case Or:
		return dst | src
	case And:
		return dst & src
	case Lsh:
		return dst << (src & 63)
	case Rsh:
		return dst >> (src & 63)
	case Neg:
		return -dst
	case Mod:
		switch {
		case src == 0:
			return dst
		case off != 0:
			return uint64(int64(dst) % int64(src)) // Go: sign of dst; MIN % -1 = 0
		default:
			return dst % src
		}
	case Xor:
		return dst ^ src
	case Mov:
		return SignExtend(src, off)
	case Arsh:
		return uint64(int64(dst) >> (src & 63))
	}
	panic(fmt.Sprintf("BUG: ALU64 operation %#x passed decoding", uint8(op)))
}

// Compute32 returns dst op src on 32-bit operands, zero-extended to 64 bits
// (RFC 9669, section 4.1). Callers pass the low halves of the registers.
func Compute32(op ALUOp, off int16, dst, src uint32) uint64 {
	switch op {
	case Add:
		return uint64(dst + src)
	case Sub:
		return uint64(dst - src)
	case Mul:
		return uint64(dst * src)
	case Div:
		switch {
		case src == 0:
			return 0
		case off != 0:
			return uint64(uint32(int32(dst) / int32(src)))
		default:
			return uint64(dst / src)
		}
	case Or:
		return uint64(dst | src)
	case And:
		return uint64(dst & src)
	case Lsh:
		return uint64(dst << (src & 31))
	case Rsh:
		return uint64(dst >> (src & 31))
	case Neg:
		return uint64(-dst)
	case Mod:
		switch {
		case src == 0:
			return uint64(dst)
		case off != 0:
			return uint64(uint32(int32(dst) % int32(src)))
		default:
			return uint64(dst % src)
		}
	case Xor:
		return uint64(dst ^ src)
	case Mov:
		return uint64(uint32(SignExtend(uint64(src), off)))
	case Arsh:
		return uint64(uint32(int32(dst) >> (src & 31)))
	}
	panic(fmt.Sprintf("BUG: ALU operation %#x passed decoding", uint8(op)))
}

// SignExtend returns the low width bits of v sign-extended to 64; width is 8,
// 16 or 32 as in the offset of a sign-extending move, or 0: v itself
// (RFC 9669, section 4.1, MOVSX).
func SignExtend(v uint64, width int16) uint64 {
	switch width {
	case 0:
		return v
	case 8:
		return uint64(int8(v))
	case 16:
		return uint64(int16(v))
	case 32:
		return uint64(int32(v))
	}
	panic(fmt.Sprintf("BUG: sign extension from %d bits passed decoding", width))
}

// Swap returns what the byte swap instruction op makes of v: the low width
// bits, in the order op asks for, zero-extended (RFC 9669, section 4.2).
// Programs are little-endian on every host, so "to little-endian" only
// truncates and "to big-endian" and the unconditional swap reverse the bytes.
func Swap(op Op, width int32, v uint64) uint64 {
	reverse := op.Class() == ALU64 || op.Source() == X
	switch {
	case width == 16 && reverse:
		return uint64(bits.ReverseBytes16(uint16(v)))
	case width == 16:
		return uint64(uint16(v))
	case width == 32 && reverse:
		return uint64(bits.ReverseBytes32(uint32(v)))
	case width == 32:
		return uint64(uint32(v))
	case width == 64 && reverse:
		return bits.ReverseBytes64(v)
	case width == 64:
		return v
	}
	panic(fmt.Sprintf("BUG: byte swap of %d bits passed decoding", width))
}

// Jump64 reports whether the JMP instruction with code op is taken for the
// operands dst and src (RFC 9669, section 4.3).
func Jump64(op JmpOp, dst, src uint64) bool {
	switch op {
	case JA:
		return true
	case JEq:
		return dst == src
	case JGt:
		return dst > src
	case JGe:
		return dst >= src
	case JSet:
		return dst&src != 0
	case JNe:
		return dst != src
	case JSGt:
		return int64(dst) > int64(src)
	case JSGe:
		return int64(dst) >= int64(src)
	case JLt:
		return dst < src
	case JLe:
		return dst <= src
	case JSLt:
		return int64(dst) < int64(src)
	case JSLe:
		return int64(dst) <= int64(src)
	}
	panic(fmt.Sprintf("BUG: jump %#x has no condition", uint8(op)))
}

// Jump32 is Jump64 for JMP32: it compares the low halves of the registers.
func Jump32(op JmpOp, dst, src uint32) bool {
	switch op {
	case JSGt, JSGe, JSLt, JSLe: // the sign is bit 31
		return Jump64(op, uint64(int32(dst)), uint64(int32(src)))
	default: // zero-extension keeps equality, unsigned order and common bits
		return Jump64(op, uint64(dst), uint64(src))
	}
}

// Atomic64 returns what the atomic instruction with immediate code stores in
// place of old (RFC 9669, section 5.3); r0 matters to AtomicCmpXchg only. The
// caller makes the exchange atomic, and gives old, zero-extended, to src if
// code has AtomicFetch, or to R0 for AtomicCmpXchg.
func Atomic64(code int32, old, src, r0 uint64) uint64 {
	switch code {
	case AtomicAdd, AtomicAdd | AtomicFetch:
		return old + src
	case AtomicOr, AtomicOr | AtomicFetch:
		return old | src
	case AtomicAnd, AtomicAnd | AtomicFetch:
		return old & src
	case AtomicXor, AtomicXor | AtomicFetch:
		return old ^ src
	case AtomicXchg:
		return src
	case AtomicCmpXchg:
		if old == r0 {
			return src
		}
		return old
	}
	panic(fmt.Sprintf("BUG: atomic operation %#x passed decoding", code))
}

// Atomic32 is Atomic64 for 4-byte operands: the low halves of the registers.
func Atomic32(code int32, old, src, r0 uint32) uint32 {
	return uint32(Atomic64(code, uint64(old), uint64(src), uint64(r0)))
}
