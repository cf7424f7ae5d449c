package scalar

import (
	"math/bits"

	"github.com/skepvm/skep/verifier/internal/tnum"
)

// shift.go holds the transfer functions of the shifts. Amounts are masked to
// the width (RFC 9669, section 4.1).

// A shift by an amount that is not constant is the join over the amounts, if
// there are at most this many; otherwise it is bounded by the extreme amounts.
const maxAmounts = 9

// Lsh returns the members of a shifted left by those of b.
func Lsh(a, b Scalar) Scalar {
	lo, hi, amounts := shiftAmounts(b, wordBits)
	if hi-lo < maxAmounts {
		return joinShifts(a, lo, hi, amounts, lshConst)
	}
	s := Top()
	s.bits = tnum.Tnum{Mask: wordMask}.Lsh(a.bits.TrailingZeros() + lo).Trunc(wordBits)
	if uint(bits.Len64(a.full.umax))+hi <= wordBits {
		s.full.umin, s.full.umax = a.full.umin<<lo, a.full.umax<<hi
	}
	return reduced(s)
}

// Rsh returns the members of a shifted right by those of b, zeros coming in.
func Rsh(a, b Scalar) Scalar {
	lo, hi, amounts := shiftAmounts(b, wordBits)
	if hi-lo < maxAmounts {
		return joinShifts(a, lo, hi, amounts, rshConst)
	}
	return Unsigned(a.full.umin>>hi, a.full.umax>>lo)
}

// Arsh returns the members of a shifted right by those of b, copies of the sign
// coming in.
func Arsh(a, b Scalar) Scalar {
	lo, hi, amounts := shiftAmounts(b, wordBits)
	if hi-lo < maxAmounts {
		return joinShifts(a, lo, hi, amounts, arshConst)
	}
	return Signed(min(a.full.smin>>lo, a.full.smin>>hi), max(a.full.smax>>lo, a.full.smax>>hi))
}

// shiftAmounts returns the amounts that b stands for at width w: those from lo
// to hi that are members of amounts.
func shiftAmounts(b Scalar, w uint) (lo, hi uint, amounts tnum.Tnum) {
	amounts = b.bits.And(tnum.Const(uint64(w - 1)))
	if b.full.umax < uint64(w) {
		return uint(b.full.umin), uint(b.full.umax), amounts
	}
	return uint(amounts.Min()), uint(amounts.Max()), amounts
}

func joinShifts(a Scalar, lo, hi uint, amounts tnum.Tnum, shift func(Scalar, uint) Scalar) Scalar {
	s := shift(a, lo) // a member: the end of a reduced range, or of a tnum
	for k := lo + 1; k <= hi; k++ {
		if amounts.Contains(uint64(k)) {
			s = s.Join(shift(a, k))
		}
	}
	return s
}

// lshConst shifts left by k < wordBits. What is shifted out does not matter, so
// for k of half the width and more the low half stands for the whole; this
// makes a shift left and back again an exact extension of the low half.
func lshConst(a Scalar, k uint) Scalar {
	if a.IsConst() {
		return Const(a.full.umin << k)
	}
	full, low := a.full, point(0, halfBits)
	if k >= halfBits {
		full = a.low()
	} else {
		low = a.low().lsh(k, halfBits)
	}
	return result(a.bits.Lsh(k), full.lsh(k, wordBits), low)
}

// lsh returns the values shifted left by k < w, modulo 2^w. It needs only what
// r says modulo 2^(w−k).
//
// Sound: values with the same bits above bit w−k keep their order when these
// leave. For the signed order the bits that leave are those above bit w−k−1 of
// the value plus half that weight, so that a plain sign extension counts as
// the same.
func (r ranges) lsh(k, w uint) ranges {
	res, m := fullRange(w), mask(w)
	if r.umin>>(w-k) == r.umax>>(w-k) {
		res.umin, res.umax = r.umin<<k&m, r.umax<<k&m
	}
	if (r.smin>>(w-k-1)+1)>>1 == (r.smax>>(w-k-1)+1)>>1 {
		res.smin, res.smax = sext(uint64(r.smin)<<k, w), sext(uint64(r.smax)<<k, w)
	}
	return res
}

// rshConst shifts right by k < wordBits, zeros coming in.
func rshConst(a Scalar, k uint) Scalar {
	if k == 0 {
		return a
	}
	if a.IsConst() {
		return Const(a.full.umin >> k)
	}
	full := fullRange(wordBits)
	full.umin, full.umax = a.full.umin>>k, a.full.umax>>k
	return result(a.bits.Rsh(k), full, fullRange(halfBits))
}

// arshConst shifts right by k < wordBits, copies of the sign coming in.
func arshConst(a Scalar, k uint) Scalar {
	if k == 0 {
		return a
	}
	full := fullRange(wordBits)
	full.smin, full.smax = a.full.smin>>k, a.full.smax>>k
	return result(a.bits.SignExtend(wordBits).Arsh(k), full, fullRange(halfBits))
}
