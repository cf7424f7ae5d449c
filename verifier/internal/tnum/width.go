package tnum

import "math/bits"

// Trunc returns the low n bits of the members, exactly: the upper bits become
// zero. For n of 64 and more it returns t.
func (t Tnum) Trunc(n uint) Tnum {
	m := ^(^uint64(0) << n)
	return Tnum{t.Value & m, t.Mask & m}
}

// SignExtend returns the members with bit n−1 copied to every bit above it,
// exactly, for n from 1 to 64.
func (t Tnum) SignExtend(n uint) Tnum {
	k := 64 - n
	return t.Lsh(k).Arsh(k)
}

// WithLow returns the members of t with their low n bits replaced by those of
// the members of u.
func (t Tnum) WithLow(u Tnum, n uint) Tnum {
	m := ^(^uint64(0) << n)
	return Tnum{t.Value&^m | u.Value&m, t.Mask&^m | u.Mask&m}
}

// ByteSwap returns the low n bits of the members with their bytes in reverse
// order, exactly: the upper bits become zero. n is 16, 32 or 64.
func (t Tnum) ByteSwap(n uint) Tnum {
	k := 64 - n
	return Tnum{bits.ReverseBytes64(t.Value) >> k, bits.ReverseBytes64(t.Mask) >> k}
}

// TrailingZeros returns how many low bits every member has as zero; 64 for the
// constant 0.
func (t Tnum) TrailingZeros() uint { return uint(bits.TrailingZeros64(t.Max())) }

// IsAligned reports whether every member is a multiple of size, a power of two.
func (t Tnum) IsAligned(size uint64) bool { return t.Max()&(size-1) == 0 }
