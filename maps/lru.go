package maps

import (
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A clock makes a hash a BPF_MAP_TYPE_LRU_HASH or BPF_MAP_TYPE_LRU_PERCPU_HASH:
// when the map is full, an entry that was not used lately gives way to a new
// one. Its time is the number of keys that ever came, in sixteenths of the map's
// size, and each entry has the lowest byte of the time of its last use, in the
// bucket that leads to it; of a few entries in turn, those behind a hand that
// goes round the segment, the one unused for longest goes. An entry that nobody
// used while the map was replaced sixteen times looks as if it had just been;
// none lasts that long.
//
// The kernel has lists of entries, for each CPU and common ones, and evicts
// some entries before the map is full. Which entry gives way is nowhere
// promised; here the map holds max_entries before any does, whether
// BPF_F_NO_COMMON_LRU is set or not.
type clock struct {
	came  atomic.Uint32 // keys that ever came
	shift uint8         // how many of them, as a power of two, are a unit of time
	batch uint8         // how many keys, as a power of two, a segment counts by itself
	hands []uint32      // for each segment: the slot the hand is at; under its lock
	turn  atomic.Uint32 // segment to ask when a writer's own is empty
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
	shift := uint8(max(bits.Len32(spec.MaxEntries)-5, 0))
	m.clock = &clock{
		shift: shift,
		batch: shift / 4,
		hands: make([]uint32, len(m.segs)),
	}
	return nil
}

// now returns the time as entries have it.
func (m *hash) now() uint8 { return uint8(atomic.LoadUint64(&m.dir.words[DirClock])) }

// begin notes that a key comes to s, and returns the time, or 0 if there is none.
// Of a large map, it tells the others of several keys at a time.
func (m *hash) begin(s *segment) uint8 {
	c := m.clock
	if c == nil {
		return 0
	}
	if s.came++; s.came&(1<<c.batch-1) == 0 {
		if came := c.came.Add(1 << c.batch); came&(1<<c.shift-1) == 0 {
			atomic.StoreUint64(&m.dir.words[DirClock], uint64(uint8(came>>c.shift)))
		}
	}
	return m.now()
}

// usedAt returns when the entry in a slot of a bucket with the given last word
// was used.
func usedAt(word uint64, slot int) uint8 { return uint8(word >> (8*slot + 8)) }

// setUsed notes when the entry in a slot of w was used. ok is false if another
// note came first.
func setUsed(w *[slots + 1]uint64, slot int, used uint8) (ok bool) {
	old := atomic.LoadUint64(&w[passes])
	change := uint64(usedAt(old, slot)^used) << (8*slot + 8)
	return change == 0 || atomic.CompareAndSwapUint64(&w[passes], old, old^change)
}

// touch notes that the entry in a slot of w is used.
func (m *hash) touch(w *[slots + 1]uint64, slot int) { setUsed(w, slot, m.now()) }

// findUsed is find, and notes that the entry is used.
func (m *hash) findUsed(t *table, key []byte, h uint64) (entry uint32, ok bool) {
	tag := tagOf(h)
	b := t.home(tag)
	for range t.mask + 1 {
		w := t.bucket(b)
		for i := range slots {
			if s := atomic.LoadUint64(&w[i]); uint32(s>>32) == tag && m.has(uint32(s), key) {
				m.touch(w, i)
				return uint32(s), true
			}
		}
		if passed(w) == 0 {
			break
		}
		b = (b + 1) & t.mask
	}
	return 0, false
}

// putLRU is put for maps with a clock.
func (m *hash) putLRU(s *segment, h uint64, cpu int, key, value []byte, flags UpdateFlags) error {
	for {
		err := m.putIn(s, h, cpu, key, value, flags)
		if err != errno.E2BIG || !m.evictElsewhere() {
			return err
		}
	}
}

// evictElsewhere removes an entry of any segment, for a writer whose own has
// none. ok is false if there is none at all.
func (m *hash) evictElsewhere() (ok bool) {
	for range m.segs {
		i := int(m.clock.turn.Add(1)) & (len(m.segs) - 1)
		s := &m.segs[i]
		s.mu.Lock()
		ok := m.evict(s, i)
		s.mu.Unlock()
		if ok {
			m.count.Add(-1)
			return true
		}
	}
	return m.count.Load() < int64(m.spec.MaxEntries) // others made room
}

// evict removes an entry of s, which is segment i, if it has one. The caller has
// its lock, and what the map's count still includes.
func (m *hash) evict(s *segment, i int) (ok bool) {
	if s.live == 0 {
		return false
	}
	t, now := s.table.Load(), m.now()
	at := m.clock.hands[i]
	var oldest *uint64
	age := uint8(0)
	for n := 0; n < min(candidates, int(s.live)); at++ {
		w, slot := t.bucket(at/slots&t.mask), int(at%slots)
		if w[slot] == 0 {
			continue
		}
		n++
		if a := now - usedAt(atomic.LoadUint64(&w[passes]), slot); oldest == nil || a > age {
			oldest, age = &w[slot], a
		}
	}
	m.clock.hands[i] = at
	m.unlink(s, t, oldest, 0) // maps that evict have no home
	return true
}
