package helpers_test

import (
	"testing"

	"github.com/skepvm/skep/helpers"
)

// TestInlineCopies: a copy of a helper promises nothing, since its Impl may be
// another.
func TestInlineCopies(t *testing.T) {
	if got := helpers.MapLookupElem.Inline(); got != helpers.InlineMapLookup {
		t.Errorf("map_lookup_elem promises %d", got)
	}
	f := *helpers.MapLookupElem
	if got := f.Inline(); got != helpers.InlineNone {
		t.Errorf("a copy promises %d", got)
	}
	if got := helpers.Base().With(map[helpers.ID]*helpers.Func{1: &f}, nil).Helper(1).Inline(); got != helpers.InlineNone {
		t.Errorf("a copy in a set promises %d", got)
	}
}
