package maps

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
)

// An fdArray is what arrays of the host's objects have in common (kernel,
// kernel/bpf/arraymap.c, fd_array_map_*): bpf(2) puts programs, maps, performance
// events and cgroups in as file descriptors, of which there are none here, and
// shows their numbers. Programs neither read nor write the places.
type fdArray struct {
	core
	how    string                             // Go code puts objects in
	empty  func(i uint32) (held bool)         // empties place i
	number func(i uint32) (n uint32, ok bool) // of what is in place i; nil: the kind has none
}

// LookupElem returns nil.
func (m *fdArray) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL.
func (m *fdArray) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL.
func (m *fdArray) DeleteElem(int, []byte) error { return errno.EINVAL }

// Lookup writes the number of what is at key. ENOENT: nothing is; ENOTSUPP: objects
// of the kind have none.
func (m *fdArray) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, 4); err != nil {
		return err
	}
	if m.number == nil {
		return errno.ENOTSUPP
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return errno.ENOENT
	}
	n, ok := m.number(i)
	if !ok {
		return errno.ENOENT
	}
	binary.NativeEndian.PutUint32(value, n)
	return nil
}

// Update returns EBADF, as bpf(2) does for a value that is no such descriptor.
func (m *fdArray) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, 4); err != nil {
		return err
	}
	switch {
	case flags != Any:
		return errno.EINVAL
	case binary.NativeEndian.Uint32(key) >= m.spec.MaxEntries:
		return errno.E2BIG
	}
	return m.fail(m.how, errno.EBADF)
}

// Delete empties the place at key. ENOENT: it was empty.
func (m *fdArray) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	i := binary.NativeEndian.Uint32(key)
	switch {
	case i >= m.spec.MaxEntries:
		return errno.E2BIG
	case !m.empty(i):
		return errno.ENOENT
	}
	return nil
}

// NextKey visits every index, whether there is something or not.
func (m *fdArray) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.nextIndex(key, next)
}

func (m *fdArray) batch() batchOp { return 0 }
