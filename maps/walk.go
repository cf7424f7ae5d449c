package maps

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/errno"
)

// ErrIterationAborted says that a map changed so much while it was walked that
// the walk would not end.
var ErrIterationAborted = errors.New("the map changed too much during the walk")

// Walk calls f for each entry of m, in the map's order, until f returns false.
// Key and value are as Lookup gives them, and valid until f returns. f may
// change the map.
//
// Entries that come or go during the walk are seen or not. In hash maps every
// other is seen exactly once; elsewhere a walk starts anew if the entry that it
// comes to next is deleted, and ends with ErrIterationAborted when it has seen
// more entries than the map can hold.
func Walk(m Map, f func(key, value []byte) bool) error {
	spec := m.Spec()
	if _, ok := m.(Pusher); ok && spec.KeySize == 0 {
		return fmt.Errorf("map %q: values of a %v have no keys to walk: %w", spec.Name, spec.Type, errno.EINVAL)
	}
	value := make([]byte, spec.HostValueSize())
	return walkKeys(m, func(key []byte) (bool, error) {
		switch err := m.Lookup(key, value); {
		case errors.Is(err, errno.ENOENT): // it went, or is an empty place
			return true, nil
		case err != nil:
			return false, err
		}
		return f(key, value), nil
	})
}

// walkKeys calls f for each key of m until it returns false or an error.
func walkKeys(m Map, f func(key []byte) (bool, error)) error {
	if c, ok := m.(interface{ mayRead() error }); ok {
		if err := c.mayRead(); err != nil {
			return err
		}
	}
	if h, ok := m.(interface{ follower(key []byte) *follower }); ok {
		keys := h.follower(nil)
		for key, ok := keys.next(); ok; key, ok = keys.next() {
			if more, err := f(key); err != nil || !more {
				return err
			}
		}
		return nil
	}
	k := int(m.Spec().KeySize)
	key, ahead := make([]byte, k), make([]byte, k)
	err := m.NextKey(nil, key)
	for n := uint64(0); err == nil; n++ {
		if n > uint64(m.Spec().MaxEntries) {
			return fmt.Errorf("map %q: %w", m.Spec().Name, ErrIterationAborted)
		}
		err = m.NextKey(key, ahead) // after one that f deletes it would be the first
		if more, ferr := f(key); ferr != nil || !more {
			return ferr
		}
		key, ahead = ahead, key
	}
	if errors.Is(err, errno.ENOENT) {
		return nil
	}
	return err
}
