package helpers

// A Set says which helpers programs of one type may call: by number, and, for
// kfuncs, by name. The zero value is empty. A Set never changes after it is
// built; With derives another.
type Set struct {
	byID   map[ID]*Func
	byName map[string]*Func // kfuncs
}

// NewSet returns the set of the helpers in byID and the kfuncs in byName;
// either may be nil. It panics if a Func's prototype contradicts itself (see
// Proto.Check); use Check first for functions that come from elsewhere.
func NewSet(byID map[ID]*Func, byName map[string]*Func) *Set {
	return (&Set{}).With(byID, byName)
}

// With returns s with functions added or replaced.
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
		t.byID[id] = f
	}
	for n, f := range byName {
		t.byName[n] = f
	}
	return t
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
