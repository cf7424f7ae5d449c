package vm

import (
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// A Snapshot is a copy of what a collection's maps held.
type Snapshot struct{ maps map[string]*maps.Snapshot }

// Snapshot copies what the maps of c hold, global variables included, shared
// maps too: see maps.TakeSnapshot. Each map is copied by itself, so that runs
// under way may have changed one but not yet another. Maps that hold nothing to
// come back to, such as ring buffers, are left out.
func (c *Collection) Snapshot() (*Snapshot, error) {
	s := &Snapshot{map[string]*maps.Snapshot{}}
	for name, m := range c.maps {
		one, err := maps.TakeSnapshot(m)
		if errors.Is(err, errno.ENOTSUPP) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.maps[name] = one
	}
	return s, nil
}

// Map returns the copy of the map called name, or nil if there is none.
func (s *Snapshot) Map(name string) *maps.Snapshot { return s.maps[name] }

// Restore makes the maps of c hold what s does: see maps.Snapshot.Restore. c is
// the collection that s is of, or one of the same object.
func (c *Collection) Restore(s *Snapshot) error {
	var errs []error
	for _, name := range slices.Sorted(stdmaps.Keys(s.maps)) {
		m := c.maps[name]
		if m == nil {
			errs = append(errs, fmt.Errorf("the collection has no map %q", name))
			continue
		}
		errs = append(errs, s.maps[name].Restore(m))
	}
	return errors.Join(errs...)
}
