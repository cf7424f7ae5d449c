package maps

import (
	"fmt"
	"sync"

	"github.com/skepvm/skep/errno"
)

// A Memory is the values of an array as memory that Go code and programs share,
// what mmap of a map with BPF_F_MMAPABLE is.
type Memory struct {
	m     *array
	write bool
	close sync.Once
}

// mapped is the open writable Memories of an array.
type mapped struct {
	mu      sync.Mutex // held to open one, and to freeze
	writers int
}

// OpenMemory opens the memory of m, for writing too if write is set; then m cannot
// be frozen until Close. The errors are those of mmap of a map: EACCES: flags keep Go
// code from it; ENOTSUPP: m has no such memory, or special fields in its values;
// EPERM: it is frozen; EACCES: it is read-only for programs; EINVAL: it was not made
// with MMapable. Unlike in the kernel the memory of a map with ReadOnly can be read.
func OpenMemory(m Map, write bool) (*Memory, error) {
	f := m.Spec().Flags
	fail := func(what string, e errno.Errno) (*Memory, error) {
		return nil, fmt.Errorf("map %q: memory of a %v: %s: %w", m.Spec().Name, m.Spec().Type, what, e)
	}
	if f&WriteOnly != 0 || write && f&ReadOnly != 0 {
		return fail(fmt.Sprintf("flags %v", f), errno.EACCES)
	}
	a, ok := m.(*array)
	if !ok || len(a.value.special) > 0 {
		return fail("it has none to share", errno.ENOTSUPP)
	}
	if err := a.open(); err != nil {
		return nil, err
	}
	a.mapped.mu.Lock()
	defer a.mapped.mu.Unlock()
	switch {
	case write && a.frozen():
		return fail("frozen", errno.EPERM)
	case write && f&ReadOnlyProg != 0:
		return fail("read-only for programs", errno.EACCES)
	case f&MMapable == 0:
		return fail("no flag mmapable", errno.EINVAL)
	}
	if write {
		a.mapped.writers++
	}
	return &Memory{m: a, write: write}, nil
}

// Bytes returns the memory, aliased: one value after the other, each rounded up to
// 8 bytes. It must not be written if the Memory was not opened for that, nor after
// Close. Programs use it at the same time, and so do other operations on the map:
// words that they change have to be read and written atomically.
func (m *Memory) Bytes() []byte { return m.m.data[:len(m.m.data):len(m.m.data)] }

// Close ends the use of the memory.
func (m *Memory) Close() error {
	m.close.Do(func() {
		if m.write {
			m.m.mapped.mu.Lock()
			m.m.mapped.writers--
			m.m.mapped.mu.Unlock()
		}
	})
	return nil
}

// Freeze is Freeze of any map; besides, EBUSY: a Memory is open for writing.
func (m *array) Freeze() error {
	m.mapped.mu.Lock()
	defer m.mapped.mu.Unlock()
	if m.mapped.writers > 0 && m.mayWrite() == nil {
		return m.fail("freeze: its memory is open for writing", errno.EBUSY)
	}
	return m.core.Freeze()
}
