package maps

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// progArray is a BPF_MAP_TYPE_PROG_ARRAY: the targets of tail calls. What a
// target is, its owner knows. Programs can neither read nor write the map but
// through bpf_tail_call.
//
// A replaced target stays reachable for runs that loaded it; whoever frees what
// it stands for follows the reclamation rule.
//
// A target that has a method TailTarget() uint64, which always returns the same
// address, is one that machine code reaches through that. The array keeps it
// alive until no run is left that was under way when it was replaced.
type progArray struct {
	fdArray
	targets []atomic.Pointer[any]
	jumps   []uint64 // what machine code reads: by index, where it finds the target
	base    uint64   // address of jumps

	mu       sync.Mutex          // held to change a place
	replaced map[uint64]replaced // targets, by what jumps held, in which runs may be
	waiting  bool                // a timer will look again
}

type replaced struct {
	target any
	tag    uint64
}

// What jumps hold if it is no address: there is no target, or none for machine
// code.
const (
	JumpEmpty = 0
	JumpOther = 1
)

func newProgArray(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 16); err != nil {
		return nil, err
	}
	m := &progArray{targets: make([]atomic.Pointer[any], spec.MaxEntries), replaced: map[uint64]replaced{}}
	m.how = "a program is put in by Store"
	m.empty = func(i uint32) bool { return m.set(i, nil) }
	m.number = m.id
	m.init(spec)
	words, bytes := mem.Alloc(int(spec.MaxEntries))
	m.jumps, m.base = words, mem.Addr(bytes)
	return m, nil
}

func (m *progArray) Bytes() int64 { return int64(len(m.targets)) * 16 }

// Store puts target at index, or empties the place if target is nil; then
// ENOENT says that it was empty, as the kernel does for a delete. E2BIG: no
// such index.
func (m *progArray) Store(index uint32, target any) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if index >= m.spec.MaxEntries {
		return errno.E2BIG
	}
	if held := m.set(index, target); target == nil && !held {
		return errno.ENOENT
	}
	return nil
}

// set puts target, or nothing, at index and reports whether there was another.
func (m *progArray) set(index uint32, target any) (held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, word := m.targets[index].Load(), m.jumps[index]
	if target == nil && old == nil {
		return false
	}
	if word > JumpOther { // before it is unlinked
		m.replaced[word] = replaced{*old, ^uint64(0)}
	}
	if target != nil {
		m.targets[index].Store(&target) // first: it keeps alive what machine code finds
		atomic.StoreUint64(&m.jumps[index], jumpTo(target))
	} else {
		atomic.StoreUint64(&m.jumps[index], JumpEmpty)
		m.targets[index].Store(nil)
	}
	if word > JumpOther {
		m.replaced[word] = replaced{*old, vcpu.Retired()}
		m.forget()
	}
	return old != nil
}

// jumpTo returns what machine code is to read for target.
func jumpTo(target any) uint64 {
	if t, ok := target.(interface{ TailTarget() uint64 }); ok {
		return t.TailTarget()
	}
	return JumpOther
}

// forget lets go of targets in which no run can be any more, and comes back for
// the rest. The caller holds mu.
func (m *progArray) forget() {
	for word, r := range m.replaced {
		if vcpu.Passed(r.tag) {
			delete(m.replaced, word)
		}
	}
	if len(m.replaced) > 0 && !m.waiting {
		m.waiting = true
		time.AfterFunc(10*time.Millisecond, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.waiting = false
			m.forget()
		})
	}
}

// Load returns the target at index, or nil if there is none.
func (m *progArray) Load(index uint32) any {
	if index >= m.spec.MaxEntries {
		return nil
	}
	if p := m.targets[index].Load(); p != nil {
		return *p
	}
	return nil
}

// id returns the identifier of the target at i: what its method ID() uint32
// returns, or 0 if it has none.
func (m *progArray) id(i uint32) (id uint32, ok bool) {
	t := m.Load(i)
	if t, ok := t.(interface{ ID() uint32 }); ok {
		id = t.ID()
	}
	return id, t != nil
}
