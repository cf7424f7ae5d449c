package scalar

import "github.com/skepvm/skep/verifier/internal/tnum"

// divide.go holds the transfer functions of division and modulo at the full
// width; alu.go extends 32-bit operands before it calls them, so that the
// divisor is the low half alone (CVE-2021-3600). Division by zero gives 0,
// modulo by zero the dividend (RFC 9669, section 4.1).

// Div returns the unsigned quotients.
func Div(a, b Scalar) Scalar {
	d := b.full.umin
	switch {
	case b.full.umax == 0:
		return Const(0)
	case b.IsConst() && d&(d-1) == 0:
		return rshConst(a, tnum.Const(d).TrailingZeros())
	case d == 0:
		return Unsigned(0, a.full.umax)
	default:
		return Unsigned(a.full.umin/b.full.umax, a.full.umax/d)
	}
}

// Mod returns the unsigned remainders.
//
// Sound: x mod d is x less a multiple of d, so the low bits that are zero in
// every d stay those of x. Dividends with the same quotient keep their distance.
func Mod(a, b Scalar) Scalar {
	d := b.full.umin
	switch {
	case b.full.umax == 0 || a.full.umax < d:
		return a
	case b.IsConst() && a.full.umin/d == a.full.umax/d:
		return Sub(a, Const(a.full.umin/d*d))
	}
	r := Top()
	r.full.umax = min(a.full.umax, b.full.umax-1)
	r.bits = r.bits.WithLow(a.bits, b.bits.TrailingZeros())
	r = reduced(r)
	if d == 0 {
		r = r.Join(a)
	}
	return r
}

// SDiv returns the signed quotients, which truncate towards zero. The least
// number divided by −1 is itself.
//
// Sound: for divisors of one sign the quotient is monotone in each operand (in
// the divisor, in a direction that the dividend decides), so its extremes are
// at the corners.
func SDiv(a, b Scalar) Scalar {
	if a.IsConst() && b.IsConst() && b.full.smin == -1 {
		return Neg(a)
	}
	// The divisors from negMin to negMax and from posMin to posMax; either
	// may be none.
	negMin, negMax := b.full.smin, min(b.full.smax, -1)
	posMin, posMax := max(b.full.smin, 1), b.full.smax
	if b.full.signSplit() {
		negMax = sext(b.full.umax, wordBits)
		posMin = max(int64(b.full.umin), 1)
	}
	if a.full.smin == minSigned(wordBits) && negMin <= -1 && negMax == -1 {
		return Top()
	}
	q := ranges{smin: maxSigned(wordBits), smax: minSigned(wordBits)} // nothing yet
	if b.Contains(0) {
		q.addQuotients(ranges{}, 1, 1)
	}
	q.addQuotients(a.full, negMin, negMax)
	q.addQuotients(a.full, posMin, posMax)
	return Signed(q.smin, q.smax)
}

// addQuotients extends the signed range of q to the quotients of that of a by
// the divisors from dmin to dmax, which have one sign; there may be none.
func (q *ranges) addQuotients(a ranges, dmin, dmax int64) {
	if dmin > dmax {
		return
	}
	w, x, y, z := a.smin/dmin, a.smin/dmax, a.smax/dmin, a.smax/dmax
	q.smin, q.smax = min(q.smin, w, x, y, z), max(q.smax, w, x, y, z)
}

// SMod returns the signed remainders, which have the sign of the dividend.
func SMod(a, b Scalar) Scalar {
	if b.full.umax == 0 {
		return a
	}
	least, most := uint64(1), max(magnitude(b.full.smin), magnitude(b.full.smax))
	switch {
	case b.full.smin > 0:
		least = uint64(b.full.smin)
	case b.full.smax < 0:
		least = magnitude(b.full.smax)
	}
	if max(magnitude(a.full.smin), magnitude(a.full.smax)) < least {
		return a
	}
	r := Top()
	r.full.smin, r.full.smax = 0, 0
	if a.full.smin < 0 {
		r.full.smin = -int64(min(magnitude(a.full.smin), most-1))
	}
	if a.full.smax > 0 {
		r.full.smax = int64(min(uint64(a.full.smax), most-1))
	}
	r.bits = r.bits.WithLow(a.bits, b.bits.TrailingZeros())
	r = reduced(r)
	if b.Contains(0) {
		r = r.Join(a)
	}
	return r
}
