package maps

import (
	"fmt"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// LookupFlags is m.Lookup with flags, as bpf(2) has it. Of flags there is Lock:
// the spin lock of the value is held while it is copied, so that what programs
// change under it comes whole. EINVAL: another flag, or no lock in the value.
func LookupFlags(m Map, key, value []byte, flags UpdateFlags) error {
	return lookupFlags(m, key, value, flags, false)
}

// LookupAndDeleteFlags is LookupAndDelete with flags, as bpf(2) has it: see
// LookupFlags.
func LookupAndDeleteFlags(m Map, key, value []byte, flags UpdateFlags) error {
	return lookupFlags(m, key, value, flags, true)
}

func lookupFlags(m Map, key, value []byte, flags UpdateFlags, remove bool) error {
	switch {
	case flags&^Lock != 0:
		return fmt.Errorf("map %q: lookup: flags %#x: %w", m.Spec().Name, flags, errno.EINVAL)
	case flags == 0 && !remove:
		return m.Lookup(key, value)
	case flags == 0:
		d, ok := m.(LookupDeleter)
		if !ok {
			return fmt.Errorf("map %q: lookup and delete: %w", m.Spec().Name, errno.ENOTSUPP)
		}
		return d.LookupAndDelete(key, value)
	}
	c, ok := m.(interface {
		mayRead() error
		mayWrite() error
		checkLock(UpdateFlags) error
	})
	if !ok {
		return fmt.Errorf("map %q: no spin lock in the value: %w", m.Spec().Name, errno.EINVAL)
	}
	err := c.mayRead()
	if err == nil && remove {
		err = c.mayWrite()
	}
	if err == nil {
		err = c.checkLock(flags)
	}
	if err != nil {
		return err
	}
	l, ok := m.(interface {
		lookupLocked(key, value []byte, remove bool) error
	})
	if !ok {
		return errno.ENOTSUPP
	}
	return l.lookupLocked(key, value, remove)
}

func (m *array) lookupLocked(key, value []byte, remove bool) error {
	if remove {
		return errno.ENOTSUPP
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	from := m.LookupElem(0, key)
	if from == nil {
		return errno.ENOENT
	}
	m.value.loadLocked(value, from)
	return nil
}

func (m *hash) lookupLocked(key, value []byte, remove bool) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	h := m.hashOf(key)
	s := m.segment(h)
	if remove {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.table.Load()
		at, ok := m.locate(t, key, h)
		if !ok {
			return errno.ENOENT
		}
		m.value.loadLocked(value, m.pool.value(uint32(*at), 0, m.value.size))
		m.unlink(s, t, at)
		return nil
	}
	pin := vcpu.NewPin()
	defer pin.Unpin()
	i, ok := m.find(s.table.Load(), key, h)
	if !ok {
		return errno.ENOENT
	}
	m.value.loadLocked(value, m.pool.value(i, 0, m.value.size))
	return nil
}

// loadLocked is load under the value's lock.
func (l layout) loadLocked(dst, src []byte) {
	defer l.acquire(src)()
	l.load(dst, src)
}
