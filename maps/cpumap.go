package maps

import "github.com/skepvm/skep/errno"

// cpuMap is a BPF_MAP_TYPE_CPUMAP: packets go on to another CPU, the key, where
// up to as many wait as the value says, alone or, as struct bpf_cpumap_val, with a
// program for them (kernel/bpf/cpumap.c). Programs can only redirect to an entry.
type cpuMap struct{ targetArray }

// Limits of cpumap.c: CONFIG_NR_CPUS of the common distributions' kernels, and the
// packets that may wait.
const (
	maxCPUs      = 8192
	maxQueueSize = 16384
)

func newCPUMap(spec *Spec) (Map, error) {
	m := &cpuMap{}
	return m, m.alloc(spec)
}

// LookupElem returns nil: the kernel gives programs no access either.
func (m *cpuMap) LookupElem(int, []byte) []byte { return nil }

func (m *cpuMap) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	v := m.targetArray.LookupElem(0, key)
	if v == nil {
		return errno.ENOENT
	}
	copy(value, v)
	return nil
}

// Update is cpu_map_update_elem: a queue of no size empties the place. ENODEV:
// there is no such virtual CPU.
func (m *cpuMap) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *cpuMap) update(key, value []byte, flags UpdateFlags) error {
	size, fd := words(value)
	i, err := m.cpu(key, size, flags)
	switch {
	case err != nil:
		return err
	case size == 0:
		m.at[i].Store(nil)
		return nil
	case isFD(fd):
		return m.fail("a program is put in by StoreTarget", errno.ENOMEM) // what the kernel makes of it
	}
	t, err := newTarget(Target{Index: i, QueueSize: size}, m.value.size, size)
	if err != nil {
		return err
	}
	m.at[i].Store(t)
	return nil
}

// cpu checks an update with a queue of the given size, and returns the CPU that
// key is.
func (m *cpuMap) cpu(key []byte, size uint32, flags UpdateFlags) (uint32, error) {
	i, err := m.place(key, flags)
	switch {
	case err != nil:
		return 0, err
	case size > maxQueueSize:
		return 0, errno.EOVERFLOW
	case i >= uint32(NumCPU()):
		return 0, errno.ENODEV
	}
	return i, nil
}

func (m *cpuMap) initial(key, value []byte) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.update(key, value, Any)
}

// StoreTarget puts a CPU at key, which is its number, with a queue of
// t.QueueSize.
func (m *cpuMap) StoreTarget(key []byte, t Target, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	i, err := m.cpu(key, t.QueueSize, flags)
	if err != nil {
		return err
	}
	if t.QueueSize == 0 {
		return errno.EINVAL
	}
	t.Index = i
	c, err := newTarget(t, m.value.size, t.QueueSize)
	if err != nil {
		return err
	}
	m.at[i].Store(c)
	return nil
}
