package scalar

import "slices"

// Thresholds are the bounds that Widen stops at: numbers that matter to a
// program, such as those it compares with, and the ends of each width. It never
// changes once made. The zero Thresholds has none but the ends.
type Thresholds struct {
	unsigned   []uint64
	signed     []int64
	unsigned32 []uint64
	signed32   []int64
}

// NewThresholds returns the thresholds for the given numbers, in any order.
// Each counts as a signed and as an unsigned number, and its low half too.
func NewThresholds(numbers ...uint64) Thresholds {
	var t Thresholds
	for _, n := range numbers {
		t.unsigned = append(t.unsigned, n&wordMask)
		t.signed = append(t.signed, sext(n, wordBits))
		t.unsigned32 = append(t.unsigned32, n&halfMask)
		t.signed32 = append(t.signed32, sext(n, halfBits))
	}
	for _, l := range []*[]uint64{&t.unsigned, &t.unsigned32} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	for _, l := range []*[]int64{&t.signed, &t.signed32} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return t
}

// Widen returns a Scalar that holds prev and next, so chosen that a chain in
// which each value is the widening of the one before ends after few steps, no
// matter what is joined: an end that moves goes to the next threshold.
//
// If a known bit is lost while ends move, as in counting, all bits above the
// lowest lost one are given up at once; what the new range says about them comes back by
// reduction. So a constant stride stays known as low zero bits. If no end moves, the bits
// are joined, which wordBits times at most can lose one.
func Widen(prev, next Scalar, t *Thresholds) Scalar {
	s := prev.Join(next)
	if s == prev {
		return s
	}
	s.full.widen(prev.full, t.unsigned, t.signed, wordBits)
	low := s.low()
	low.widen(prev.low(), t.unsigned32, t.signed32, halfBits)
	s.setLow(low)
	if lost := s.bits.Mask &^ prev.bits.Mask; lost != 0 && s.full != prev.full {
		s.bits.Mask |= -(lost & -lost) & wordMask
		s.bits.Value &^= s.bits.Mask
	}
	return reduced(s)
}

// widen moves the ends of r that are outside prev to a threshold or the end of the width.
func (r *ranges) widen(prev ranges, unsigned []uint64, signed []int64, w uint) {
	if r.umin < prev.umin {
		r.umin = atMost(unsigned, r.umin, 0)
	}
	if r.umax > prev.umax {
		r.umax = atLeast(unsigned, r.umax, mask(w))
	}
	if r.smin < prev.smin {
		r.smin = atMost(signed, r.smin, minSigned(w))
	}
	if r.smax > prev.smax {
		r.smax = atLeast(signed, r.smax, maxSigned(w))
	}
}

// atLeast returns the least element of the sorted list that is not below x, or
// end if there is none.
func atLeast[T uint64 | int64](list []T, x, end T) T {
	if i, _ := slices.BinarySearch(list, x); i < len(list) {
		return list[i]
	}
	return end
}

// atMost returns the greatest element of the sorted list that is not above x,
// or end if there is none.
func atMost[T uint64 | int64](list []T, x, end T) T {
	i, found := slices.BinarySearch(list, x)
	if found {
		return x
	}
	if i > 0 {
		return list[i-1]
	}
	return end
}
