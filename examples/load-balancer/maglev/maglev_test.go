package maglev

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPaper is the example of the paper (table 1): three backends with their
// permutations, and the ring before and after B1 is gone.
func TestPaper(t *testing.T) {
	takers := func(indices ...uint32) (ts []*taker) {
		all := []taker{
			{index: 0, weight: 1, next: 3, skip: 4}, // 3 0 4 1 5 2 6
			{index: 1, weight: 1, next: 0, skip: 2}, // 0 2 4 6 1 3 5
			{index: 2, weight: 1, next: 3, skip: 1}, // 3 4 5 6 0 1 2
		}
		for _, i := range indices {
			taker := all[i]
			ts = append(ts, &taker)
		}
		return ts
	}
	if d := cmp.Diff([]uint32{1, 0, 1, 0, 2, 2, 0}, fill(takers(0, 1, 2), 7)); d != "" {
		t.Errorf("before (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]uint32{0, 0, 0, 0, 2, 2, 2}, fill(takers(0, 2), 7)); d != "" {
		t.Errorf("after (-want +got):\n%s", d)
	}
}

const size = 65537

func backends(n int, weight func(i int) uint32) []Backend {
	bs := make([]Backend, n)
	for i := range bs {
		bs[i] = Backend{Name: fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff), Weight: weight(i)}
	}
	return bs
}

func ring(t *testing.T, bs []Backend) []uint32 {
	t.Helper()
	r, err := Ring(bs, size)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestShares checks that each backend has its share, to the place: turns differ
// by one at most.
func TestShares(t *testing.T) {
	for _, tc := range []struct {
		name   string
		n      int
		weight func(i int) uint32
	}{
		{"one", 1, func(int) uint32 { return 1 }},
		{"equal", 300, func(int) uint32 { return 5 }},
		{"unequal", 300, func(i int) uint32 { return uint32(i % 7) }},
		{"far apart", 3, func(i int) uint32 { return []uint32{1, 1000, 1<<32 - 1}[i] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bs := backends(tc.n, tc.weight)
			total := 0.0
			for _, b := range bs {
				total += float64(b.Weight)
			}
			got := make([]int, tc.n)
			for _, i := range ring(t, bs) {
				got[i]++
			}
			for i, b := range bs {
				if want := size * float64(b.Weight) / total; math.Abs(float64(got[i])-want) > 2 {
					t.Errorf("%v has %d places, want %.1f", b, got[i], want)
				}
			}
		})
	}
}

// TestDisruption takes one of a hundred backends away. The places of the others
// should stay theirs; the paper (section 5.3, figure 12) has a few percent that
// do not.
func TestDisruption(t *testing.T) {
	bs := backends(100, func(int) uint32 { return 1 })
	before := ring(t, bs)
	for _, gone := range []int{0, 42, 99} {
		without := append([]Backend{}, bs...)
		without[gone].Weight = 0
		moved := 0
		for i, b := range ring(t, without) {
			if b == uint32(gone) {
				t.Fatalf("place %d still belongs to %d", i, gone)
			}
			if before[i] != uint32(gone) && before[i] != b {
				moved++
			}
		}
		if share := float64(moved) / size; share > 0.03 {
			t.Errorf("without %d, %.2f %% of the places changed hands between others", gone, 100*share)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, n := range []uint32{0, 1, 65536} {
		if _, err := Ring(backends(1, func(int) uint32 { return 1 }), n); err == nil {
			t.Errorf("a ring of %d places was made", n)
		}
	}
	for _, bs := range [][]Backend{nil, backends(3, func(int) uint32 { return 0 })} {
		if r, err := Ring(bs, size); r != nil || err != nil {
			t.Errorf("no backend: got %d places, error %v", len(r), err)
		}
	}
}
