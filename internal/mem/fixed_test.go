package mem

import "testing"

// TestFixedHoldsAll checks that every fixed region is found, in whatever order
// they are given, and that memory given twice hides none of its neighbours.
func TestFixedHoldsAll(t *testing.T) {
	backing := make([]byte, 96)
	parts := [][]byte{backing[64:96], backing[0:16], backing[0:32], backing[8:16], backing[32:64], backing[0:32]}
	var regions []Region
	for _, b := range parts {
		regions = append(regions, NewRegion("part", Slab{Bytes: b}))
	}
	var s Space
	s.Reset(NewFixed(regions))
	for i := range backing {
		if s.Bytes(Addr(backing)+uint64(i), 1) == nil {
			t.Errorf("byte %d is in no region", i)
		}
	}
}
