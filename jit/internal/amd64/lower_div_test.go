package amd64

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestReciprocal compares with the machine's division, at the ends and around
// the multiples of the divisor, where a quotient changes.
func TestReciprocal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, width := range []int{32, 64} {
		ones := ^uint64(0) >> (64 - width)
		short, long := 0, 0
		for i := range uint32(20000) {
			n := i
			if i > 10000 {
				n = r.Uint32() >> r.IntN(20)
			}
			if n&(n-1) == 0 {
				continue
			}
			m, s, isLong := reciprocal(width, n)
			if isLong {
				long++
			} else {
				short++
			}
			d := uint64(n)
			for k := range 40 {
				x := []uint64{0, 1, d - 1, d, d + 1, ones, ones - 1, ones/2 + 1, ones - ones%d, ones - ones%d - 1}[min(k, 9)]
				if k > 9 {
					x = r.Uint64() & ones / d * d
					if k%2 == 0 && x > 0 {
						x--
					}
				}
				if got := byReciprocal(width, x, m, s, isLong); got != x/d {
					t.Fatalf("%d bits: %d / %d = %d, by %d >> %d (long: %v) it is %d", width, x, n, x/d, m, s, isLong, got)
				}
			}
		}
		if short < 10000 || long < 1000 {
			t.Errorf("%d bits: %d divisors have a short reciprocal, %d a long one", width, short, long)
		}
	}
}

// byReciprocal returns the quotient that reciprocal promises.
func byReciprocal(width int, x, m uint64, s uint8, long bool) uint64 {
	hi, lo := bits.Mul64(x, m)
	if width == 32 {
		if hi > 0 {
			return ^uint64(0) // code has no more than 64 bits
		}
		hi = lo >> 32
		if !long {
			return lo >> (32 + s)
		}
	}
	if !long {
		return hi >> s
	}
	sum, carry := bits.Add64(hi, x, 0)
	return sum>>s | carry<<(64-s)
}
