package vm_test

import (
	"testing"

	"github.com/skepvm/skep/internal/rt"
)

// TestIdiomsOldCPU is TestIdioms for a CPU that has none of the optional instructions.
func TestIdiomsOldCPU(t *testing.T) {
	needCompiler(t)
	host := rt.HostFeatures
	defer func() { rt.HostFeatures = host }()
	rt.HostFeatures = func() rt.Features { return rt.Features{} }
	fired := map[string]int{}
	compareIdioms(t, 1_000_000, 300, fired)
	for _, what := range []string{"rotate", "ones", "leading zeros", "lowest"} {
		if fired[what] == 0 {
			t.Errorf("no program has the idiom: %s", what)
		}
	}
}
