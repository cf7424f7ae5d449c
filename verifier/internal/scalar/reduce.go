package scalar

import "github.com/skepvm/skep/verifier/internal/tnum"

// reduce shrinks each component to what the others allow, until none changes.
// It returns false if that leaves no value, and then s means nothing.
//
// Each step is monotone and keeps every member, so the result is the greatest
// fixpoint below s, whatever the order of the steps. Hence reduction is
// monotone and idempotent.
func (s *Scalar) reduce() bool {
	if s.bits.Mask == 0 {
		c := s.bits.Value
		ok := s.Contains(c)
		*s = Const(c)
		return ok
	}
	if !s.full.exchange(wordBits) {
		return false
	}
	if s.isSmall() {
		return s.reduceSmall()
	}
	_, ok := s.learn()
	for again := true; again && ok; again, ok = s.learn() {
		before := s.full
		if !s.reduceLow() || !s.reduceFull() {
			return false
		}
		if s.isSmall() {
			return s.reduceSmall()
		}
		if s.full.umin == s.full.umax {
			*s = Const(s.full.umin)
			return true
		}
		if s.full == before {
			return true // learn depends on nothing else
		}
	}
	return ok
}

// isSmall reports whether every member is at most the greatest signed number of
// the low half. Then the low half is the value, and all four ranges are one.
// Most values in programs are small.
func (s *Scalar) isSmall() bool { return s.full.umax <= halfMask>>1 }

// reduceSmall is reduce for small values whose whole ranges are exchanged.
func (s *Scalar) reduceSmall() bool {
	if s.smax32 < 0 {
		return false
	}
	return s.setSmall(s.bits,
		max(s.full.umin, uint64(s.umin32), uint64(max(s.smin32, 0))),
		min(s.full.umax, uint64(s.umax32), uint64(s.smax32)))
}

// setSmall sets s to the members of t from umin to umax, which is small, and
// reduces it.
func (s *Scalar) setSmall(t tnum.Tnum, umin, umax uint64) bool {
	for {
		var ok1, ok2 bool
		umin, ok1 = t.AtLeast(umin)
		umax, ok2 = t.AtMost(umax)
		if !ok1 || !ok2 || umin > umax {
			return false
		}
		known, _ := t.Meet(tnum.Range(umin, umax)) // both hold umin
		if known == t {
			break
		}
		t = known
	}
	s.bits = t
	s.full = ranges{umin, umax, int64(umin), int64(umax)}
	s.umin32, s.umax32 = uint32(umin), uint32(umax)
	s.smin32, s.smax32 = int32(umin), int32(umax)
	return true
}

// small is result for operations whose results are all small: members of t
// from umin to umax.
func small(t tnum.Tnum, umin, umax uint64) (s Scalar) {
	if !s.setSmall(t, umin, umax) {
		return Top()
	}
	return s
}

// reduced is reduce for the result of an operation.
//
// Sound: reduction does not see every contradiction, so an operand may hold no
// value, and the result then shows it. Top holds all the results of none.
func reduced(s Scalar) Scalar {
	if !s.reduce() {
		return Top()
	}
	return s
}

// learn takes from the ranges of the whole value what they say about the known
// bits and about the low half, and reports whether that changed anything.
//
// Sound: the bits that both ends share from the top down are shared by every
// value between them. Fewer than 2^halfBits consecutive values have low halves
// that run along an arc from the one end's to the other's; that both ends have
// the same high half is not needed, and bounding each end's low half by itself
// would be wrong (CVE-2021-31440).
func (s *Scalar) learn() (changed, ok bool) {
	known, ok := s.bits.Meet(tnum.Range(s.full.umin, s.full.umax))
	if !ok {
		return false, false
	}
	changed = known != s.bits
	s.bits = known
	low := s.low()
	if s.full.umax-s.full.umin <= halfMask && !low.meetArc(s.full.umin&halfMask, s.full.umax&halfMask, halfBits) {
		return false, false
	}
	if s.full.signSplit() && uint64(s.full.smax)-uint64(s.full.smin) <= halfMask &&
		!low.meetArc(uint64(s.full.smin)&halfMask, uint64(s.full.smax)&halfMask, halfBits) {
		return false, false
	}
	if low != s.low() {
		changed = true
		s.setLow(low)
	}
	return changed, true
}

// reduceLow brings the low half's ranges and known bits to a fixpoint.
func (s *Scalar) reduceLow() bool {
	r, t := s.low(), s.bits.Trunc(halfBits)
	if t.Mask == halfMask && r == fullRange(halfBits) {
		return true
	}
	for {
		if !r.exchange(halfBits) || !r.tighten(t, halfBits) {
			return false
		}
		known, ok := t.Meet(tnum.Range(r.umin, r.umax))
		if !ok {
			return false
		}
		if known == t {
			break
		}
		t = known
	}
	s.bits = s.bits.WithLow(t, halfBits)
	s.setLow(r)
	return true
}

// tighten moves each end to the nearest member of t. It requires, and leaves,
// what exchange leaves.
func (r *ranges) tighten(t tnum.Tnum, w uint) bool {
	var ok1, ok2 bool
	r.umin, ok1 = t.AtLeast(r.umin)
	r.umax, ok2 = t.AtMost(r.umax)
	if !ok1 || !ok2 || r.umin > r.umax {
		return false
	}
	if !r.signSplit() {
		r.smin, r.smax = sext(r.umin, w), sext(r.umax, w)
		return true
	}
	f, sign := flipSign(t, w), signBit(w)
	smin, ok3 := f.AtLeast(uint64(r.smin)&mask(w) ^ sign)
	smax, ok4 := f.AtMost(uint64(r.smax)&mask(w) ^ sign)
	r.smin, r.smax = sext(smin^sign, w), sext(smax^sign, w)
	return ok3 && ok4 && r.exchange(w)
}

func signBit(w uint) uint64 { return 1 << (w - 1) }

// flipSign returns the members of t with their sign bit inverted. That maps
// the signed order of values to the unsigned order.
func flipSign(t tnum.Tnum, w uint) tnum.Tnum {
	return tnum.Tnum{Value: (t.Value ^ signBit(w)) &^ t.Mask, Mask: t.Mask}
}

// reduceFull moves each end of the ranges of the whole value to the nearest
// value whose bits and whose low half are possible. It requires that reduceLow
// has just run, and requires and leaves what exchange leaves.
func (s *Scalar) reduceFull() bool {
	r, t := &s.full, s.bits
	l := s.lowHalves()
	var ok1, ok2 bool
	r.umin, ok1 = l.atLeast(t, r.umin)
	r.umax, ok2 = l.atMost(t, r.umax)
	if !ok1 || !ok2 || r.umin > r.umax {
		return false
	}
	if !r.signSplit() {
		r.smin, r.smax = sext(r.umin, wordBits), sext(r.umax, wordBits)
		return true
	}
	f, sign := flipSign(t, wordBits), signBit(wordBits)
	smin, ok1 := l.atLeast(f, uint64(r.smin)&wordMask^sign)
	smax, ok2 := l.atMost(f, uint64(r.smax)&wordMask^sign)
	r.smin, r.smax = sext(smin^sign, wordBits), sext(smax^sign, wordBits)
	return ok1 && ok2 && r.exchange(wordBits)
}

// A lowHalves is the set of possible low halves apart from known bits: from min
// to max but not in the gap that a signed range with a sign change leaves. The
// ends of both are members of the low half's known bits. Without a gap, gapMin
// is above gapMax.
type lowHalves struct{ min, max, gapMin, gapMax uint64 }

func (s *Scalar) lowHalves() lowHalves {
	l := lowHalves{uint64(s.umin32), uint64(s.umax32), 1, 0}
	if s.smin32 < 0 && s.smax32 >= 0 {
		l.gapMin, l.gapMax = uint64(s.smax32)+1, uint64(s.smin32)&halfMask-1
	}
	return l
}

func (l *lowHalves) contains(x uint64) bool {
	return l.min <= x && x <= l.max && (x < l.gapMin || l.gapMax < x)
}

// atLeast returns the least member of t whose low half is in l and that is not
// below x; ok is false if there is none.
func (l *lowHalves) atLeast(t tnum.Tnum, x uint64) (least uint64, ok bool) {
	if t.Contains(x) && l.contains(x&halfMask) {
		return x, true
	}
	high := tnum.Tnum{Value: t.Value &^ halfMask, Mask: t.Mask &^ halfMask}
	h := x &^ halfMask
	if high.Contains(h) {
		if low, ok := l.nextLow(t.Trunc(halfBits), x&halfMask); ok {
			return h | low, true
		}
		if h += halfMask + 1; h == 0 {
			return 0, false
		}
	}
	h, ok = high.AtLeast(h)
	return h | l.min, ok
}

// nextLow returns the least low half that is a member of t and in l and not
// below x.
func (l *lowHalves) nextLow(t tnum.Tnum, x uint64) (least uint64, ok bool) {
	y, ok := t.AtLeast(max(x, l.min))
	if ok && l.gapMin <= y && y <= l.gapMax {
		y = l.gapMax + 1
	}
	return y, ok && y <= l.max
}

// atMost returns the greatest member of t whose low half is in l and that is
// not above x; ok is false if there is none. It is atLeast on the complements.
func (l *lowHalves) atMost(t tnum.Tnum, x uint64) (greatest uint64, ok bool) {
	if t.Contains(x) && l.contains(x&halfMask) {
		return x, true
	}
	c := lowHalves{l.max ^ halfMask, l.min ^ halfMask, l.gapMax ^ halfMask, l.gapMin ^ halfMask}
	y, ok := c.atLeast(tnum.Tnum{Value: t.Max() ^ wordMask, Mask: t.Mask}, x^wordMask)
	return y ^ wordMask, ok
}
