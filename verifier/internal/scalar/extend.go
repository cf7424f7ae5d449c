package scalar

// extend.go holds what changes the width of a value: moves and loads that
// extend, stores that truncate, and byte order.

// Low returns the low 32 bits of the members, zero-extended, as every 32-bit
// instruction leaves its result (RFC 9669, section 4.1).
func Low(a Scalar) Scalar {
	if a.full.umax <= halfMask {
		return a
	}
	a.bits = a.bits.Trunc(halfBits)
	a.full = fullRange(wordBits)
	a.full.umin, a.full.umax = uint64(a.umin32), uint64(a.umax32)
	return reduced(a)
}

// Trunc returns the low n bits of the members, zero-extended: what a store of
// n bits leaves in memory and a load of n bits brings back. n is 1 to 64.
func Trunc(a Scalar, n uint) Scalar {
	if a.full.umax <= mask(n) {
		return a
	}
	if n == halfBits {
		return Low(a)
	}
	s := Top()
	s.bits = a.bits.Trunc(n)
	for _, r := range a.runs(n) {
		if lo, hi := r.first&mask(n), r.last&mask(n); r.last-r.first <= mask(n) && lo <= hi {
			s.full.umin, s.full.umax = max(s.full.umin, lo), min(s.full.umax, hi)
		}
	}
	return reduced(s)
}

// SignExtend returns the low n bits of the members, sign-extended to 64 bits:
// the MOVSX instructions and the MEMSX loads. n is 1 to 64.
func SignExtend(a Scalar, n uint) Scalar {
	if a.full.smin >= minSigned(n) && a.full.smax <= maxSigned(n) {
		return a
	}
	s := Signed(minSigned(n), maxSigned(n))
	s.bits = a.bits.SignExtend(n).Trunc(wordBits)
	for _, r := range a.runs(n) {
		if lo, hi := sext(r.first, n), sext(r.last, n); r.last-r.first <= mask(n) && lo <= hi {
			s.full.smin, s.full.smax = max(s.full.smin, lo), min(s.full.smax, hi)
		}
	}
	return reduced(s)
}

// A run is consecutive numbers, counted up from first to last modulo 2^64.
type run struct{ first, last uint64 }

// runs returns four runs. Each has, for every member x of s, a number with the
// low n bits of x.
//
// At most 2^n consecutive numbers have low n bits that are consecutive modulo
// 2^n. If those of the last number are not below those of the first (in the
// order of interest), none between them wraps, and they are bounds.
func (s *Scalar) runs(n uint) [4]run {
	u, i := run{s.full.umin, s.full.umax}, run{uint64(s.full.smin), uint64(s.full.smax)}
	if n > halfBits {
		return [4]run{u, i, u, i}
	}
	return [4]run{u, i,
		{uint64(s.umin32), uint64(s.umax32)},
		{uint64(int64(s.smin32)), uint64(int64(s.smax32))},
	}
}

// ByteSwap returns the low n bits of the members with their bytes in reverse
// order, zero-extended. n is 16, 32 or 64.
func ByteSwap(a Scalar, n uint) Scalar { return FromBits(a.bits.ByteSwap(n)) }
