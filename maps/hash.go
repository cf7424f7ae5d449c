package maps

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// hash is a BPF_MAP_TYPE_HASH or, with several CPUs, a
// BPF_MAP_TYPE_PERCPU_HASH.
//
// A key's 64-bit hash selects, with its upper bits, one of a fixed number of
// segments, each a hash table with a lock of its own for those who write. The
// lower 32 bits, made odd, are the key's tag. A segment's table is an array of
// buckets of one cache line, and a word in it says which tag is where:
//
//	bucket   slot 0 | slot 1 | … | slot 6 | passes
//	slot     tag<<32 | entry, or 0: empty
//	passes   byte 0: how many keys whose home is this bucket or one before lie
//	         behind it, up to 255, which it stays; bytes 1 to 7: when the entry
//	         in slot 0 to 6 was last used, in maps that evict (type clock)
//
// The upper bits of the tag are the number of the key's home, its lowest byte
// prefers one of the slots. The key lies there, or in another slot of its home,
// or, if all were taken when it came, in the next bucket with room, counted in
// the passes of each bucket on the way. Keys and values are in a pool, by entry
// number. Most keys lie where they prefer to, so that a lookup is one chain of
// loads without a branch that depends on the key; machine code follows it, too,
// with what the directory says.
//
// Readers take no lock. They load the table, then the slots from the key's home
// on while passes is not 0, and compare the key of every entry with its tag.
//
//   - Insert, replace and delete are one store to one slot each, so a reader
//     sees an entry whole or not at all. The entry's bytes are written before
//     that store.
//   - A key that is there throughout is found: it keeps its slot while it
//     exists, and passes on the way to it is raised before the slot is set.
//     A reader that misses a key which went from one slot to another, by
//     delete and insert, was under way while the key did not exist.
//   - A table that is full to four in seven is replaced by one of twice the
//     buckets, under the segment's lock. The old one is never written again,
//     so a reader in it sees the segment as it was at that moment, which lies
//     within the lookup.
//   - Entries that were replaced or deleted go through the reclamation rule
//     (package vcpu) before they hold another key. Readers have a lease or a
//     pin while they look, or see afterwards that no entry was used again.
type hash struct {
	core
	seeds  seeds
	kind   keyKind
	cpus   int
	words  bool // keys and values are plain words of 8 bytes, and may be read optimistically
	segAt  int  // hash bits below the segment's number
	segs   []segment
	blocks blocks
	pool   pool
	dir    directory
	clock  *clock // nil unless the map evicts
	proto  mem.Slab

	home     atomic.Pointer[home] // nil: there is none, or none yet
	fast     atomic.Pointer[home] // the same, as long as Go code may read it optimistically
	lines    uint32               // of the home; 0: there is none
	settling sync.Mutex           // held to make it

	_     [64]byte
	count atomic.Int64 // entries in the map; never more than MaxEntries
	_     [64]byte
}

// perCPUHash is a hash as Go code sees it: an entry's value is the values of
// all CPUs.
type perCPUHash struct{ hash }

// A keyKind tells keys that are one machine word from others.
type keyKind uint8

const (
	keyBytes keyKind = iota
	keyWord          // 4 or 8 bytes
)

// slots is how many entries a bucket holds; passes is the word after them.
const (
	slots      = 7
	passes     = slots
	bucketSize = (slots + 1) * 8 // bytes
)

// manyPassed is the count of keys behind a bucket that is not kept any more.
const manyPassed = 255

// passed returns how many keys lie behind bucket w.
func passed(w *[slots + 1]uint64) uint8 { return uint8(atomic.LoadUint64(&w[passes])) }

// A segment is one part of a hash, on cache lines of its own: one for those who
// read, one for those who write.
type segment struct {
	table  atomic.Pointer[table]
	reused uint64 // raised before an entry gets another key, for those who read optimistically
	_      [64 - 16]byte

	mu    sync.Mutex // held to write
	live  int32      // entries
	came  uint32     // keys that came, in maps that evict
	spare spares
}

// A table is the buckets of a segment at one time.
type table struct {
	mask    uint32 // buckets - 1
	shift   uint8  // tag bits to shift away for the home
	buckets [][slots + 1]uint64
	addr    uint64 // of the buckets, a multiple of 64
}

// tagOf returns the tag of a key with hash h. It is odd, so no slot that holds a
// key looks empty.
func tagOf(h uint64) uint32 { return uint32(h) | 1 }

// home returns the bucket that a key with the given tag belongs to.
func (t *table) home(tag uint32) uint32 { return uint32(uint64(tag) >> (t.shift & 63)) }

// prefers returns the slot that a key with the given tag is in, if it can.
func prefers(tag uint32) int { return int(uint8(tag)) * slots >> 8 }

// bucket returns bucket b.
func (t *table) bucket(b uint32) *[slots + 1]uint64 { return &t.buckets[b] }

// maxSegments bounds how many writers can work at a time.
const maxSegments = 256

// spareBytes is how much memory entries may take which were replaced or deleted
// while runs go on that could still use them: the map returns ENOMEM rather
// than take more. (The kernel reuses such entries at once, and their users see
// other keys' values; here they keep their bytes.)
const spareBytes = 32 << 20

func newHash(spec *Spec) (Map, error) {
	m := &hash{}
	if err := m.alloc(spec, 1); err != nil {
		return m, err
	}
	if n := homeLines(spec, len(m.segs)); m.pool.canSettle(n * lineUnits) {
		m.lines = n
		if n > 0 {
			m.segAt = lineShift + bits.TrailingZeros32(n) - bits.TrailingZeros(uint(len(m.segs)))
		}
	}
	return m, nil
}

func newPerCPUHash(spec *Spec) (Map, error) {
	m := &perCPUHash{}
	return m, m.alloc(spec, NumCPU())
}

func (m *hash) alloc(spec *Spec, cpus int) error {
	m.init(spec)
	m.cpus = cpus
	m.seeds = newSeeds(spec.Flags)
	if spec.KeySize == 4 || spec.KeySize == 8 {
		m.kind = keyWord
	}
	m.words = optimistic && spec.KeySize == 8 && spec.ValueSize == 8 && cpus == 1 && m.value.special == nil
	entry := uint64(roundUp8(int(spec.KeySize)) + roundUp8(m.value.size)*cpus)
	if spec.Flags&NoPrealloc == 0 {
		if err := checkMemory(spec, uint64(spec.MaxEntries), entry+16); err != nil {
			return err
		}
	}
	segs := segmentsFor(spec)
	spare := min(max(spareBytes/entry, 64), 1<<20) + uint64(segs)*spareBatch
	limit := min(uint64(spec.MaxEntries)+spare, memoryLimit()/entry, 1<<32-1)
	m.dir = newDirectory(&m.seeds, int(spec.KeySize), segs)
	m.pool.init(int(spec.KeySize), m.value.size, cpus, spec.MaxEntries, uint32(limit))
	m.pool.dir = m.dir
	m.proto = mem.Slab{
		Size:      spec.ValueSize,
		ReadOnly:  spec.Flags&ReadOnlyProg != 0,
		WriteOnly: spec.Flags&WriteOnlyProg != 0,
		Special:   m.value.special,
	}
	m.segAt = 64 - bits.TrailingZeros(uint(segs))
	m.segs = make([]segment, segs)
	m.blocks.init(segs)
	for i := range m.segs {
		m.setTable(i, m.blocks.table(i, 1, 0))
	}
	return nil
}

// segmentsFor returns how many segments a hash with this description has.
func segmentsFor(spec *Spec) int {
	segs := 1
	for segs < maxSegments && segs*512 < int(min(spec.MaxEntries, maxBytes)) {
		segs *= 2
	}
	return segs
}

func (m *hash) Slabs() []mem.Slab { return *m.pool.slabs.Load() }

// Bytes counts the entries' memory and the tables.
func (m *hash) Bytes() int64 {
	n := m.pool.bytes.Load()
	for i := range m.segs {
		n += int64(len(m.segs[i].table.Load().buckets)) * bucketSize
	}
	return n + m.blocks.rest()
}

// hashOf returns the hash of key, which has KeySize bytes.
func (m *hash) hashOf(key []byte) uint64 {
	if m.kind != keyBytes {
		return m.seeds.word(wordOf(key))
	}
	return m.seeds.bytes(key)
}

// wordOf returns a key of 4 or 8 bytes as the word that holds it in the pool,
// followed by zeros.
func wordOf(key []byte) uint64 {
	if len(key) == 8 {
		return binary.NativeEndian.Uint64(key)
	}
	w := uint64(binary.NativeEndian.Uint32(key))
	if bigEndian {
		w <<= 32
	}
	return w
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// segmentOf returns the number of the segment of keys with hash h. With a home it is
// the upper bits of their lines' numbers, without one the upper bits of h.
func (m *hash) segmentOf(h uint64) int { return int(h >> (m.segAt & 63) & uint64(len(m.segs)-1)) }

func (m *hash) segment(h uint64) *segment { return &m.segs[m.segmentOf(h)] }

// has reports whether entry i has the given key.
func (m *hash) has(i uint32, key []byte) bool {
	if m.kind != keyBytes {
		return m.pool.keyWord(i) == wordOf(key)
	}
	return string(m.pool.key(i, len(key))) == string(key)
}

// match returns a slot of bucket w that has the given tag, or any if none has.
// Which slot it is decides no branch: the processor would guess wrong for the
// keys that are not where they prefer to be, and wait for w before it begins
// with the next lookup.
func match(w *[slots + 1]uint64, tag uint32) (slot int) {
	if uint32(atomic.LoadUint64(&w[1])>>32) == tag {
		slot = 1
	}
	if uint32(atomic.LoadUint64(&w[2])>>32) == tag {
		slot = 2
	}
	if uint32(atomic.LoadUint64(&w[3])>>32) == tag {
		slot = 3
	}
	if uint32(atomic.LoadUint64(&w[4])>>32) == tag {
		slot = 4
	}
	if uint32(atomic.LoadUint64(&w[5])>>32) == tag {
		slot = 5
	}
	if uint32(atomic.LoadUint64(&w[6])>>32) == tag {
		slot = 6
	}
	return slot
}

// find returns the entry with the given key, whose hash is h, in t. The caller
// has a lease or a pin, or the segment's lock.
func (m *hash) find(t *table, key []byte, h uint64) (entry uint32, ok bool) {
	if o := m.home.Load(); o != nil {
		if entry, ok = o.find(wordOf(key), h); ok {
			return entry, true
		}
	}
	tag := tagOf(h)
	w := t.bucket(t.home(tag))
	s := atomic.LoadUint64(&w[match(w, tag)&7])
	if uint32(s>>32) == tag && m.has(uint32(s), key) {
		return uint32(s), true
	}
	return m.search(t, key, tag)
}

// search is find for keys that share their tag, or their home with too many.
func (m *hash) search(t *table, key []byte, tag uint32) (entry uint32, ok bool) {
	b := t.home(tag)
	for range t.mask + 1 {
		w := t.bucket(b)
		for i := range slots {
			s := atomic.LoadUint64(&w[i])
			if uint32(s>>32) == tag && m.has(uint32(s), key) {
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

func (m *hash) LookupElem(cpu int, key []byte) []byte {
	if m.cpus == 1 {
		cpu = 0
	}
	if len(key) != int(m.spec.KeySize) || uint(cpu) >= uint(m.cpus) {
		return nil
	}
	h := m.hashOf(key)
	t := m.segment(h).table.Load()
	var i uint32
	var ok bool
	if m.clock == nil {
		i, ok = m.find(t, key, h)
	} else {
		i, ok = m.findUsed(t, key, h)
	}
	if !ok {
		return nil
	}
	return m.pool.value(i, cpu, m.value.size)
}

func (m *hash) Lookup(key, value []byte) error {
	if len(key) == 8 && len(value) == 8 {
		k, v := (*[8]byte)(key), (*[8]byte)(value) // less to keep than slices are
		if o := m.fast.Load(); o != nil {
			key := binary.NativeEndian.Uint64(k[:])
			w, left, h := o.lineOf(key)
			if e := entryIn(w, h, key); e != nil {
				if value := e[1]; atomic.LoadUint64(&w[1]) == left {
					binary.NativeEndian.PutUint64(v[:], value)
					return nil
				}
			}
		}
		return m.lookupWord(k, v)
	}
	return m.lookup(key, value, Any)
}

// lookupWord is Lookup of what is not at home, where keys or values may be words.
func (m *hash) lookupWord(key, value *[8]byte) error {
	if w, ok := m.lookupTable(binary.NativeEndian.Uint64(key[:])); ok {
		binary.NativeEndian.PutUint64(value[:], w)
		return nil
	}
	return m.lookup(key[:], value[:], Any)
}

// lookupTable returns the value for key, if keys and values are words and Go code
// may read them. ok is false if the key is not in the table, or not in its bucket
// there, or not for sure.
func (m *hash) lookupTable(key uint64) (value uint64, ok bool) {
	if !m.words || m.denied.Load()&(denyRead|denyClosed) != 0 {
		return 0, false
	}
	h := m.seeds.word(key)
	s := m.segment(h)
	reused := atomic.LoadUint64(&s.reused)
	if o := m.home.Load(); o != nil {
		if _, ok := o.find(key, h); ok { // now, or it came while value looked
			return 0, false
		}
	}
	t := s.table.Load()
	tag := tagOf(h)
	w := t.bucket(t.home(tag))
	word := atomic.LoadUint64(&w[match(w, tag)&7])
	if uint32(word>>32) != tag {
		return 0, false
	}
	e := m.pool.entryWords(uint32(word))
	value = e[1]
	return value, e[0] == key && atomic.LoadUint64(&s.reused) == reused
}

func (m *hash) lookup(key, value []byte, flags UpdateFlags) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.hostSize()); err != nil {
		return err
	}
	h := m.hashOf(key)
	s := m.segment(h)
	if optimistic && flags == Any {
		// Without a pin, as long as no entry of the segment holds another key
		// than before: then all that was read is as with a pin.
		reused := atomic.LoadUint64(&s.reused)
		i, ok := m.find(s.table.Load(), key, h)
		if ok {
			m.copyOut(value, i, Any)
		}
		if atomic.LoadUint64(&s.reused) == reused {
			if !ok {
				return errno.ENOENT
			}
			return nil
		}
	}
	return m.lookupPinned(s, h, key, value, flags)
}

func (m *hash) lookupPinned(s *segment, h uint64, key, value []byte, flags UpdateFlags) error {
	pin := vcpu.NewPin()
	defer pin.Unpin()
	i, ok := m.find(s.table.Load(), key, h)
	if !ok {
		return errno.ENOENT
	}
	m.copyOut(value, i, flags)
	return nil
}

// entryAt is EntryAt.
func (m *hash) entryAt(addr uint64) (key, value []byte, ok bool) {
	i, ok := m.pool.at(addr)
	if !ok || m.cpus != 1 {
		return nil, nil, false
	}
	return m.pool.key(i, int(m.spec.KeySize)), m.pool.value(i, 0, m.value.size), true
}

// hostSize returns the length of values as Go code passes them.
func (m *hash) hostSize() int {
	if m.cpus == 1 {
		return m.value.size
	}
	return roundUp8(m.value.size) * m.cpus
}

// copyOut copies the value of entry i as Go code sees it.
func (m *hash) copyOut(value []byte, i uint32, flags UpdateFlags) {
	if m.cpus == 1 {
		m.value.load(value, m.pool.value(i, 0, m.value.size), flags)
		return
	}
	n := roundUp8(m.value.size)
	for cpu := range m.cpus {
		mem.CopyShared(value[cpu*n:][:n], m.pool.value(i, cpu, n))
	}
}
