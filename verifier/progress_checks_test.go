package verifier

import (
	"context"
	"math"
	"testing"
)

// TestWaysBack has loops with two ways back to their heads. A measure that one
// of them does not have, or that grows there, does not prove that they end.
func TestWaysBack(t *testing.T) {
	checkShapes(t, []shape{
		{"up one way and down the other", "xdp", `
			r6 = 5
		again:
			call 7
			if r0 > 5 goto up
			r6 += -1
			if r6 s> 0 goto again
			goto out
		up:
			r6 += 1
			if r6 s< 10 goto again` + out, Unbounded, ""},
		{"up by two ways", "xdp", `
			r6 = 5
		again:
			call 7
			if r0 > 5 goto up
			r6 += 2
			if r6 s< 400 goto again
			goto out
		up:
			r6 += 1
			if r6 s< 400 goto again` + out, "", ""},
		{"up one way and nothing the other", "xdp", `
			r6 = 5
		again:
			call 7
			if r0 > 5 goto again
			r6 += 1
			if r6 s< 10 goto again` + out, Unbounded, ""},
		{"bits that leave one way only", "xdp", `
			r6 = map[10][0]+0
			r6 = *(u64 *)(r6 +0)
		again:
			call 7
			if r0 > 5 goto stay
			r6 >>= 1
			if r6 != 0 goto again
			goto out
		stay:
			if r0 > 7 goto again` + out, Unbounded, ""},
		{"bits that leave one way, and come back the other", "xdp", `
			r6 = map[10][0]+0
			r6 = *(u64 *)(r6 +0)
		again:
			call 7
			if r0 > 5 goto fill
			r6 >>= 1
			if r6 != 0 goto again
			goto out
		fill:
			r6 = r0
			if r6 != 0 goto again` + out, Unbounded, ""},
	})
}

// TestWorstCaseLimit has the limit at the worst case and below it.
func TestWorstCaseLimit(t *testing.T) {
	p := assemble(t, "xdp", "r0 = 0\nr0 += 1\nr0 += 1\nexit")
	for limit, ok := range map[int64]bool{3: false, 4: true, math.MaxInt64: true} {
		_, stats, err := Verify(context.Background(), p, Options{MaxWorstCase: limit})
		if (err == nil) != ok || ok && stats.WorstCase != 4 {
			t.Errorf("limit %d: worst case %d, %v", limit, stats.WorstCase, err)
		}
	}
}
