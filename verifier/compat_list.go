package verifier

import (
	"maps"
	"slices"

	skepmaps "github.com/skepvm/skep/maps"
)

// MapHelpers returns the names of Linux's helpers that a program may call with
// a map of type t, sorted.
func MapHelpers(t skepmaps.Type) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(helperMaps)) {
		if slices.Contains(helperMaps[name], t) {
			names = append(names, name)
		}
	}
	return names
}
