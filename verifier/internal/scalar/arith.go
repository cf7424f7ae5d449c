package scalar

import "github.com/skepvm/skep/verifier/internal/tnum"

// arith.go holds the transfer functions of addition, subtraction, negation and
// multiplication. The low half of each result depends on the low halves of the
// operands alone, so it is computed from their ranges and not from the result.

// result builds a Scalar from components that each hold every result.
func result(t tnum.Tnum, full, low ranges) (s Scalar) {
	s.bits, s.full = t.Trunc(wordBits), full
	s.setLow(low)
	if !s.reduce() {
		return Top()
	}
	return s
}

// lowResult is result for operations at 32 bits, which zero-extend.
func lowResult(t tnum.Tnum, low ranges) (s Scalar) {
	s.bits = t.Trunc(halfBits)
	s.full = ranges{low.umin, low.umax, int64(low.umin), int64(low.umax)}
	s.setLow(low)
	if !s.reduce() {
		return Low(Top())
	}
	return s
}

// Add returns the sums a+b.
func Add(a, b Scalar) Scalar {
	if a.IsConst() && b.IsConst() {
		return Const(a.full.umin + b.full.umin)
	}
	if a.isSmall() && b.isSmall() && a.full.umax+b.full.umax <= halfMask>>1 {
		return small(a.bits.Add(b.bits), a.full.umin+b.full.umin, a.full.umax+b.full.umax)
	}
	return result(a.bits.Add(b.bits), a.full.add(b.full, wordBits), a.low().add(b.low(), halfBits))
}

// Sub returns the differences a−b.
func Sub(a, b Scalar) Scalar {
	if a.IsConst() && b.IsConst() {
		return Const(a.full.umin - b.full.umin)
	}
	return result(a.bits.Sub(b.bits), a.full.sub(b.full, wordBits), a.low().sub(b.low(), halfBits))
}

// Neg returns the two's complements; that of the least number is itself.
func Neg(a Scalar) Scalar { return Sub(Const(0), a) }

// Mul returns the products a·b.
func Mul(a, b Scalar) Scalar {
	if a.IsConst() && b.IsConst() {
		return Const(a.full.umin * b.full.umin)
	}
	return result(a.bits.Mul(b.bits), a.full.mul(b.full, wordBits), a.low().mul(b.low(), halfBits))
}
