package amd64

import (
	"math/bits"

	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// divideByConstant lowers the division at pc of dst by imm, which is neither 0 nor,
// if it is signed, −1, if it can be had without a division.
//
// Unsigned, it is a multiplication (Granlund and Montgomery, Division by invariant
// integers using multiplication, PLDI 1994, theorem 4.2; see reciprocal). Signed,
// it is that of the absolute value, whose sign lies in the frame meanwhile.
func (l *lowerer) divideByConstant(pc prog.PC, w Width, dst Reg, imm int32, signed, mod bool) bool {
	n := uint64(int64(imm))
	if w == W32 {
		n = uint64(uint32(imm))
	}
	if !signed {
		return l.divideUnsigned(pc, w, dst, n, mod)
	}
	if n = uint64(max(int64(imm), -int64(imm))); w == W64 && !l.features.BMI2 && n&(n-1) != 0 {
		return false
	}
	sign := inFrame(layout.Scratch)
	l.MovRR(w, scratch, dst)
	l.SarRI(w, scratch, uint8(w.Bits()-1))
	l.MovMR(w, sign, scratch)
	l.XorRR(w, dst, scratch)
	l.SubRR(w, dst, scratch)
	l.divideUnsigned(pc, w, dst, n, mod)
	l.XorRM(w, dst, sign)
	l.SubRM(w, dst, sign)
	if imm < 0 && !mod {
		l.NegR(w, dst)
	}
	return true
}

// divideUnsigned is divideByConstant without signs. It does what is asked for if n
// is below 1<<32, and the host has BMI2 or w is W32.
func (l *lowerer) divideUnsigned(pc prog.PC, w Width, dst Reg, n uint64, mod bool) bool {
	if n&(n-1) == 0 {
		return l.divideByPower(w, dst, n, mod)
	}
	if n >= 1<<32 || w == W64 && !l.features.BMI2 {
		return false
	}
	m, s, long := reciprocal(w.Bits(), uint32(n))
	if w == W32 {
		l.MovRR(W32, dst, dst) // the upper half takes no part
		l.MovRI(scratch, m)
		l.ImulRR(W64, scratch, dst)
		if long {
			l.ShrRI(W64, scratch, 32)
			l.AddRR(W64, scratch, dst)
		} else {
			s += 32
		}
	} else {
		l.high(pc, dst, m)
		if long { // of 65 bits, of which one is shifted out
			l.AddRR(W64, scratch, dst)
			l.RcrRI(W64, scratch, 1)
			s--
		}
	}
	if s > 0 {
		l.ShrRI(W64, scratch, s)
	}
	if mod {
		l.ImulRRI(w, scratch, scratch, int32(uint32(n)))
		l.SubRR(w, dst, scratch)
	} else {
		l.MovRR(w, dst, scratch)
	}
	return true
}

// high makes scratch the upper half of dst * m, at pc.
func (l *lowerer) high(pc prog.PC, dst Reg, m uint64) {
	swap := dst != RDX && l.lives(pc, prog.R3)
	switch {
	case swap:
		l.XchgRR(W64, RDX, dst)
	case dst != RDX:
		l.MovRR(W64, RDX, dst)
	}
	l.MovRI(scratch, m)
	l.MulxRRR(W64, scratch, scratch, scratch) // the upper half is written last
	if swap {
		l.XchgRR(W64, RDX, dst)
	}
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

// reciprocal returns m and s such that, for all x of the given number of bits, 32 or
// 64, x/n = x*m >> (bits+s), or, if it is long, x/n = x*(1<<bits + m) >> (bits+s).
// n is no power of two.
//
// It takes the least s that will do: m = floor(2^(bits+s)/n) + 1 suits if its error
// m*n - 2^(bits+s) is at most 2^s (theorem 4.2), which it is when 2^s exceeds n.
func reciprocal(width int, n uint32) (m uint64, s uint8, long bool) {
	most := uint8(bits.Len32(n)) // 2^most exceeds n
	for s = range most {
		q, r := power(width+int(s), n)
		if uint64(n)-r <= 1<<s {
			return q + 1, s, false
		}
	}
	if width == 32 {
		q, _ := power(32+int(most), n)
		return q + 1 - 1<<32, most, true
	}
	q, _ := bits.Div64(1<<most-uint64(n), 0, uint64(n))
	return q + 1, most, true
}

// power returns 2^k / n and 2^k % n, where the quotient has at most 64 bits.
func power(k int, n uint32) (q, r uint64) {
	if k < 64 {
		return 1 << k / uint64(n), 1 << k % uint64(n)
	}
	return bits.Div64(1<<(k-64), 0, uint64(n))
}
