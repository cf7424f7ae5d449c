package maps

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// What each type of map saves, and how it comes back.

func (m *array) save() any {
	all := saved{keys: make([]byte, 0, 4*int(m.spec.MaxEntries))}
	size := m.spec.HostValueSize()
	all.values = make([]byte, size*int(m.spec.MaxEntries))
	for i := range m.spec.MaxEntries {
		all.keys = binary.NativeEndian.AppendUint32(all.keys, i)
		for cpu := range m.cpus {
			m.value.load(all.values[int(i)*size+cpu*m.stride:][:m.value.size], m.at(cpu, i, m.value.size), Any)
		}
	}
	return all
}

func (m *array) restore(state any) error {
	all := state.(saved)
	size := m.spec.HostValueSize()
	flags := Any
	if m.value.lock >= 0 {
		flags = Lock
	}
	for i := range m.spec.MaxEntries {
		from := all.values[int(i)*size:][:size]
		for cpu := range m.cpus {
			m.value.store(m.at(cpu, i, m.value.size), from[cpu*m.stride:][:m.value.size], flags)
		}
	}
	return nil
}

// save holds the locks of all segments, one after the other taken in order;
// whoever writes to the map takes one at a time.
func (m *hash) save() any {
	for i := range m.segs {
		m.segs[i].mu.Lock()
		defer m.segs[i].mu.Unlock()
	}
	pin := vcpu.NewPin()
	defer pin.Unpin()
	var all saved
	value := make([]byte, m.hostSize())
	for entry, at, ok := m.after(mark{}); ok; entry, at, ok = m.after(at) {
		m.copyOut(value, entry, Any)
		all.keys, all.values = append(all.keys, at.key...), append(all.values, value...)
	}
	return all
}

func (m *hash) restore(state any) error {
	return restoreEntries(m, m.save().(saved).keys, state.(saved),
		func(key []byte) error { return m.remove(key, nil, Any) },
		func(key, value []byte) error { return m.put(allCPUs, key, value, Any) })
}

func (m *lpmTrie) save() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all saved
	value := make([]byte, m.value.size)
	key := make([]byte, m.spec.KeySize)
	for entry, ok := m.after(nil); ok; entry, ok = m.after(key) {
		m.writeKey(key, entry)
		m.value.load(value, m.pool.value(entry, 0, m.value.size), Any)
		all.keys, all.values = append(all.keys, key...), append(all.values, value...)
	}
	return all
}

func (m *lpmTrie) restore(state any) error {
	return restoreEntries(m, m.save().(saved).keys, state.(saved), m.remove, func(key, value []byte) error { return m.update(key, value, Any) })
}

func (m *queue) save() any { return saved{values: m.values()} }

func (m *queue) restore(state any) error {
	all := state.(saved)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.first, m.count = 0, len(all.values)/m.value.size
	copy(m.data, all.values)
	return nil
}

// bloomState is what a bloom filter holds, and by which hash functions.
type bloomState struct {
	hashes, seed uint32
	bits         []uint32
}

func (m *bloom) save() any {
	s := bloomState{m.hashes, m.seed, make([]uint32, len(m.bits))}
	for i := range m.bits {
		s.bits[i] = atomic.LoadUint32(&m.bits[i])
	}
	return s
}

// restore returns EINVAL if m has other hash functions than the filter that was
// saved, unless both have BPF_F_ZERO_SEED.
func (m *bloom) restore(state any) error {
	s := state.(bloomState)
	if s.hashes != m.hashes || s.seed != m.seed {
		return errno.EINVAL
	}
	for i := range m.bits {
		atomic.StoreUint32(&m.bits[i], s.bits[i])
	}
	return nil
}

func (m *progArray) save() any {
	targets := make([]any, len(m.targets))
	for i := range targets {
		targets[i] = m.Load(uint32(i))
	}
	return targets
}

func (m *progArray) restore(state any) error {
	for i, t := range state.([]any) {
		if t == nil {
			m.targets[i].Store(nil)
		} else {
			m.targets[i].Store(&t)
		}
	}
	return nil
}

// innerEntry is a map in a map of maps.
type innerEntry struct {
	key   string
	inner Map
}

func (m *arrayOfMaps) save() any {
	pin := vcpu.NewPin()
	defer pin.Unpin()
	var all []innerEntry
	for i := range m.handles {
		if inner := inners.load(m.id(uint32(i))); inner != nil {
			all = append(all, innerEntry{string(binary.NativeEndian.AppendUint32(nil, uint32(i))), inner})
		}
	}
	return all
}

func (m *arrayOfMaps) restore(state any) error {
	held := map[uint32]Map{}
	for _, e := range state.([]innerEntry) {
		held[binary.NativeEndian.Uint32([]byte(e.key))] = e.inner
	}
	for i := range m.handles {
		inner := held[uint32(i)]
		if inner == nil {
			m.set(uint32(i), 0)
		} else if err := m.store(binary.NativeEndian.AppendUint32(nil, uint32(i)), inner, Any); err != nil {
			return err
		}
	}
	return nil
}

func (m *hashOfMaps) save() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	pin := vcpu.NewPin()
	defer pin.Unpin()
	var all []innerEntry
	for entry, at, ok := m.keys.after(mark{}); ok; entry, at, ok = m.keys.after(at) {
		var id [4]byte
		m.keys.copyOut(id[:], entry, Any)
		if inner := inners.load(binary.NativeEndian.Uint32(id[:])); inner != nil {
			all = append(all, innerEntry{string(at.key), inner})
		}
	}
	return all
}

func (m *hashOfMaps) restore(state any) error {
	all := state.([]innerEntry)
	keep := map[string]bool{}
	for _, e := range all {
		keep[e.key] = true
	}
	for _, e := range m.save().([]innerEntry) {
		if keep[e.key] {
			continue
		}
		if err := m.remove([]byte(e.key)); err != nil && !errors.Is(err, errno.ENOENT) {
			return err
		}
	}
	for _, e := range all {
		if err := m.store([]byte(e.key), e.inner, Any); err != nil {
			return err
		}
	}
	return nil
}

func (m *targetArray) save() any {
	targets := make([]*Target, len(m.at))
	for i := range m.at {
		targets[i] = m.at[i].Load()
	}
	return targets
}

func (m *targetArray) restore(state any) error {
	for i, t := range state.([]*Target) {
		m.at[i].Store(t)
	}
	return nil
}

func (m *devMapHash) save() any {
	targets := map[uint32]*Target{}
	m.Targets(func(key uint32, t *Target) bool { targets[key] = t; return true })
	return targets
}

func (m *devMapHash) restore(state any) error {
	targets := state.(map[uint32]*Target)
	for key := range m.save().(map[uint32]*Target) {
		if targets[key] == nil {
			m.entries.remove(binary.NativeEndian.AppendUint32(nil, key))
		}
	}
	for key, t := range targets {
		if err := m.put(binary.NativeEndian.AppendUint32(nil, key), t, Any); err != nil {
			return err
		}
	}
	return nil
}
