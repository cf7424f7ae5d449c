package scalar

import (
	"math/bits"

	"github.com/skepvm/skep/verifier/internal/tnum"
)

// logic.go holds the transfer functions of AND, OR and XOR. Each half is
// computed from its own ranges and the result's known bits, also when both low
// halves are constant (CVE-2021-3490).

// And returns the bitwise conjunctions.
func And(a, b Scalar) Scalar {
	t := a.bits.And(b.bits)
	if t.IsConst() {
		return Const(t.Value)
	}
	return result(t, a.full.and(b.full, t, wordBits), a.low().and(b.low(), t.Trunc(halfBits), halfBits))
}

// Or returns the bitwise disjunctions.
func Or(a, b Scalar) Scalar {
	t := a.bits.Or(b.bits)
	if t.IsConst() {
		return Const(t.Value)
	}
	return result(t, a.full.or(b.full, t, wordBits), a.low().or(b.low(), t.Trunc(halfBits), halfBits))
}

// Xor returns the bitwise exclusive disjunctions.
func Xor(a, b Scalar) Scalar {
	t := a.bits.Xor(b.bits)
	switch {
	case t.IsConst():
		return Const(t.Value)
	case a.bits.Value == wordMask: // the complement, which is all ones less the number
		return Sub(a, b)
	case b.bits.Value == wordMask:
		return Sub(b, a)
	}
	return result(t, a.full.xor(b.full, t, wordBits), a.low().xor(b.low(), t.Trunc(halfBits), halfBits))
}

// and returns the conjunctions, whose known bits are t.
//
// Sound: x&y is at most x and at most y, and x+y = (x&y)+(x|y) makes it at
// least x+y less the greatest number.
func (r ranges) and(o ranges, t tnum.Tnum, w uint) ranges {
	m := mask(w)
	res := ranges{umin: t.Min(), umax: min(r.umax, o.umax)}
	if sum := r.umin + o.umin; sum < r.umin || sum > m {
		res.umin = max(res.umin, sum-m)
	}
	res.smin, res.smax = signedAnd(r.smin, r.smax, o.smin, o.smax)
	return res
}

// or returns the disjunctions, whose known bits are t.
//
// Sound: x|y is at least x, at least y and at most x+y. The signed range is
// that of the conjunction of the complements, complemented.
func (r ranges) or(o ranges, t tnum.Tnum, w uint) ranges {
	res := ranges{umin: max(r.umin, o.umin), umax: min(t.Max(), addSaturated(r.umax, o.umax))}
	smin, smax := signedAnd(^r.smax, ^r.smin, ^o.smax, ^o.smin)
	res.smin, res.smax = ^smax, ^smin
	return res
}

// xor returns the exclusive disjunctions, whose known bits are t.
//
// Sound: x^y is at most x+y, and as x is at most (x^y)+y, at least x−y; so too
// y−x. If k bits and a sign hold x and y, they hold x^y.
func (r ranges) xor(o ranges, t tnum.Tnum, w uint) ranges {
	res := ranges{umin: t.Min(), umax: min(t.Max(), addSaturated(r.umax, o.umax))}
	if r.umin > o.umax {
		res.umin = max(res.umin, r.umin-o.umax)
	}
	if o.umin > r.umax {
		res.umin = max(res.umin, o.umin-r.umax)
	}
	k := max(signedLen(r.smin), signedLen(r.smax), signedLen(o.smin), signedLen(o.smax))
	res.smin, res.smax = -1<<k, 1<<k-1
	return res
}

// signedAnd returns bounds for x&y, x in [a, b] and y in [c, d].
//
// Sound: if x >= 0, then 0 <= x&y <= x. If x < 0, then x&y <= y. If k bits and
// a sign hold two negative numbers, they hold the conjunction. Whatever the
// signs, x&y is at most the greater of x and y.
func signedAnd(a, b, c, d int64) (lo, hi int64) {
	hi = max(b, d)
	if a >= 0 || d < 0 {
		hi = min(hi, b)
	}
	if c >= 0 || b < 0 {
		hi = min(hi, d)
	}
	if a < 0 && c < 0 {
		lo = -1 << max(signedLen(a), signedLen(c))
	}
	return lo, hi
}

// signedLen returns how many bits, beside the sign, hold x.
func signedLen(x int64) uint { return uint(bits.Len64(uint64(x ^ x>>63))) }

func addSaturated(x, y uint64) uint64 {
	if x+y < x {
		return ^uint64(0)
	}
	return x + y
}
