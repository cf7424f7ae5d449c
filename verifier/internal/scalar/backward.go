package scalar

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/tnum"
)

// backward.go goes from a result to its operand: one register was computed from
// another, both are still there, a branch has refined the result, and now the
// operand is refined. For truncations, extensions and (after another ByteSwap)
// byte order, that is MeetLow.

// Backward returns a Scalar that holds the members x of pre for which the
// instruction x op c at width w gives a member of post; ok is false if there is
// none, and then the result means nothing. c is the 64-bit operand. An operation
// other than ADD, SUB, XOR, AND, OR and the shifts teaches nothing.
func Backward(op isa.ALUOp, w Width, pre, post Scalar, c uint64) (refined Scalar, ok bool) {
	if w == W64 {
		return backward(op, wordBits, pre, post, c)
	}
	// The instruction read the low half alone, and left its result there.
	operand := Low(pre)
	if op == isa.Arsh {
		operand, post = SignExtend(pre, halfBits), SignExtend(post, halfBits)
	}
	operand, ok = backward(op, halfBits, operand, post, c&halfMask)
	if !ok {
		return pre, false
	}
	return pre.MeetLow(operand, halfBits)
}

// backward is Backward at a width w, for operands and results that are
// extended from w to the whole: by sign for ARSH, else by zeros.
func backward(op isa.ALUOp, w uint, pre, post Scalar, c uint64) (Scalar, bool) {
	k := uint(c) & (w - 1)
	switch op {
	case isa.Add:
		return pre.Meet(Trunc(Sub(post, Const(c)), w))
	case isa.Sub:
		return pre.Meet(Trunc(Add(post, Const(c)), w))
	case isa.Xor:
		return pre.Meet(Xor(post, Const(c)))
	case isa.And:
		return backwardAnd(pre, post, c&wordMask)
	case isa.Or:
		// x|c is the complement of ^x & ^c.
		ones := Const(wordMask)
		x, ok := backwardAnd(Xor(pre, ones), Xor(post, ones), ^c&wordMask)
		if !ok {
			return pre, false
		}
		return pre.Meet(Xor(x, ones))
	case isa.Rsh:
		return backwardRsh(pre, post, k)
	case isa.Arsh:
		return backwardArsh(pre, post, k)
	case isa.Lsh:
		return backwardLsh(pre, post, k, w)
	default:
		return pre, true
	}
}

// backwardAnd: the bits of c are those of the result, and x is the result plus
// bits that c does not have.
func backwardAnd(x, post Scalar, c uint64) (Scalar, bool) {
	bits, ok := x.bits.Meet(tnum.Tnum{Value: post.bits.Value & c, Mask: post.bits.Mask&c | ^c&wordMask})
	if !ok {
		return x, false
	}
	x.bits = bits
	x.full.umin = max(x.full.umin, post.full.umin)
	x.full.umax = min(x.full.umax, addSaturated(post.full.umax, ^c&wordMask))
	return x, x.reduce()
}

// backwardRsh: x is the result shifted back, plus any low k bits.
func backwardRsh(x, post Scalar, k uint) (Scalar, bool) {
	least, most, lost := post.full.umin, min(post.full.umax, wordMask>>k), uint64(1)<<k-1
	if least > most {
		return x, false
	}
	bits, ok := x.bits.Meet(tnum.Tnum{Value: post.bits.Value << k, Mask: post.bits.Mask<<k | lost}.Trunc(wordBits))
	if !ok {
		return x, false
	}
	x.bits = bits
	x.full.umin, x.full.umax = max(x.full.umin, least<<k), min(x.full.umax, most<<k|lost)
	return x, x.reduce()
}

// backwardArsh: as backwardRsh, on signed numbers.
func backwardArsh(x, post Scalar, k uint) (Scalar, bool) {
	least, most := max(post.full.smin, minSigned(wordBits)>>k), min(post.full.smax, maxSigned(wordBits)>>k)
	lost := uint64(1)<<k - 1
	if least > most {
		return x, false
	}
	bits, ok := x.bits.Meet(tnum.Tnum{Value: post.bits.Value << k, Mask: post.bits.Mask<<k | lost}.Trunc(wordBits))
	if !ok {
		return x, false
	}
	x.bits = bits
	x.full.smin, x.full.smax = max(x.full.smin, least<<k), min(x.full.smax, most<<k|int64(lost))
	return x, x.reduce()
}

// backwardLsh: the result shifted back is x without its high k bits of w.
func backwardLsh(x, post Scalar, k, w uint) (Scalar, bool) {
	if k == 0 {
		return x.Meet(post)
	}
	if w == wordBits && x.full.smin >= minSigned(w-k) && x.full.smax <= maxSigned(w-k) {
		return x.Meet(arshConst(post, k))
	}
	return x.MeetLow(rshConst(post, k), w-k)
}
