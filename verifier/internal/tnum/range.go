package tnum

import "math/bits"

// Range returns the least Tnum that holds every x with min <= x <= max, which
// is their common prefix. It requires min <= max.
func Range(min, max uint64) Tnum {
	m := ^(^uint64(0) << bits.Len64(min^max))
	return Tnum{min &^ m, m}
}

// AtLeast returns the least member that is not below x; ok is false if there
// is none, and then the result means nothing. It takes constant time.
//
// Sound and exact: let p be the highest known bit in which x differs from t.
// Above p, x is a prefix of some member. If t has a one at p, members with that
// prefix are all above x, and the least has every unknown bit below p zero. If
// t has a zero there, they are all below x: the prefix must grow, so the sum
// carries into the lowest unknown bit above p that is zero in x. All other bits
// are set to one for the addition, so that the carry passes through them.
func (t Tnum) AtLeast(x uint64) (least uint64, ok bool) {
	diff := (x ^ t.Value) &^ t.Mask
	if diff == 0 {
		return x, true
	}
	below := uint64(1)<<(bits.Len64(diff)-1)<<1 - 1 // p and all bits under it
	if t.Value&diff > below>>1 {
		return x&^below | t.Value&below, true
	}
	grown := (x | ^t.Mask | below) + 1
	return t.Value | grown&t.Mask&^below, grown != 0
}

// AtMost returns the greatest member that is not above x; ok is false if there
// is none, and then the result means nothing. It takes constant time.
//
// Sound and exact: the complements of the members form a Tnum, in which the
// order is reversed.
func (t Tnum) AtMost(x uint64) (greatest uint64, ok bool) {
	y, ok := Tnum{^t.Max(), t.Mask}.AtLeast(^x)
	return ^y, ok
}
