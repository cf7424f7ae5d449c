package maps

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// Maps of network devices (kernel/bpf/devmap.c). A value is the number of a
// device, alone or, as struct bpf_devmap_val, with a program for the packets that
// leave through it. Programs redirect to an entry, and may read it.

// devices knows which devices there are.
type devices struct {
	resolve atomic.Pointer[func(uint32) (any, bool)]
}

// Resolve makes Update ask device which devices there are.
func (d *devices) Resolve(device func(index uint32) (to any, ok bool)) {
	if device == nil {
		d.resolve.Store(nil)
		return
	}
	d.resolve.Store(&device)
}

// named returns the target that the value says, which is an entry's.
func (d *devices) named(value []byte, size int) (*Target, error) {
	index, fd := words(value)
	t := Target{Index: index}
	if f := d.resolve.Load(); f != nil {
		to, ok := (*f)(index)
		if !ok {
			return nil, errno.EINVAL
		}
		t.To = to
	} else if index > math.MaxInt32 {
		return nil, errno.EINVAL
	}
	if isFD(fd) { // no such program
		return nil, errno.EINVAL
	}
	return newTarget(t, size, index)
}

// devMap is a BPF_MAP_TYPE_DEVMAP.
type devMap struct {
	targetArray
	devices
}

func newDevMap(spec *Spec) (Map, error) {
	m := &devMap{}
	return m, m.alloc(spec)
}

// Resolve makes Update ask device which devices there are.
func (m *devMap) Resolve(device func(index uint32) (to any, ok bool)) { m.devices.Resolve(device) }

// Update is __dev_map_update_elem: device 0 empties the place.
func (m *devMap) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *devMap) update(key, value []byte, flags UpdateFlags) error {
	i, err := m.place(key, flags)
	if err != nil {
		return err
	}
	index, fd := words(value)
	if index == 0 {
		if isFD(fd) {
			return errno.EINVAL
		}
		m.at[i].Store(nil)
		return nil
	}
	t, err := m.named(value, m.value.size)
	if err != nil {
		return m.fail("no such device or program", errno.EINVAL)
	}
	m.at[i].Store(t)
	return nil
}

func (m *devMap) initial(key, value []byte) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.update(key, value, Any)
}

// StoreTarget puts a device at key.
func (m *devMap) StoreTarget(key []byte, t Target, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	i, err := m.place(key, flags)
	if err != nil {
		return err
	}
	d, err := deviceTarget(t, m.value.size)
	if err != nil {
		return err
	}
	m.at[i].Store(d)
	return nil
}

// deviceTarget returns t as an entry of a map of devices.
func deviceTarget(t Target, size int) (*Target, error) {
	if t.Index == 0 || t.Index > math.MaxInt32 {
		return nil, errno.EINVAL
	}
	t.QueueSize = 0
	return newTarget(t, size, t.Index)
}

// devMapHash is a BPF_MAP_TYPE_DEVMAP_HASH. Keys are hashed and entries walked as
// in the kernel.
type devMapHash struct {
	core
	devices
	entries chained[Target]
}

func newDevMapHash(spec *Spec) (Map, error) {
	buckets := uint64(1) << bits.Len32(spec.MaxEntries-1)
	if err := checkMemory(spec, buckets, 8); err != nil {
		return nil, err
	}
	m := &devMapHash{}
	m.init(spec)
	m.entries.init(uint32(buckets), spec.MaxEntries, func(key []byte) uint64 {
		return uint64(binary.NativeEndian.Uint32(key))
	})
	return m, nil
}

func (m *devMapHash) Bytes() int64 { return int64(len(m.entries.buckets)) * 8 }

// Target returns the entry at key.
func (m *devMapHash) Target(key uint32) *Target {
	return m.entries.getWord(key, uint64(key))
}

// Targets calls f for every entry, in the order of NextKey.
func (m *devMapHash) Targets(f func(key uint32, t *Target) bool) {
	m.entries.all(func(key string, t *Target) bool { return f(binary.NativeEndian.Uint32([]byte(key)), t) })
}

// LookupElem returns the entry's value. It is the program's to read.
func (m *devMapHash) LookupElem(_ int, key []byte) []byte {
	if len(key) != 4 {
		return nil
	}
	if t := m.entries.get(key); t != nil {
		return t.value
	}
	return nil
}

// UpdateElem returns EINVAL: programs may not change the map.
func (m *devMapHash) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL: programs may not change the map.
func (m *devMapHash) DeleteElem(int, []byte) error { return errno.EINVAL }

func (m *devMapHash) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	t := m.entries.get(key)
	if t == nil {
		return errno.ENOENT
	}
	copy(value, t.value)
	return nil
}

// Update is __dev_map_hash_update_elem. As there, Exist creates an entry, too.
func (m *devMapHash) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *devMapHash) update(key, value []byte, flags UpdateFlags) error {
	if index, _ := words(value); flags > Exist || index == 0 {
		return errno.EINVAL
	}
	if flags&NoExist != 0 && m.entries.get(key) != nil {
		return errno.EEXIST
	}
	t, err := m.named(value, m.value.size)
	if err != nil {
		return m.fail("no such device or program", errno.EINVAL)
	}
	return m.put(key, t, flags)
}

func (m *devMapHash) initial(key, value []byte) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.update(key, value, Any)
}

// StoreTarget puts a device at key.
func (m *devMapHash) StoreTarget(key []byte, t Target, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	if flags > Exist {
		return errno.EINVAL
	}
	d, err := deviceTarget(t, m.value.size)
	if err != nil {
		return err
	}
	return m.put(key, d, flags)
}

func (m *devMapHash) put(key []byte, t *Target, flags UpdateFlags) error {
	_, err := m.entries.put(key, t, func(old *Target) error {
		if old != nil && flags&NoExist != 0 {
			return errno.EEXIST
		}
		return nil
	})
	return err
}

// Delete removes key.
func (m *devMapHash) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	if m.entries.remove(key) == nil {
		return errno.ENOENT
	}
	return nil
}

func (m *devMapHash) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
	}
	return m.entries.next(key, next)
}

// Close lets go of the targets.
func (m *devMapHash) Close() error {
	m.entries.clear(func(*Target) {})
	return m.core.Close()
}

func (m *devMapHash) batch() batchOp { return 0 }
