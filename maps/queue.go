package maps

import (
	"sync"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// queue is a BPF_MAP_TYPE_QUEUE, first in first out, or a BPF_MAP_TYPE_STACK,
// last in first out: values without keys (kernel/bpf/queue_stack_maps.c).
//
//	data   value 0, value 1, … value max_entries-1, each of ValueSize bytes
//	       from first on, count of them, around the end, are in the map
type queue struct {
	keyless
	lifo bool
	data []byte

	mu    sync.Mutex
	first int
	count int
}

func newQueue(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), uint64(spec.ValueSize)); err != nil {
		return nil, err
	}
	m := &queue{
		lifo: spec.Type == Stack,
		data: make([]byte, int(spec.MaxEntries)*int(spec.ValueSize)),
	}
	m.none, m.push = errno.EINVAL, m.put
	m.init(spec)
	return m, nil
}

// Bytes returns how much memory the values take.
func (m *queue) Bytes() int64 { return int64(len(m.data)) }

// at returns the place of the i-th value from the oldest.
func (m *queue) at(i int) []byte {
	n := int(m.spec.ValueSize)
	i = (m.first + i) % int(m.spec.MaxEntries)
	return m.data[i*n:][:n]
}

// put stores value. With Exist the oldest value gives way if the map is full.
func (m *queue) put(value []byte, flags UpdateFlags) error {
	if flags&NoExist != 0 || flags > Exist {
		return errno.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count == int(m.spec.MaxEntries) {
		if flags&Exist == 0 {
			return errno.E2BIG
		}
		m.first = (m.first + 1) % int(m.spec.MaxEntries)
		m.count--
	}
	mem.CopyShared(m.at(m.count), value)
	m.count++
	return nil
}

// next copies the value whose turn it is, and removes it if take is set. If
// there is none it clears value.
func (m *queue) next(value []byte, take bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count == 0 {
		mem.ClearShared(value)
		return errno.ENOENT
	}
	i := 0
	if m.lifo {
		i = m.count - 1
	}
	mem.CopyShared(value, m.at(i))
	if take {
		m.count--
		if !m.lifo {
			m.first = (m.first + 1) % int(m.spec.MaxEntries)
		}
	}
	return nil
}

// PopElem removes the next value for a program.
func (m *queue) PopElem(value []byte) error {
	if err := m.checkValue(value, m.value.size); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	return m.next(value, true)
}

// PeekElem copies the next value for a program.
func (m *queue) PeekElem(value []byte) error {
	if err := m.checkValue(value, m.value.size); err != nil {
		return err
	}
	return m.next(value, false)
}

// Lookup copies the next value and leaves it there; key is empty.
func (m *queue) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.next(value, false)
}

// LookupAndDelete removes the next value; key is empty.
func (m *queue) LookupAndDelete(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.next(value, true)
}

// checkQueue is queue_stack_map_alloc_check.
func checkQueue(s *Spec) error {
	switch {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.KeySize != 0:
		return refuse(s, errno.EINVAL, "key size is %d, not 0", s.KeySize)
	case s.ValueSize == 0:
		return refuse(s, errno.EINVAL, "value size is 0")
	}
	if err := checkFlags(s, NUMANode|accessMask); err != nil {
		return err
	}
	if s.ValueSize > maxAlloc {
		return refuse(s, errno.E2BIG, "value size is %d, more than %d", s.ValueSize, maxAlloc)
	}
	return nil
}

// values returns a copy of all values, the oldest first.
func (m *queue) values() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]byte, 0, m.count*m.value.size)
	for i := range m.count {
		all = append(all, m.at(i)...)
	}
	return all
}
