package amd64

import (
	"math/rand/v2"
	"testing"
)

// TestReciprocal compares with the machine's division, at the ends and around
// the multiples of the divisor, where a quotient changes.
func TestReciprocal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	found := 0
	for i := range uint32(20000) {
		n := i
		if i > 10000 {
			n = r.Uint32() >> r.IntN(20)
		}
		if n&(n-1) == 0 {
			continue
		}
		m, s, ok := reciprocal(n)
		if !ok {
			continue
		}
		found++
		for k := range 40 {
			x := []uint32{0, 1, n - 1, n, n + 1, 1<<32 - 1, 1<<32 - 2, 1 << 31, 1<<32 - 1 - (1<<32-1)%n}[min(k, 8)]
			if k > 8 {
				x = r.Uint32() / n * n
				if k%2 == 0 {
					x--
				}
			}
			if got := uint32(uint64(x) * uint64(m) >> (32 + s)); got != x/n {
				t.Fatalf("%d / %d = %d, by %d >> %d it is %d", x, n, x/n, m, s, got)
			}
		}
	}
	if found < 10000 {
		t.Errorf("%d divisors have a reciprocal", found)
	}
}
