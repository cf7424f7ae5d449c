package maps

import (
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Target is an entry of a map that packets are redirected to: a device, a CPU,
// or an XDP socket. It does not change once it is in a map.
type Target struct {
	// Index is the device's number; of an XDP socket, that of the queue it
	// receives from; of a CPU, the key.
	Index uint32
	// QueueSize is how many packets a CPU can have waiting.
	QueueSize uint32
	// Program is what runs on a packet there (of type xdp_devmap or
	// xdp_cpumap), or nil. The map only keeps it. Lookup shows what its
	// method ID() uint32 returns, if it has that method.
	Program any
	// To is what takes the packets: the host's, and opaque to the map.
	To any

	value []byte // as programs and Lookup see the entry
}

// A TargetMap holds Targets: maps of types DevMap, DevMapHash, CPUMap and
// XSKMap.
type TargetMap interface {
	// StoreTarget puts t at key. The errors are Update's; EINVAL also says that
	// t has a program and the values of the map have no room for one.
	StoreTarget(key []byte, t Target, flags UpdateFlags) error
	// Target returns the entry at key, or nil.
	Target(key uint32) *Target
	// Targets calls f for every entry until it returns false.
	Targets(f func(key uint32, t *Target) bool)
	// Resolve makes Update ask device for what has a number: the result is
	// the Target's To, and EINVAL if ok is false. Without it, as with a nil
	// device, there is every device from 1 to 1<<31-1, and To is nil.
	// Maps of other things than devices ignore it.
	Resolve(device func(index uint32) (to any, ok bool))
}

// ProgramFlags returns those of ReadOnlyProg and WriteOnlyProg that hold for
// programs: what Flags say, and ReadOnlyProg for maps of devices in any case
// (kernel/bpf/devmap.c, dev_map_init_map).
func (s *Spec) ProgramFlags() Flags {
	f := s.Flags & (ReadOnlyProg | WriteOnlyProg)
	if s.Type == DevMap || s.Type == DevMapHash {
		f |= ReadOnlyProg
	}
	return f
}

// programID returns the number that Lookup shows for a program.
func programID(p any) uint32 {
	if p, ok := p.(interface{ ID() uint32 }); ok {
		return p.ID()
	}
	return 0
}

// newTarget returns t with the value that it has in a map of values of size
// bytes: first, and the program's number, as struct bpf_devmap_val and struct
// bpf_cpumap_val have it.
func newTarget(t Target, size int, first uint32) (*Target, error) {
	if t.Program != nil && size < 8 {
		return nil, errno.EINVAL
	}
	_, b := mem.Alloc(1)
	binary.NativeEndian.PutUint32(b, first)
	binary.NativeEndian.PutUint32(b[4:], programID(t.Program))
	t.value = b[:size:size]
	return &t, nil
}

// checkTargets is what dev_map_alloc_check, cpu_map_alloc and xsk_map_alloc check
// (kernel/bpf/devmap.c, cpumap.c, net/xdp/xskmap.c).
func checkTargets(s *Spec) error {
	allowed := NUMANode | ReadOnly | WriteOnly
	if s.Type == CPUMap {
		allowed = NUMANode
	}
	switch bad := s.Flags &^ allowed; {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.KeySize != 4:
		return refuse(s, errno.EINVAL, "key size is %d, not 4", s.KeySize)
	case s.Type == XSKMap && s.ValueSize != 4:
		return refuse(s, errno.EINVAL, "value size is %d, not 4", s.ValueSize)
	case s.ValueSize != 4 && s.ValueSize != 8:
		return refuse(s, errno.EINVAL, "value size is %d, not 4 or 8", s.ValueSize)
	case bad != 0:
		return refuse(s, errno.EINVAL, "flags %v are not for type %v", bad, s.Type)
	case s.Type == DevMapHash && s.MaxEntries > 1<<31:
		return refuse(s, errno.EINVAL, "max_entries is %d, above %d", s.MaxEntries, uint32(1<<31))
	case s.Type == CPUMap && s.MaxEntries > maxCPUs:
		return refuse(s, errno.E2BIG, "max_entries is %d; there are %d CPUs at most", s.MaxEntries, maxCPUs)
	}
	return nil
}

// targetArray is what DevMap, CPUMap and XSKMap have in common: an entry for
// each index, or none.
type targetArray struct {
	core
	at []atomic.Pointer[Target]
}

func (m *targetArray) alloc(spec *Spec) error {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return err
	}
	m.init(spec)
	m.at = make([]atomic.Pointer[Target], spec.MaxEntries)
	return nil
}

func (m *targetArray) Bytes() int64 { return int64(len(m.at)) * 8 }

// Target returns the entry at key.
func (m *targetArray) Target(key uint32) *Target {
	if uint64(key) >= uint64(len(m.at)) {
		return nil
	}
	return m.at[key].Load()
}

// Targets calls f for every entry, in the order of keys.
func (m *targetArray) Targets(f func(key uint32, t *Target) bool) {
	for i := range m.at {
		if t := m.at[i].Load(); t != nil && !f(uint32(i), t) {
			return
		}
	}
}

// Resolve does nothing.
func (m *targetArray) Resolve(func(uint32) (any, bool)) {}

// LookupElem returns the entry's value. It is the program's to read.
func (m *targetArray) LookupElem(_ int, key []byte) []byte {
	if len(key) != 4 {
		return nil
	}
	if t := m.Target(binary.NativeEndian.Uint32(key)); t != nil {
		return t.value
	}
	return nil
}

// UpdateElem returns EINVAL: programs may not change the map.
func (m *targetArray) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL: programs may not change the map.
func (m *targetArray) DeleteElem(int, []byte) error { return errno.EINVAL }

func (m *targetArray) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	v := m.LookupElem(0, key)
	if v == nil {
		return errno.ENOENT
	}
	copy(value, v)
	return nil
}

// place checks what every update checks, in the kernel's order, and returns the
// index that key is.
func (m *targetArray) place(key []byte, flags UpdateFlags) (uint32, error) {
	i := binary.NativeEndian.Uint32(key)
	switch {
	case flags > Exist:
		return 0, errno.EINVAL
	case i >= m.spec.MaxEntries:
		return 0, errno.E2BIG
	case flags == NoExist && m.spec.Type != XSKMap:
		return 0, errno.EEXIST
	}
	return i, nil
}

// Delete empties the place at key; that it was empty is no error.
func (m *targetArray) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return errno.EINVAL
	}
	m.at[i].Store(nil)
	return nil
}

// NextKey visits every index, whether there is an entry or not.
func (m *targetArray) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.nextIndex(key, next)
}

// Close lets go of the targets.
func (m *targetArray) Close() error {
	for i := range m.at {
		m.at[i].Store(nil)
	}
	return m.core.Close()
}

func (m *targetArray) batch() batchOp { return 0 }

// beginUpdate is what Update of a map of targets checks first.
func (m *core) beginUpdate(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.checkLock(flags)
}

// words returns the first and, if it has one, the second word of a value.
func words(value []byte) (first, second uint32) {
	first = binary.NativeEndian.Uint32(value)
	if len(value) >= 8 {
		second = binary.NativeEndian.Uint32(value[4:])
	}
	return first, second
}

// isFD reports whether the kernel takes the second word of a value for a file
// descriptor. There are none here.
func isFD(n uint32) bool { return n != 0 && n <= math.MaxInt32 }
