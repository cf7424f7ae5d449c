package maps

import (
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// allCPUs stands for every CPU's value, given one after the other.
const allCPUs = -1

// UpdateElem of a per-CPU map sets the value of cpu; the other CPUs' values of
// an entry that did not exist are zero.
func (m *hash) UpdateElem(cpu int, key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	if uint(cpu) >= uint(NumCPU()) {
		return errno.EINVAL
	}
	return m.put(cpu, key, value, flags)
}

func (m *hash) DeleteElem(_ int, key []byte) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	return m.remove(key, nil, Any)
}

func (m *hash) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *hash) update(key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.hostSize()); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	return m.put(allCPUs, key, value, flags)
}

// initial stores one value; of a per-CPU map those of all CPUs, or one for each.
func (m *hash) initial(key, value []byte) error {
	if m.cpus > 1 {
		value = m.spread(value, m.cpus)
	}
	return m.update(key, value, Any)
}

func (m *hash) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	return m.remove(key, nil, Any)
}

// LookupAndDelete copies the value for key into value and removes the entry.
func (m *hash) LookupAndDelete(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.hostSize()); err != nil {
		return err
	}
	return m.remove(key, value, Any)
}

// put is htab_map_update_elem and its per-CPU sibling (kernel/bpf/hashtab.c):
// an entry that exists is replaced by a new one, so that programs which hold
// the old value keep it; only a per-CPU value, and a value under its own lock,
// is written in place.
func (m *hash) put(cpu int, key, value []byte, flags UpdateFlags) error {
	if flags&^Lock > Exist || m.cpus > 1 && flags&Lock != 0 {
		return errno.EINVAL
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	h := m.hashOf(key)
	s := m.segment(h)
	for range scavenges {
		var err error
		if m.clock == nil {
			err = m.putIn(s, h, cpu, key, value, flags)
		} else {
			err = m.putLRU(s, h, cpu, key, value, flags)
		}
		if err != errno.ENOMEM || !m.scavenge(s) {
			return err
		}
	}
	return errno.ENOMEM
}

func (m *hash) putIn(s *segment, h uint64, cpu int, key, value []byte, flags UpdateFlags) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	w, slot, exists := m.locate(t, key, h)
	at := &w[slot]
	switch {
	case exists && flags&NoExist != 0:
		return errno.EEXIST
	case !exists && flags&Exist != 0:
		return errno.ENOENT
	case exists && (m.cpus > 1 || flags&Lock != 0):
		m.copyIn(uint32(*at), cpu, value, flags)
		m.endEntry(uint32(*at))
		if m.clock != nil {
			m.touch(w, slot)
		}
		return nil
	case !exists && !m.reserve():
		if m.clock == nil || !m.evict(s, m.segmentOf(h)) {
			return errno.E2BIG
		}
	}
	m.settle()
	i, ok := m.takeFor(s, key, h)
	if !ok {
		if !exists {
			m.count.Add(-1)
		}
		return errno.ENOMEM
	}
	copy(m.pool.key(i, len(key)), key)
	m.clearNew(i, cpu)
	m.copyIn(i, cpu, value, 0)
	word := uint64(tagOf(h))<<32 | uint64(i)
	if exists {
		old := uint32(*at)
		o := m.home.Load()
		o.hide(old, h)
		atomic.StoreUint64(at, word)
		if m.clock != nil {
			m.touch(w, slot)
		}
		m.endEntry(old)
		o.retire(s, old, h)
		o.show(i, h)
		return nil
	}
	if s.live++; int(s.live) > int(t.mask+1)*(slots+1)/2 {
		i := m.segmentOf(h)
		t = t.grownTo(m.blocks.table(i, 2*int(t.mask+1), m.count.Load()))
		m.setTable(i, t)
	}
	t.insert(word, m.begin(s))
	m.home.Load().show(i, h)
	return nil
}

// takeFor is take for key, whose hash is h.
func (m *hash) takeFor(s *segment, key []byte, h uint64) (entry uint32, ok bool) {
	if o := m.home.Load(); o != nil {
		if entry, ok = o.free(s, wordOf(key), h); ok {
			return entry, true
		}
	}
	return m.take(s)
}

// take returns an entry that nobody can reach. The caller has the lock of s.
func (m *hash) take(s *segment) (entry uint32, ok bool) {
	if optimistic {
		mem.Publish(&s.reused, s.reused+1)
	}
	return s.spare.take(&m.pool, &m.proto)
}

// reserve counts one entry more, unless the map is full.
func (m *hash) reserve() bool {
	for {
		n := m.count.Load()
		if n >= int64(m.spec.MaxEntries) {
			return false
		}
		if m.count.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// locate returns the bucket and the slot of key, whose hash is h; any if it is
// not there. The caller has the segment's lock.
func (m *hash) locate(t *table, key []byte, h uint64) (w *[slots + 1]uint64, slot int, ok bool) {
	tag := tagOf(h)
	b := t.home(tag)
	for range t.mask + 1 {
		w = t.bucket(b)
		for i := range slots {
			if s := w[i]; uint32(s>>32) == tag && m.has(uint32(s), key) {
				return w, i, true
			}
		}
		if passed(w) == 0 {
			break
		}
		b = (b + 1) & t.mask
	}
	return w, 0, false
}

// clearNew zeroes what copyIn leaves of a new entry's value.
func (m *hash) clearNew(i uint32, cpu int) {
	if m.cpus > 1 && cpu != allCPUs {
		for c := range m.cpus {
			mem.ClearShared(m.pool.value(i, c, roundUp8(m.value.size)))
		}
	} else if m.cpus == 1 && m.value.special != nil {
		m.endEntry(i) // what a run began after the entry had lost its last key
		m.value.clear(m.pool.value(i, 0, m.value.size))
	}
}

// endEntry ends the timers of entry i.
func (m *hash) endEntry(i uint32) {
	if m.ends != nil {
		m.endFields(m.pool.value(i, 0, m.value.size))
	}
}

// copyIn stores value in entry i: the value of cpu, or of allCPUs.
func (m *hash) copyIn(i uint32, cpu int, value []byte, flags UpdateFlags) {
	switch {
	case m.cpus == 1:
		m.value.store(m.pool.value(i, 0, m.value.size), value, flags)
	case cpu == allCPUs:
		n := roundUp8(m.value.size)
		for c := range m.cpus {
			mem.CopyShared(m.pool.value(i, c, n), value[c*n:][:n])
		}
	default:
		mem.CopyShared(m.pool.value(i, cpu, m.value.size), value)
	}
}

// insert puts word, last used at the given time, into the first bucket with
// room, from its home on. There is one: tables are never full.
func (t *table) insert(word uint64, used uint8) {
	home := t.home(uint32(word >> 32))
	b, slot := home, -1
	for slot < 0 {
		w := t.bucket(b)
		if i := prefers(uint32(word >> 32)); w[i] == 0 {
			slot = i
			break
		}
		for i := range slots {
			if w[i] == 0 {
				slot = i
				break
			}
		}
		if slot < 0 {
			b = (b + 1) & t.mask
		}
	}
	for p := home; p != b; p = (p + 1) & t.mask {
		w := t.bucket(p)
		if passed(w) != manyPassed {
			atomic.AddUint64(&w[passes], 1)
		}
	}
	w := t.bucket(b)
	for !setUsed(w, slot, used) {
	}
	mem.Publish(&w[slot], word)
}

// remove empties slot and uncounts its key in the buckets before it.
func (t *table) remove(slot *uint64) {
	b := t.home(uint32(*slot >> 32))
	atomic.StoreUint64(slot, 0)
	for range t.mask + 1 {
		w := t.bucket(b)
		for i := range slots {
			if &w[i] == slot {
				return
			}
		}
		if passed(w) != manyPassed {
			atomic.AddUint64(&w[passes], ^uint64(0))
		}
		b = (b + 1) & t.mask
	}
}

// grownTo puts the words of t into n, which is empty and larger, and returns n.
func (t *table) grownTo(n *table) *table {
	for b := range t.mask + 1 {
		w := t.bucket(b)
		for i, word := range w[:slots] {
			if word != 0 {
				n.insert(word, usedAt(atomic.LoadUint64(&w[passes]), i))
			}
		}
	}
	return n
}

// remove deletes the entry of key; if value is not nil, it gets a copy first,
// under the value's lock if flags say so.
func (m *hash) remove(key, value []byte, flags UpdateFlags) error {
	h := m.hashOf(key)
	s := m.segment(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	w, slot, ok := m.locate(t, key, h)
	if !ok {
		return errno.ENOENT
	}
	i := uint32(w[slot])
	if value != nil {
		m.copyOut(value, i, flags)
	}
	m.unlink(s, t, &w[slot], h)
	m.count.Add(-1)
	return nil
}

// unlink removes the entry in slot at of t, the table of s, whose lock the
// caller has. Its key has hash h. The map's count still includes it.
func (m *hash) unlink(s *segment, t *table, at *uint64, h uint64) {
	i := uint32(*at)
	o := m.home.Load()
	o.hide(i, h)
	t.remove(at)
	s.live--
	m.endEntry(i)
	o.retire(s, i, h)
}

// scavenges is how often put looks for an entry elsewhere before it gives up.
const scavenges = 3

// scavenge moves an entry that another segment does not use to s, which has
// none. It holds one lock at a time.
func (m *hash) scavenge(s *segment) bool {
	for i := range m.segs {
		o := &m.segs[i]
		o.mu.Lock()
		e, ok := m.take(o)
		o.mu.Unlock()
		if ok {
			s.mu.Lock()
			s.spare.give(e)
			s.mu.Unlock()
			return true
		}
	}
	return false
}
