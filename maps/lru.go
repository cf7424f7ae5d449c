package maps

import (
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A clock makes a hash a BPF_MAP_TYPE_LRU_HASH or BPF_MAP_TYPE_LRU_PERCPU_HASH:
// when the map is full, an entry that was not used lately gives way to a new
// one. Its time is the number of keys that ever came, and each entry has the
// time of its last use; of a few entries in turn, those behind a hand that goes
// round the segment, the one unused for longest goes.
//
// The kernel has lists of entries, for each CPU and common ones, and evicts
// some entries before the map is full. Which entry gives way is nowhere
// promised; here the map holds max_entries before any does, whether
// BPF_F_NO_COMMON_LRU is set or not.
type clock struct {
	now   atomic.Uint32
	grain uint32          // uses this close to the last one are not noted
	used  []atomic.Uint32 // for each entry of the pool: time of its last use
	hands []uint32        // for each segment: the slot the hand is at; under its lock
	turn  atomic.Uint32   // segment to ask when a writer's own is empty
}

// candidates is of how many entries the one unused for longest gives way: with
// eight, one eviction in 256 takes an entry of the more recently used half.
const candidates = 8

func newLRUHash(spec *Spec) (Map, error) {
	m := &hash{}
	return m, m.allocLRU(spec, 1)
}

func newLRUPerCPUHash(spec *Spec) (Map, error) {
	m := &perCPUHash{}
	return m, m.allocLRU(spec, NumCPU())
}

func (m *hash) allocLRU(spec *Spec, cpus int) error {
	if err := m.alloc(spec, cpus); err != nil {
		return err
	}
	m.clock = &clock{
		grain: spec.MaxEntries / 16,
		used:  make([]atomic.Uint32, m.pool.end),
		hands: make([]uint32, len(m.segs)),
	}
	return nil
}

// touch notes that entry i was used.
func (c *clock) touch(i uint32) {
	if now := c.now.Load(); now-c.used[i].Load() > c.grain {
		c.used[i].Store(now)
	}
}

// begin notes that a key came, in entry i.
func (c *clock) begin(i uint32) { c.used[i].Store(c.now.Add(1)) }

// age returns how many keys came since entry i was used.
func (c *clock) age(i uint32) uint32 { return c.now.Load() - c.used[i].Load() }

// putLRU is put for maps with a clock.
func (m *hash) putLRU(s *segment, h uint64, cpu int, key, value []byte, flags UpdateFlags) error {
	for {
		err := m.putIn(s, h, cpu, key, value, flags)
		if err != errno.E2BIG || !m.evict(int(h>>m.segAt)) {
			return err
		}
	}
}

// evict removes an entry of segment i or, if it has none, of another. ok is
// false if there is none at all.
func (m *hash) evict(i int) (ok bool) {
	if m.evictFrom(i) {
		return true
	}
	for range m.segs {
		if m.evictFrom(int(m.clock.turn.Add(1)) & (len(m.segs) - 1)) {
			return true
		}
	}
	return m.count.Load() < int64(m.spec.MaxEntries) // others made room
}

// evictFrom removes an entry of segment i, if it has one.
func (m *hash) evictFrom(i int) (ok bool) {
	s := &m.segs[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == 0 {
		return false
	}
	t := s.table.Load()
	at := m.clock.hands[i]
	var oldest *uint64
	age := uint32(0)
	for n := 0; n < min(candidates, s.live); at++ {
		slot := &t.bucket(at / slots & t.mask)[at%slots]
		if *slot == 0 {
			continue
		}
		n++
		if a := m.clock.age(uint32(*slot)); oldest == nil || a > age {
			oldest, age = slot, a
		}
	}
	m.clock.hands[i] = at
	m.unlink(s, t, oldest)
	return true
}
