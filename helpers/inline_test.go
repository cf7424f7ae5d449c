package helpers_test

import (
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
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

// TestBoundCopies: the same of a helper that is bound to a map.
func TestBoundCopies(t *testing.T) {
	m, err := maps.New(&maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	body := func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 7 }
	f := (&helpers.Func{Name: "f", Impl: body}).Binds(func(of maps.Map) helpers.Impl {
		if of != m {
			return nil
		}
		return body
	})
	if f.Inline() != helpers.InlineBound || f.Bound(m) == nil || f.Bound(nil) != nil {
		t.Errorf("it promises %d", f.Inline())
	}
	g := *f
	if g.Inline() != helpers.InlineNone || g.Bound(m) != nil || helpers.MapLookupElem.Bound(m) != nil {
		t.Error("what is another's promises it, too")
	}
}
