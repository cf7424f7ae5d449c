package maps

import (
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
	fdArray
	ids []atomic.Uint64
}

func newCgroupArray(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return nil, err
	}
	m := &cgroupArray{ids: make([]atomic.Uint64, spec.MaxEntries)}
	m.how = "a cgroup is put in by StoreCgroup"
	m.empty = func(i uint32) bool { return m.ids[i].Swap(0) != 0 }
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
