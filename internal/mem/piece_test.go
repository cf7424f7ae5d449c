package mem

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestPieces copies, clears, fills and compares memory of more than a piece, at any
// alignment and overlap, as Go does.
func TestPieces(t *testing.T) {
	const size = 3*piece + 123
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, size+64)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for range 60 {
		n := size - rng.IntN(piece)
		from, to := rng.IntN(64), rng.IntN(64)
		got, want := bytes.Clone(random), bytes.Clone(random)
		CopyShared(got[to:to+n], got[from:from+n])
		copy(want[to:to+n], want[from:from+n])
		if !bytes.Equal(got, want) {
			t.Fatalf("copy of %d bytes from %d to %d", n, from, to)
		}
		if Compare(got[from:from+n], want[from:from+n]) != 0 || Compare(got[from:from+n], got[from:from+n-1]) != 1 {
			t.Fatalf("comparison of %d equal bytes", n)
		}
		at := from + rng.IntN(n)
		want[at] ^= 1 << rng.IntN(8)
		if g, w := Compare(got[from:from+n], want[from:from+n]), bytes.Compare(got[from:from+n], want[from:from+n]); g != w {
			t.Fatalf("comparison of what differs at %d: %d, want %d", at-from, g, w)
		}
		copy(want, got)
		c := byte(rng.Uint32())
		Fill(got[to:to+n], c)
		for i := range n {
			want[to+i] = c
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("fill of %d bytes at %d", n, to)
		}
		ClearShared(got[from : from+n])
		clear(want[from : from+n])
		if !bytes.Equal(got, want) {
			t.Fatalf("clearing of %d bytes at %d", n, from)
		}
	}
}
