package helpers

import (
	"maps"
	"slices"
)

// A Set says which helpers programs of one type may call: by number, and, for
// kfuncs, by name. The zero value is empty. A Set never changes after it is
// built; With derives another.
type Set struct {
	byID   map[ID]*Func
	byName map[string]*Func // kfuncs
}

// NewSet returns the set of the helpers in byID and the kfuncs in byName;
// either may be nil. It panics if a Func's prototype contradicts itself (see
// Proto.Check); use Func.Check first for functions that come from elsewhere.
func NewSet(byID map[ID]*Func, byName map[string]*Func) *Set {
	return (&Set{}).With(byID, byName)
}

// With returns s with functions added or replaced. Like NewSet it panics if a
// prototype contradicts itself.
func (s *Set) With(byID map[ID]*Func, byName map[string]*Func) *Set {
	t := &Set{byID: map[ID]*Func{}, byName: map[string]*Func{}}
	if s != nil {
		for id, f := range s.byID {
			t.byID[id] = f
		}
		for n, f := range s.byName {
			t.byName[n] = f
		}
	}
	for id, f := range byID {
		if err := f.Check(); err != nil {
			panic(err)
		}
		t.byID[id] = f
	}
	for n, f := range byName {
		if err := f.Check(); err != nil {
			panic(err)
		}
		t.byName[n] = f
	}
	return t
}

// Merge returns s with every function of o added; o's win where both have one.
func (s *Set) Merge(o *Set) *Set {
	if o == nil {
		return s.With(nil, nil)
	}
	return s.With(o.byID, o.byName)
}

// Only returns the helpers of s whose number is in ids, without kfuncs.
func (s *Set) Only(ids ...ID) *Set {
	t := &Set{byID: make(map[ID]*Func, len(ids))}
	for _, id := range ids {
		if f := s.Helper(id); f != nil {
			t.byID[id] = f
		}
	}
	return t
}

// IDs returns the numbers of the helpers in s, ascending.
func (s *Set) IDs() []ID {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.byID))
}

// Kfuncs returns the names of the kfuncs in s, sorted.
func (s *Set) Kfuncs() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.byName))
}

// Helper returns the helper numbered id, or nil.
func (s *Set) Helper(id ID) *Func {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

// Kfunc returns the kfunc called name, or nil.
func (s *Set) Kfunc(name string) *Func {
	if s == nil {
		return nil
	}
	return s.byName[name]
}
