package helpers

import (
	"maps"
	"slices"
)

// KfuncNames returns the names of the functions that Kfunc knows, sorted.
func KfuncNames() []string { return slices.Sorted(maps.Keys(kfuncs)) }
