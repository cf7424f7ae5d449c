package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// Maps of maps (kernel/bpf/map_in_map.c). What they hold has to fit the
// template, Spec.Inner, by which programs were verified. Go code stores maps
// with StoreMap; Lookup gives their numbers, as bpf(2) gives identifiers.

// fits reports why m cannot be a map that spec's template describes.
func fits(spec *Spec, m Map) error {
	if m == nil {
		return refuse(spec, errno.EINVAL, "the inner map is nil")
	}
	if !Bundled(m) { // programs trust the template, and machine code checks nothing
		return refuse(spec, errno.EINVAL, "inner map %q is a host's own", m.Spec().Name)
	}
	if err := SameInner(m.Spec(), spec.Inner); err != nil {
		return refuse(spec, errno.EINVAL, "inner map %q: %v", m.Spec().Name, err)
	}
	return nil
}

// SameInner reports why a map that got describes may not stand where programs
// were proven to find one that want describes (bpf_map_meta_equal,
// array_map_meta_equal).
func SameInner(got, want *Spec) error {
	if got == nil || want == nil {
		return errors.New("no description of the inner maps")
	}
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"type", uint64(got.Type), uint64(want.Type)},
		{"key size", uint64(got.KeySize), uint64(want.KeySize)},
		{"value size", uint64(got.ValueSize), uint64(want.ValueSize)},
		{"flags", uint64(got.Flags), uint64(want.Flags)},
	} {
		if f.got != f.want {
			return fmt.Errorf("its %s is %d, the template's is %d", f.name, int64(f.got), int64(f.want))
		}
	}
	if err := SameSpecial(got, want); err != nil {
		return err
	}
	sameSize := want.Type == Array && want.Flags&InnerMap == 0 || want.Type == XSKMap
	if sameSize && got.MaxEntries != want.MaxEntries {
		return fmt.Errorf("it has %d entries, the template has %d", got.MaxEntries, want.MaxEntries)
	}
	return nil
}

// checkInner is bpf_map_meta_alloc.
func checkInner(s *Spec) error {
	switch t := s.Inner; {
	case t == nil:
		return refuse(s, errno.EINVAL, "no description of the inner maps")
	case t.Type == ArrayOfMaps || t.Type == HashOfMaps:
		return refuse(s, errno.EINVAL, "inner maps of type %v", t.Type)
	case t.Type == ProgArray || t.Type == StructOps || t.Type == Arena:
		return refuse(s, errno.ENOTSUPP, "inner maps of type %v", t.Type)
	}
	return nil
}

// checkArrayOfMaps is what array_of_map_alloc and fd_array_map_alloc_check
// check.
func checkArrayOfMaps(s *Spec) error {
	if err := checkFDArray(s); err != nil {
		return err
	}
	return checkInner(s)
}

// checkHashOfMaps is fd_htab_map_alloc_check, and the template's checks.
func checkHashOfMaps(s *Spec) error {
	if s.ValueSize != 4 {
		return refuse(s, errno.EINVAL, "value size is %d, not 4", s.ValueSize)
	}
	if err := checkHash(s); err != nil {
		return err
	}
	return checkInner(s)
}

// arrayOfMaps is a BPF_MAP_TYPE_ARRAY_OF_MAPS.
type arrayOfMaps struct {
	fdArray
	handles []uint64 // of inners; machine code reads them, too
	base    uint64   // their address
}

func newArrayOfMaps(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return nil, err
	}
	m := &arrayOfMaps{}
	words, bytes := mem.Alloc(int(spec.MaxEntries))
	m.handles, m.base = words, mem.Addr(bytes)
	m.how = "a map is put in by StoreMap"
	m.empty = func(i uint32) bool { return m.set(i, 0) != 0 }
	m.number = func(i uint32) (uint32, bool) {
		id := m.id(i)
		return id, id != 0
	}
	m.init(spec)
	return m, nil
}

func (m *arrayOfMaps) Bytes() int64 { return int64(len(m.handles)) * 8 }

// id returns the number of the map at place i, 0 if there is none.
func (m *arrayOfMaps) id(i uint32) uint32 { return numberOf(atomic.LoadUint64(&m.handles[i])) }

// InnerMap returns the map at key, for a program.
func (m *arrayOfMaps) InnerMap(key []byte) Map {
	return inners.load(numberOf(m.InnerHandle(key)))
}

// InnerHandle is InnerMap for machine code: see FromHandle.
func (m *arrayOfMaps) InnerHandle(key []byte) uint64 {
	if len(key) != 4 {
		return 0
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return 0
	}
	return atomic.LoadUint64(&m.handles[i])
}

// StoreMap puts inner at key.
func (m *arrayOfMaps) StoreMap(key []byte, inner Map, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.store(key, inner, flags)
}

func (m *arrayOfMaps) store(key []byte, inner Map, flags UpdateFlags) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	i := binary.NativeEndian.Uint32(key)
	switch {
	case flags != Any:
		return errno.EINVAL
	case i >= m.spec.MaxEntries:
		return errno.E2BIG
	}
	if err := fits(&m.spec, inner); err != nil {
		return err
	}
	m.set(i, inners.acquire(inner))
	return nil
}

// set puts id in place i and returns what was there.
func (m *arrayOfMaps) set(i, id uint32) (old uint32) {
	if old = numberOf(atomic.SwapUint64(&m.handles[i], inners.handle(id))); old != 0 {
		inners.release(old)
	}
	return old
}

// Close lets go of the inner maps.
func (m *arrayOfMaps) Close() error {
	for i := range m.handles {
		m.set(uint32(i), 0)
	}
	return m.core.Close()
}

func (m *arrayOfMaps) batch() batchOp { return batchLookup | batchUpdate }

// hashOfMaps is a BPF_MAP_TYPE_HASH_OF_MAPS: a hash whose values are numbers of
// inners.
type hashOfMaps struct {
	core
	keys *hash
	mu   sync.Mutex // held to write: a value and its number change together
}

func newHashOfMaps(spec *Spec) (Map, error) {
	m := &hashOfMaps{keys: &hash{}}
	m.init(spec)
	plain := *spec
	plain.Type, plain.Contents = Hash, nil
	plain.Flags &^= accessMask // checked here
	return m, m.keys.alloc(&plain, 1)
}

func (m *hashOfMaps) Bytes() int64 { return m.keys.Bytes() }

// InnerMap returns the map at key, for a program.
func (m *hashOfMaps) InnerMap(key []byte) Map {
	if v := m.keys.LookupElem(0, key); v != nil {
		return inners.load(mem.Word32(v, 0).Load())
	}
	return nil
}

// InnerHandle is InnerMap for machine code: see FromHandle.
func (m *hashOfMaps) InnerHandle(key []byte) uint64 {
	if v := m.keys.LookupElem(0, key); v != nil {
		return inners.handle(mem.Word32(v, 0).Load())
	}
	return 0
}

// StoreMap puts inner at key.
func (m *hashOfMaps) StoreMap(key []byte, inner Map, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.store(key, inner, flags)
}

func (m *hashOfMaps) store(key []byte, inner Map, flags UpdateFlags) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	if flags&Lock != 0 {
		return errno.EINVAL
	}
	if err := fits(&m.spec, inner); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := m.number(key)
	var value [4]byte
	id := inners.acquire(inner)
	binary.NativeEndian.PutUint32(value[:], id)
	err := m.keys.put(0, key, value[:], flags)
	if err != nil {
		gone = id
	}
	if gone != 0 {
		inners.release(gone)
	}
	return err
}

// number returns the number of the map at key, 0 if there is none.
func (m *hashOfMaps) number(key []byte) uint32 {
	pin := vcpu.NewPin()
	defer pin.Unpin()
	if v := m.keys.LookupElem(0, key); v != nil {
		return mem.Word32(v, 0).Load()
	}
	return 0
}

// LookupElem returns nil: programs get maps, by InnerMap.
func (m *hashOfMaps) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL: programs may not change maps of maps.
func (m *hashOfMaps) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL.
func (m *hashOfMaps) DeleteElem(int, []byte) error { return errno.EINVAL }

// Lookup writes the number of the map at key.
func (m *hashOfMaps) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.keys.Lookup(key, value)
}

// Update returns EBADF, as bpf(2) does for a value that is no map's file
// descriptor. StoreMap takes the map itself.
func (m *hashOfMaps) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, 4); err != nil {
		return err
	}
	if flags&Lock != 0 {
		return errno.EINVAL
	}
	return m.fail("a map is put in by StoreMap", errno.EBADF)
}

// Delete removes the map at key.
func (m *hashOfMaps) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.remove(key)
}

func (m *hashOfMaps) remove(key []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var value [4]byte
	if err := m.keys.LookupAndDelete(key, value[:]); err != nil {
		return err
	}
	inners.release(binary.NativeEndian.Uint32(value[:]))
	return nil
}

func (m *hashOfMaps) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.keys.NextKey(key, next)
}

// follower is for walks and batches: see hash.follower.
func (m *hashOfMaps) follower(key []byte) *follower { return m.keys.follower(key) }

// Close lets go of the inner maps.
func (m *hashOfMaps) Close() error {
	key := make([]byte, m.spec.KeySize)
	for m.keys.NextKey(nil, key) == nil {
		m.remove(key)
	}
	return m.core.Close()
}

func (m *hashOfMaps) batch() batchOp {
	return batchLookup | batchLookupDelete | batchUpdate | batchDelete
}
