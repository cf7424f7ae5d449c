package linux

import (
	"slices"

	"github.com/skepvm/skep/hook"
)

// Types returns every program type: those of Platform, and those that differ
// from one of them by their attach type only.
func Types() []*hook.Type {
	all := Platform.Types()
	for i := range sections {
		if t := sections[i].typ; !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}
