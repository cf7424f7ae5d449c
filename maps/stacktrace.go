package maps

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A StackMap keeps stack traces: a map of type StackTrace.
type StackMap interface {
	// StoreStack keeps a trace and returns its number. values are what Lookup
	// shows of ips, a value for each: the addresses themselves, or, with
	// StackBuildID, struct bpf_stack_build_id.
	//
	// EEXIST: a trace with the same number is another one; with reuse it gives
	// way instead. ENOMEM: the map is full. With fast, traces with one hash are
	// taken for one.
	StoreStack(ips []uint64, values []byte, fast, reuse bool) (id uint32, err error)
}

// MaxStack is how many frames a stack trace can have (the default of the sysctl
// kernel.perf_event_max_stack).
const MaxStack = 127

// checkStackTrace is stack_map_alloc (kernel/bpf/stackmap.c).
func checkStackTrace(s *Spec) error {
	each := s.StackEntry()
	switch bad := s.Flags &^ (NUMANode | ReadOnly | WriteOnly | StackBuildID); {
	case bad != 0:
		return refuse(s, errno.EINVAL, "flags %v are not for type %v", bad, s.Type)
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.KeySize != 4:
		return refuse(s, errno.EINVAL, "key size is %d, not 4", s.KeySize)
	case s.ValueSize < 8 || s.ValueSize%each != 0:
		return refuse(s, errno.EINVAL, "value size is %d, not a multiple of %d", s.ValueSize, each)
	case s.ValueSize/each > MaxStack:
		return refuse(s, errno.EINVAL, "value size is %d, more than %d frames", s.ValueSize, MaxStack)
	case s.MaxEntries > 1<<31:
		return refuse(s, errno.E2BIG, "max_entries is %d, above %d", s.MaxEntries, uint32(1<<31))
	}
	return nil
}

// StackEntry returns the size of what a map of stack traces with this description
// has for each frame.
func (s *Spec) StackEntry() uint32 {
	if s.Flags&StackBuildID != 0 {
		return 32 // struct bpf_stack_build_id
	}
	return 8
}

// stackTrace is a BPF_MAP_TYPE_STACK_TRACE: a hash table in which the number of a
// trace is its place, so that the table holds one trace for each. Numbers are
// those that the kernel gives the same addresses.
type stackTrace struct {
	core
	at   []atomic.Pointer[stack]
	free atomic.Int64 // traces that may still be made; the kernel makes all at first
}

type stack struct {
	hash   uint32
	values []byte
}

func newStackTrace(spec *Spec) (Map, error) {
	places := uint64(1) << bits.Len32(spec.MaxEntries-1)
	if err := checkMemory(spec, uint64(spec.MaxEntries), uint64(spec.ValueSize)+32); err != nil {
		return nil, err
	}
	if err := checkMemory(spec, places, 8); err != nil {
		return nil, err
	}
	m := &stackTrace{at: make([]atomic.Pointer[stack], places)}
	m.init(spec)
	m.free.Store(int64(spec.MaxEntries))
	return m, nil
}

// Bytes counts the places, and the traces in them.
func (m *stackTrace) Bytes() int64 {
	used := int64(m.spec.MaxEntries) - m.free.Load()
	return int64(len(m.at))*8 + used*(int64(m.spec.ValueSize)+32)
}

// StoreStack is __bpf_get_stackid.
func (m *stackTrace) StoreStack(ips []uint64, values []byte, fast, reuse bool) (id uint32, err error) {
	if len(ips) > int(m.spec.ValueSize/m.spec.StackEntry()) || len(values) != len(ips)*int(m.spec.StackEntry()) {
		return 0, errno.EINVAL
	}
	s := &stack{hash: hashStack(ips)}
	id = s.hash & uint32(len(m.at)-1)
	old := m.at[id].Load()
	same := old != nil && old.hash == s.hash
	if same && fast {
		return id, nil
	}
	early := m.spec.Flags&StackBuildID != 0 // then memory is asked for first
	if early && m.free.Load() <= 0 {
		return 0, errno.ENOMEM
	}
	if same && string(old.values) == string(values) {
		return id, nil
	}
	if old != nil && !reuse {
		return 0, errno.EEXIST
	}
	if m.free.Add(-1) < 0 {
		m.free.Add(1)
		return 0, errno.ENOMEM
	}
	s.values = append([]byte(nil), values...)
	m.replace(id, s)
	return id, nil
}

// replace puts s, which may be nil, in place id and reports whether there was
// another.
func (m *stackTrace) replace(id uint32, s *stack) bool {
	old := m.at[id].Swap(s)
	if old != nil {
		m.free.Add(1)
	}
	return old != nil
}

// hashStack is jhash2 of the words of ips.
func hashStack(ips []uint64) uint32 {
	var b [MaxStack * 8]byte
	for i, ip := range ips {
		binary.LittleEndian.PutUint64(b[8*i:], ip)
	}
	return jhash(b[:8*len(ips)], 0)
}

// LookupElem returns nil: programs cannot look traces up.
func (m *stackTrace) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL.
func (m *stackTrace) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns EINVAL: programs cannot remove traces.
func (m *stackTrace) DeleteElem(int, []byte) error { return errno.EINVAL }

// Lookup copies the trace whose number is key, followed by zeros.
func (m *stackTrace) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	s := m.find(key)
	if s == nil {
		return errno.ENOENT
	}
	clear(value[copy(value, s.values):])
	return nil
}

func (m *stackTrace) find(key []byte) *stack {
	if id := binary.NativeEndian.Uint32(key); uint64(id) < uint64(len(m.at)) {
		return m.at[id].Load()
	}
	return nil
}

// Update returns EINVAL: traces come from programs.
func (m *stackTrace) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	return errno.EINVAL
}

// Delete forgets the trace whose number is key.
func (m *stackTrace) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	id := binary.NativeEndian.Uint32(key)
	switch {
	case uint64(id) >= uint64(len(m.at)):
		return errno.E2BIG
	case !m.replace(id, nil):
		return errno.ENOENT
	}
	return nil
}

// NextKey visits the numbers of traces in ascending order; after one that is not
// there it begins anew.
func (m *stackTrace) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	id := uint64(0)
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
		if m.find(key) != nil {
			id = uint64(binary.NativeEndian.Uint32(key)) + 1
		}
	}
	for ; id < uint64(len(m.at)); id++ {
		if m.at[id].Load() != nil {
			binary.NativeEndian.PutUint32(next, uint32(id))
			return nil
		}
	}
	return errno.ENOENT
}

// Close forgets the traces.
func (m *stackTrace) Close() error {
	for id := range m.at {
		m.replace(uint32(id), nil)
	}
	return m.core.Close()
}

func (m *stackTrace) batch() batchOp { return 0 }
