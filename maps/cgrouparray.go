package maps

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A CgroupMap holds cgroups by their ids: a map of type CgroupArray.
type CgroupMap interface {
	// StoreCgroup puts the cgroup with a version 2 id, which is not 0, at index.
	// E2BIG: there is no such index.
	StoreCgroup(index uint32, id uint64) error
	// Cgroup returns the id at index, 0 if there is none. E2BIG: there is no such
	// index.
	Cgroup(index uint32) (id uint64, err error)
}

// cgroupArray is a BPF_MAP_TYPE_CGROUP_ARRAY: programs ask whether a packet or a
// task belongs to one of its cgroups.
type cgroupArray struct {
	core
	ids []atomic.Uint64
}

func newCgroupArray(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return nil, err
	}
	m := &cgroupArray{ids: make([]atomic.Uint64, spec.MaxEntries)}
	m.init(spec)
	return m, nil
}

func (m *cgroupArray) Bytes() int64 { return int64(len(m.ids)) * 8 }

// Cgroup returns the id at index.
func (m *cgroupArray) Cgroup(index uint32) (uint64, error) {
	if index >= m.spec.MaxEntries {
		return 0, errno.E2BIG
	}
	return m.ids[index].Load(), nil
}

// StoreCgroup puts id at index.
func (m *cgroupArray) StoreCgroup(index uint32, id uint64) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	switch {
	case index >= m.spec.MaxEntries:
		return errno.E2BIG
	case id == 0:
		return errno.EINVAL
	}
	m.ids[index].Store(id)
	return nil
}

// LookupElem returns nil: programs only ask.
func (m *cgroupArray) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL.
func (m *cgroupArray) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL.
func (m *cgroupArray) DeleteElem(int, []byte) error { return errno.EINVAL }

// Lookup returns ENOTSUPP.
func (m *cgroupArray) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, 4); err != nil {
		return err
	}
	return errno.ENOTSUPP
}

// Update returns EBADF, as bpf(2) does for a value that is no cgroup's file
// descriptor: there are none here. StoreCgroup takes the id.
func (m *cgroupArray) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	switch {
	case flags != Any:
		return errno.EINVAL
	case binary.NativeEndian.Uint32(key) >= m.spec.MaxEntries:
		return errno.E2BIG
	}
	return m.fail("a cgroup is put in by StoreCgroup", errno.EBADF)
}

// Delete empties the place at key. ENOENT: it was empty.
func (m *cgroupArray) Delete(key []byte) error {
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
	case m.ids[i].Swap(0) == 0:
		return errno.ENOENT
	}
	return nil
}

// NextKey visits every index, whether there is a cgroup or not.
func (m *cgroupArray) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.nextIndex(key, next)
}

func (m *cgroupArray) batch() batchOp { return 0 }
