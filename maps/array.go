package maps

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// array is a BPF_MAP_TYPE_ARRAY or, with several CPUs, a
// BPF_MAP_TYPE_PERCPU_ARRAY. Every entry exists from the start and holds zeros
// until it is written.
//
//	data   CPU 0: value 0, value 1, … value max-1;  CPU 1: value 0, …
//
// Each value takes stride bytes. There is no other state, so nothing has to be
// locked: values are shared memory, as in the kernel.
type array struct {
	core
	stride int // ValueSize rounded up to 8
	cpus   int // values per entry
	data   []byte
	slabs  []mem.Slab
	mapped mapped
}

// perCPUArray is an array as Go code sees it: an entry's value is the values of
// all CPUs.
type perCPUArray struct{ array }

func newArray(spec *Spec) (Map, error) {
	m := &array{}
	return m, m.alloc(spec, 1)
}

func newPerCPUArray(spec *Spec) (Map, error) {
	m := &perCPUArray{}
	return m, m.alloc(spec, NumCPU())
}

func (m *array) alloc(spec *Spec, cpus int) error {
	m.init(spec)
	m.stride = roundUp8(int(spec.ValueSize))
	m.cpus = cpus
	if err := checkMemory(spec, uint64(spec.MaxEntries)*uint64(cpus), uint64(m.stride)); err != nil {
		return err
	}
	_, m.data = mem.Alloc(int(spec.MaxEntries) * cpus * m.stride / 8)
	m.slabs = []mem.Slab{{
		Bytes:     m.data,
		Stride:    uint32(m.stride),
		Size:      spec.ValueSize,
		ReadOnly:  spec.Flags&ReadOnlyProg != 0,
		WriteOnly: spec.Flags&WriteOnlyProg != 0,
		Special:   m.value.special,
	}}
	return nil
}

func (m *array) Slabs() []mem.Slab { return m.slabs }

func (m *array) Bytes() int64 { return int64(len(m.data)) }

// at returns the value of entry i on cpu, of n bytes. The index was checked.
func (m *array) at(cpu int, i uint32, n int) []byte {
	off := (cpu*int(m.spec.MaxEntries) + int(i)) * m.stride
	return m.data[off : off+n : off+n]
}

func (m *array) LookupElem(cpu int, key []byte) []byte {
	if m.cpus == 1 {
		cpu = 0
	}
	if len(key) != 4 || uint(cpu) >= uint(m.cpus) {
		return nil
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return nil
	}
	return m.at(cpu, i, m.value.size)
}

// index checks what every update checks, and returns the index that key is.
func (m *array) index(key []byte, flags UpdateFlags) (uint32, error) {
	if flags&^Lock > Exist {
		return 0, errno.EINVAL
	}
	i := binary.NativeEndian.Uint32(key)
	switch {
	case i >= m.spec.MaxEntries:
		return 0, errno.E2BIG
	case flags&NoExist != 0:
		return 0, errno.EEXIST
	}
	return i, m.checkLock(flags)
}

func (m *array) UpdateElem(cpu int, key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	if m.cpus == 1 {
		cpu = 0
	} else if uint(cpu) >= uint(m.cpus) {
		return errno.EINVAL
	}
	i, err := m.index(key, flags)
	if err != nil {
		return err
	}
	m.put(m.at(cpu, i, m.value.size), value, flags)
	return nil
}

// DeleteElem returns EINVAL: an array's entries always exist.
func (m *array) DeleteElem(_ int, key []byte) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	return errno.EINVAL
}

func (m *array) Lookup(key, value []byte) error { return m.lookup(key, value, Any) }

func (m *array) lookup(key, value []byte, flags UpdateFlags) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return errno.ENOENT
	}
	m.value.load(value, m.at(0, i, m.value.size), flags)
	return nil
}

func (m *array) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *array) update(key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	i, err := m.index(key, flags)
	if err != nil {
		return err
	}
	m.put(m.at(0, i, m.value.size), value, flags)
	return nil
}

// put overwrites an entry (array_map_update_elem), whose timers end.
func (m *array) put(dst, value []byte, flags UpdateFlags) {
	m.value.store(dst, value, flags)
	m.endFields(dst)
}

// entryAt is EntryAt.
func (m *array) entryAt(addr uint64) (key, value []byte, ok bool) {
	off := addr - mem.Addr(m.data)
	if m.cpus != 1 || off >= uint64(len(m.data)) {
		return nil, nil, false
	}
	i := uint32(off / uint64(m.stride))
	key = make([]byte, 8)[:4]
	binary.NativeEndian.PutUint32(key, i)
	return key, m.at(0, i, m.value.size), true
}

func (m *array) initial(key, value []byte) error { return m.update(key, value, Any) }

func (m *array) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.DeleteElem(0, key)
}

func (m *array) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.nextIndex(key, next)
}

// nextIndex is array_map_get_next_key (kernel/bpf/arraymap.c): keys are 0 to
// max_entries-1 in order, and after a key that is too large comes 0.
func (m *core) nextIndex(key, next []byte) error {
	if err := m.checkKey(next); err != nil {
		return err
	}
	i := uint32(0)
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
		switch i = binary.NativeEndian.Uint32(key); {
		case i >= m.spec.MaxEntries:
			i = 0
		case i == m.spec.MaxEntries-1:
			return errno.ENOENT
		default:
			i++
		}
	}
	binary.NativeEndian.PutUint32(next, i)
	return nil
}

// Range visits the entries in order of their index.
func (m *array) Range(cpu int, f func(key, value []byte) bool) {
	if m.cpus == 1 {
		cpu = 0
	}
	key := make([]byte, 8)[:4]
	for i := range m.spec.MaxEntries {
		binary.NativeEndian.PutUint32(key, i)
		if !f(key, m.at(cpu, i, m.value.size)) {
			return
		}
	}
}

func (m *perCPUArray) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.stride*m.cpus); err != nil {
		return err
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return errno.ENOENT
	}
	for cpu := range m.cpus {
		mem.CopyShared(value[cpu*m.stride:][:m.stride], m.at(cpu, i, m.stride))
	}
	return nil
}

func (m *perCPUArray) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

// update stores one value per CPU (bpf_percpu_array_update).
func (m *perCPUArray) update(key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.stride*m.cpus); err != nil {
		return err
	}
	if flags > Exist {
		return errno.EINVAL
	}
	i, err := m.index(key, flags)
	if err != nil {
		return err
	}
	for cpu := range m.cpus {
		mem.CopyShared(m.at(cpu, i, m.stride), value[cpu*m.stride:][:m.stride])
	}
	return nil
}

// initial stores the values of all CPUs, or one value for each of them.
func (m *perCPUArray) initial(key, value []byte) error {
	return m.update(key, m.spread(value, m.cpus), Any)
}

// spread returns value as Go code passes it to a per-CPU map, if it is the
// value of one CPU: once for each.
func (m *core) spread(value []byte, cpus int) []byte {
	if len(value) != m.value.size || cpus*roundUp8(m.value.size) == len(value) {
		return value
	}
	all := make([]byte, cpus*roundUp8(m.value.size))
	for cpu := range cpus {
		copy(all[cpu*roundUp8(m.value.size):], value)
	}
	return all
}

func (m *array) batch() batchOp { return batchLookup | batchUpdate }
