package scalar

import "math/bits"

const (
	wordMask = 1<<wordBits - 1
	halfMask = 1<<halfBits - 1
)

// ranges bounds a value of some width w (wordBits or halfBits) twice: as an
// unsigned number, and as a two's complement number, which is kept
// sign-extended to 64 bits. The methods take w where they need it.
type ranges struct {
	umin, umax uint64
	smin, smax int64
}

func mask(w uint) uint64 { return ^uint64(0) >> (64 - w) }

// sext reads the low w bits of x as a two's complement number.
func sext(x uint64, w uint) int64 { return int64(x<<(64-w)) >> (64 - w) }

func maxSigned(w uint) int64 { return int64(mask(w) >> 1) }
func minSigned(w uint) int64 { return ^maxSigned(w) }

// fullRange is every value of w bits.
func fullRange(w uint) ranges { return ranges{0, mask(w), minSigned(w), maxSigned(w)} }

// point is the value v alone.
func point(v uint64, w uint) ranges {
	v &= mask(w)
	s := sext(v, w)
	return ranges{v, v, s, s}
}

// signSplit reports whether the signed range holds both −1 and 0, so that as
// unsigned numbers its values lie in two pieces, at both ends of the line.
func (r *ranges) signSplit() bool { return r.smin < 0 && r.smax >= 0 }

// empty reports whether either range has no value.
func (r *ranges) empty() bool { return r.umin > r.umax || r.smin > r.smax }

// meet intersects r with o.
func (r *ranges) meet(o ranges) {
	r.umin, r.umax = max(r.umin, o.umin), min(r.umax, o.umax)
	r.smin, r.smax = max(r.smin, o.smin), min(r.smax, o.smax)
}

// exchange lets the unsigned and the signed range inform each other, to a
// fixpoint; it returns false if they have no value in common. Every end it
// leaves is one of the four it was given.
//
// Sound: a signed range without a sign change is the same range read as
// unsigned numbers. One with a sign change is the two pieces [0, smax] and
// [smin, −1]; if the unsigned range meets only one of them, every value lies
// there. If it meets both, its ends lie in them and neither range can shrink.
func (r *ranges) exchange(w uint) bool {
	if r.empty() {
		return false
	}
	m := mask(w)
	if r.signSplit() {
		low := r.umin <= uint64(r.smax)    // meets [0, smax]
		high := r.umax >= uint64(r.smin)&m // meets [smin, −1]
		switch {
		case low && high:
			return true
		case low:
			r.umax = min(r.umax, uint64(r.smax))
		case high:
			r.umin = max(r.umin, uint64(r.smin)&m)
		default:
			return false
		}
	} else {
		r.umin = max(r.umin, uint64(r.smin)&m)
		r.umax = min(r.umax, uint64(r.smax)&m)
		if r.umin > r.umax {
			return false
		}
	}
	r.smin, r.smax = sext(r.umin, w), sext(r.umax, w)
	return true
}

// meetArc keeps the values met when counting up from lo to hi, modulo 2^w. It
// returns false if that leaves none.
//
// Sound: in either order an arc is one piece, or two at both ends of the line;
// with two of which the range meets only one, the other end moves to that one.
func (r *ranges) meetArc(lo, hi uint64, w uint) bool {
	if lo <= hi {
		r.umin, r.umax = max(r.umin, lo), min(r.umax, hi)
	} else {
		first, last := r.umin <= hi, r.umax >= lo
		if !first {
			r.umin = max(r.umin, lo)
		}
		if !last {
			r.umax = min(r.umax, hi)
		}
	}
	slo, shi := sext(lo, w), sext(hi, w)
	if slo <= shi {
		r.smin, r.smax = max(r.smin, slo), min(r.smax, shi)
	} else {
		first, last := r.smin <= shi, r.smax >= slo
		if !first {
			r.smin = max(r.smin, slo)
		}
		if !last {
			r.smax = min(r.smax, shi)
		}
	}
	return !r.empty()
}

// add returns the sums.
//
// Sound: counted without wrapping, the sums run from lo to hi without a break.
// Wrapping keeps their order if both ends wrap or neither does, which for the
// signed range is so if the sums are fewer than 2^w and the ends stay in order.
func (r ranges) add(o ranges, w uint) ranges {
	m, sum := mask(w), fullRange(w)
	if lo, hi := (r.umin+o.umin)&m, (r.umax+o.umax)&m; (lo < r.umin) == (hi < r.umax) {
		sum.umin, sum.umax = lo, hi
	}
	if lo, hi := sext(uint64(r.smin+o.smin), w), sext(uint64(r.smax+o.smax), w); lo <= hi && signedSpanFits(r, o, m) {
		sum.smin, sum.smax = lo, hi
	}
	return sum
}

// sub returns the differences r−o. Sound: as for add.
func (r ranges) sub(o ranges, w uint) ranges {
	m, diff := mask(w), fullRange(w)
	if (r.umin < o.umax) == (r.umax < o.umin) {
		diff.umin, diff.umax = (r.umin-o.umax)&m, (r.umax-o.umin)&m
	}
	if lo, hi := sext(uint64(r.smin-o.smax), w), sext(uint64(r.smax-o.smin), w); lo <= hi && signedSpanFits(r, o, m) {
		diff.smin, diff.smax = lo, hi
	}
	return diff
}

// signedSpanFits reports whether the sums (and so the differences) of the two
// signed ranges are at most m+1 consecutive numbers.
func signedSpanFits(r, o ranges, m uint64) bool {
	a, b := uint64(r.smax)-uint64(r.smin), uint64(o.smax)-uint64(o.smin)
	return a+b >= a && a+b <= m
}

// mul returns the products.
//
// Sound: without overflow a product is monotone in each factor (in a direction
// that the sign of the other decides), so its extremes are at the corners.
func (r ranges) mul(o ranges, w uint) ranges {
	prod := fullRange(w)
	if high, low := bits.Mul64(r.umax, o.umax); high == 0 && low <= mask(w) {
		prod.umin, prod.umax = r.umin*o.umin, low
	}
	if r.smin >= 0 && o.smin >= 0 {
		return prod // the unsigned range says it all
	}
	a, ok1 := mulSigned(r.smin, o.smin, w)
	b, ok2 := mulSigned(r.smin, o.smax, w)
	c, ok3 := mulSigned(r.smax, o.smin, w)
	d, ok4 := mulSigned(r.smax, o.smax, w)
	if ok1 && ok2 && ok3 && ok4 {
		prod.smin, prod.smax = min(a, b, c, d), max(a, b, c, d)
	}
	return prod
}

// mulSigned returns x·y; ok is false if w bits cannot hold it.
func mulSigned(x, y int64, w uint) (p int64, ok bool) {
	high, low := bits.Mul64(magnitude(x), magnitude(y))
	if (x < 0) != (y < 0) {
		return -int64(low), high == 0 && low <= uint64(maxSigned(w))+1
	}
	return int64(low), high == 0 && low <= uint64(maxSigned(w))
}

// magnitude returns |x|, for which uint64 has room.
func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}
