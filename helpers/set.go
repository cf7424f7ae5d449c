package helpers

import (
	"maps"
	"slices"
)

// A Set says which helpers programs of one type may call: by number, and, for
// kfuncs, by name. The zero value is empty. A Set never changes after it is
// built; With derives another.
type Set struct {
	low    []*Func          // by number, below maxLow; nil: none
	high   map[ID]*Func     // the other numbers
	byName map[string]*Func // kfuncs
}

// maxLow bounds the numbers that have a place of their own: a platform's are
// few and dense, a host's may be any.
const maxLow = 256

// NewSet returns the set of the helpers in byID and the kfuncs in byName;
// either may be nil. It panics if a Func's prototype contradicts itself (see
// Proto.Check); use Func.Check first for functions that come from elsewhere.
func NewSet(byID map[ID]*Func, byName map[string]*Func) *Set {
	return (*Set)(nil).With(byID, byName)
}

// With returns s with functions added or replaced. Like NewSet it panics if a
// prototype contradicts itself.
func (s *Set) With(byID map[ID]*Func, byName map[string]*Func) *Set {
	for _, f := range byID {
		if err := f.Check(); err != nil {
			panic(err)
		}
	}
	for _, f := range byName {
		if err := f.Check(); err != nil {
			panic(err)
		}
	}
	t := &Set{}
	if s != nil {
		t.low = slices.Clone(s.low)
		t.high = maps.Clone(s.high)
		t.byName = maps.Clone(s.byName)
	}
	for id, f := range byID {
		t.put(id, f)
	}
	for name, f := range byName {
		t.putKfunc(name, f)
	}
	return t
}

// Merge returns s with every function of o added; o's win where both have one.
func (s *Set) Merge(o *Set) *Set {
	t := s.With(nil, nil)
	for _, id := range o.IDs() {
		t.put(id, o.Helper(id))
	}
	for _, name := range o.Kfuncs() {
		t.putKfunc(name, o.byName[name])
	}
	return t
}

// Pick returns the helpers numbered ids, without kfuncs, each from the first of
// sets that has it.
func Pick(ids []ID, sets ...*Set) *Set {
	t := &Set{}
	for _, id := range ids {
		for _, s := range sets {
			if f := s.Helper(id); f != nil {
				t.put(id, f)
				break
			}
		}
	}
	return t
}

func (s *Set) put(id ID, f *Func) {
	if id < 0 || id >= maxLow {
		if s.high == nil {
			s.high = map[ID]*Func{}
		}
		s.high[id] = f
		return
	}
	if s.low == nil {
		s.low = make([]*Func, maxLow)
	}
	s.low[id] = f
}

func (s *Set) putKfunc(name string, f *Func) {
	if s.byName == nil {
		s.byName = map[string]*Func{}
	}
	s.byName[name] = f
}

// Helper returns the helper numbered id, or nil.
func (s *Set) Helper(id ID) *Func {
	switch {
	case s == nil:
		return nil
	case id >= 0 && int(id) < len(s.low):
		return s.low[id]
	}
	return s.high[id]
}

// Kfunc returns the kfunc called name, or nil.
func (s *Set) Kfunc(name string) *Func {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// IDs returns the numbers of the helpers in s, ascending.
func (s *Set) IDs() []ID {
	if s == nil {
		return nil
	}
	ids := slices.Collect(maps.Keys(s.high))
	for id, f := range s.low {
		if f != nil {
			ids = append(ids, ID(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// Kfuncs returns the names of the kfuncs in s, sorted.
func (s *Set) Kfuncs() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.byName))
}
