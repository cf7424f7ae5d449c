package amd64

import "math/bits"

// divideByConstant lowers the unsigned division of dst by n, which is not 0, if
// it can be had without a division.
//
// For 32 bits it is a multiplication (Granlund and Montgomery, Division by
// invariant integers using multiplication, PLDI 1994, theorem 4.2): with
// m = floor(2^(32+s)/n) + 1 for a suitable s, x/n is x*m >> (32+s) for all x of
// 32 bits. m has up to 33 bits; only those that fit in 32 are used, where the
// product fits in a register.
func (l *lowerer) divideByConstant(w Width, dst Reg, imm int32, mod bool) bool {
	n := uint64(int64(imm))
	if w == W32 {
		n = uint64(uint32(imm))
	}
	if n&(n-1) == 0 {
		return l.divideByPower(w, dst, n, mod)
	}
	if w != W32 {
		return false
	}
	m, s, ok := reciprocal(uint32(n))
	if !ok {
		return false
	}
	l.MovRR(W32, dst, dst) // the upper half takes no part
	l.MovRI(scratch, uint64(m))
	l.ImulRR(W64, scratch, dst)
	l.ShrRI(W64, scratch, 32+s)
	if mod {
		l.ImulRRI(W32, scratch, scratch, imm)
		l.SubRR(W32, dst, scratch)
	} else {
		l.MovRR(W32, dst, scratch)
	}
	return true
}

// divideByPower lowers the division by n, a power of two.
func (l *lowerer) divideByPower(w Width, dst Reg, n uint64, mod bool) bool {
	switch {
	case mod && n-1 > 1<<31-1:
		return false
	case mod:
		l.AndRI(w, dst, int32(n-1))
	case n == 1 && w == W32:
		l.MovRR(W32, dst, dst)
	case n > 1:
		l.ShrRI(w, dst, uint8(bits.TrailingZeros64(n)))
	}
	return true
}

// reciprocal returns m and s such that x/n = x*m >> (32+s) for all x of 32 bits;
// ok is false if m needs 33 bits. n is no power of two.
//
// It takes the least s that will do: m = ceil(2^(32+s)/n) suits if its error
// e = m*n - 2^(32+s) is at most 2^s (theorem 4.2).
func reciprocal(n uint32) (m uint32, s uint8, ok bool) {
	for s := range uint8(32) {
		p := uint64(1) << (32 + s)
		c := p/uint64(n) + 1 // the quotient is no whole number
		if e := c*uint64(n) - p; e <= 1<<s {
			return uint32(c), s, c < 1<<32
		}
	}
	return 0, 0, false
}
