package maps

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/skepvm/skep/errno"
)

// A Snapshot is a copy of what a map held.
type Snapshot struct {
	spec  Spec
	state any // what the map's save returned
}

// savers are the maps of this package that hold something to come back to. Both
// go past what flags say: a map that Go code may not write changes, too.
type saver interface {
	// save returns a copy of what the map holds, as saved or as restore alone
	// knows. It is the map at one moment: no entry came, went or was replaced
	// while it was copied.
	save() any
	// restore makes the map hold state again, one entry after the other.
	restore(state any) error
}

// saved is entries, one after the other.
type saved struct{ keys, values []byte }

// TakeSnapshot copies what m holds at one moment: entries come, go and are
// replaced before or after. Of a value that a program writes to meanwhile the
// copy may have a part, as with any Lookup. Those who write to a hash map or a
// trie wait.
//
// A map of programs, of maps, or of devices, CPUs and XDP sockets (TargetMap) has
// them copied by reference, and spin locks as not held. A host's own map is walked:
// see Walk. ENOTSUPP: ring buffers, user ring buffers and perf event arrays hold
// records on their way and nothing to come back to; what is in maps of other sockets
// (SockMap, SockHash, ReuseportSockArray), of cgroups and of stack traces comes and
// goes with what happens outside.
func TakeSnapshot(m Map) (*Snapshot, error) {
	s := &Snapshot{spec: *m.Spec()}
	s.spec.Contents = nil
	if err := open(m); err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case saver:
		s.state = m.save()
		return s, nil
	}
	if Bundled(m) {
		return nil, fmt.Errorf("map %q: snapshot of a %v: %w", s.spec.Name, s.spec.Type, errno.ENOTSUPP)
	}
	all, err := walked(m)
	if err != nil {
		return nil, err
	}
	s.state = all
	return s, nil
}

// walked returns the entries of a host's own map.
func walked(m Map) (all saved, err error) {
	err = Walk(m, func(key, value []byte) bool {
		all.keys, all.values = append(all.keys, key...), append(all.values, value...)
		return true
	})
	return all, err
}

// open reports whether m was closed.
func open(m Map) error {
	if c, ok := m.(interface{ open() error }); ok {
		return c.open()
	}
	return nil
}

// Restore makes m, the map that s is of or one with the same type and sizes,
// hold what s does and nothing else, also if Go code may not write it. EPERM: m
// is frozen, and holds anything else. It is no single step: others may see the
// map in between, and what they store meanwhile may stay. What programs hold
// stays as Map says.
func (s *Snapshot) Restore(m Map) error {
	spec := m.Spec()
	if spec.Type != s.spec.Type || spec.KeySize != s.spec.KeySize || spec.ValueSize != s.spec.ValueSize || spec.MaxEntries != s.spec.MaxEntries {
		return fmt.Errorf("map %q: the snapshot is of a %v with keys of %d, values of %d bytes and %d entries: %w",
			spec.Name, s.spec.Type, s.spec.KeySize, s.spec.ValueSize, s.spec.MaxEntries, errno.EINVAL)
	}
	if err := open(m); err != nil {
		return err
	}
	var err error
	if b, ok := m.(saver); ok {
		if f, ok := m.(interface{ frozen() bool }); ok && f.frozen() { // what programs were proven with
			if !reflect.DeepEqual(b.save(), s.state) {
				return fmt.Errorf("map %q: restore of a frozen map: %w", spec.Name, errno.EPERM)
			}
			return nil
		}
		err = b.restore(s.state)
	} else if all, ok := s.state.(saved); ok {
		var has saved
		if has, err = walked(m); err == nil {
			err = restoreEntries(m, has.keys, all, m.Delete, func(k, v []byte) error { return m.Update(k, v, Any) })
		}
	} else {
		err = errno.EINVAL // of a map of this package
	}
	if err != nil {
		return fmt.Errorf("map %q: restore: %w", spec.Name, err)
	}
	return nil
}

// restoreEntries deletes by del what m has and all has not, and stores by put
// what all has.
func restoreEntries(m Map, has []byte, all saved, del func(key []byte) error, put func(key, value []byte) error) error {
	k, v := int(m.Spec().KeySize), m.Spec().HostValueSize()
	keep := make(map[string]bool, len(all.keys)/k)
	for key := range slices.Chunk(all.keys, k) {
		keep[string(key)] = true
	}
	for key := range slices.Chunk(has, k) {
		if keep[string(key)] {
			continue
		}
		if err := del(key); err != nil && !errors.Is(err, errno.ENOENT) {
			return err
		}
	}
	for i := range len(all.keys) / k {
		if err := put(all.keys[i*k:][:k], all.values[i*v:][:v]); err != nil {
			return err
		}
	}
	return nil
}

// Entries returns copies of the entries, for Go code; of a queue or a stack, the
// values that came first come first, with nil for keys. Other maps without
// plain values (bloom filters, maps of maps or programs) have none to show.
func (s *Snapshot) Entries() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		all, _ := s.state.(saved)
		k, v := int(s.spec.KeySize), s.spec.HostValueSize()
		for i := range len(all.values) / max(v, 1) {
			var key []byte
			if k > 0 {
				key = bytes.Clone(all.keys[i*k:][:k])
			}
			if !yield(key, bytes.Clone(all.values[i*v:][:v])) {
				return
			}
		}
	}
}

// Spec returns the description of a map that holds what s does: New makes it.
// ENOTSUPP: what it holds has no form in a description.
func (s *Snapshot) Spec() (*Spec, error) {
	if _, ok := s.state.(saved); !ok {
		return nil, fmt.Errorf("map %q: contents of a %v as values: %w", s.spec.Name, s.spec.Type, errno.ENOTSUPP)
	}
	spec := s.spec
	for key, value := range s.Entries() {
		spec.Contents = append(spec.Contents, Entry{Key: key, Value: value})
	}
	return &spec, nil
}
