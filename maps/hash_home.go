package maps

import (
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// A home is where a large hash whose keys and values are words keeps most of its
// entries: in the line of 64 bytes that the key's hash says, so that a lookup
// misses the cache once, and needs no table to know where.
//
//	line     word 0: state; word 1: version; then three times a key and a value
//	state    bits 0 to 2: the places with an entry; the rest: when the last place
//	         was left, as vcpu.Retired says
//
// An entry in a home is an entry as any other: it has a number, which a slot of
// its segment's table has, too, so that walks, and those who write, need to know
// tables alone. A line is like four entries, of which the first holds the state.
// Keys that come while their line is full have entries elsewhere.
//
// Who looks for a key looks at its line first, then in the table. What a line says
// of a key, the table says at that moment, too: a state tells of an entry after the
// table does, and of none before the table changes. So whatever it was that a lookup
// read last, it is what the table said then, and no lookup sees an older entry than
// one before it. An update that took less care, and let a line tell of the old entry
// while the table has the new one, would show the new one to a lookup that came to
// the line before the old one did, and then the old one to the next lookup.
//
// The version is raised before a place gets another key, for those who read
// optimistically.
//
// A place is used again when the reclamation rule allows it for all places of the
// line, which is known without a list of them.
type home struct {
	first uint32 // number of the entry that the first line's state takes the place of
	lines [][8]uint64
	count uint64     // of lines
	line  *[8]uint64 // the first
	seeds seeds      // of the map
}

const (
	linePlaces = 3
	lineUnits  = linePlaces + 1    // entries' numbers in a line
	lineLive   = 1<<linePlaces - 1 // in a state
	lineSize   = lineUnits * 16    // bytes
	homeMin    = 1 << 15           // maps of fewer entries have no home: they are in the cache
	homeShare  = 100               // part of the entries that is there before the home
)

// homeLines returns how many lines the home of a hash with this description has,
// 0 if it has none: as many as entries. With that, one key in forty finds its line
// full, and one in eight where keys are replaced all the time, which takes a place
// more for a while.
func homeLines(s *Spec, segs int) uint32 {
	switch {
	case s.Flags&NoPrealloc != 0, s.KeySize != 4 && s.KeySize != 8, s.ValueSize > 8,
		s.MaxEntries < homeMin, s.MaxEntries > 1<<29, len(SpecialOf(s)) > 0:
		return 0
	}
	return (s.MaxEntries + uint32(segs)) &^ uint32(segs-1)
}

// at returns the line of a key with hash h. The lines of a segment's keys lie one
// after the other, and are nobody else's.
func (o *home) at(h uint64) uint64 {
	n, _ := bits.Mul64(h, o.count)
	return n
}

// find returns the entry of a key with hash h, if it is in its line. The caller
// has a lease or a pin, or the segment's lock.
func (o *home) find(key, h uint64) (entry uint32, ok bool) {
	n := o.at(h)
	w := &o.lines[n]
	live := atomic.LoadUint64(&w[0])
	for i := range uint32(linePlaces) {
		if live>>i&1 != 0 && w[2*i+2] == key {
			return o.first + uint32(n)*lineUnits + i + 1, true
		}
	}
	return 0, false
}

// value returns the value for key, if it is in its line for sure. Nobody has to keep
// the place from being used again meanwhile: the version says whether it was.
//
// Lookups wait for the cache, and as many of them at a time as fit into the
// processor's window, so instructions count here, and no branch depends on the place
// that the key is in.
func (o *home) value(key uint64) (value uint64, ok bool) {
	n, _ := bits.Mul64(o.seeds.word(key), o.count)
	w := mem.LineAt(o.line, n)
	version := atomic.LoadUint64(&w[1])
	live := atomic.LoadUint64(&w[0])
	at := (one(w[2] == key) | one(w[4] == key)<<1 | one(w[6] == key)<<2) & live
	value = w[(at&^1+3)&7]
	return value, at != 0 && atomic.LoadUint64(&w[1]) == version
}

// one returns 1 for true.
func one(b bool) (n uint64) {
	if b {
		n = 1
	}
	return n
}

// free returns an entry that nobody can reach, for a key with hash h, if its line
// has one. The caller has the lock of s, and will write the entry.
func (o *home) free(s *segment, h uint64) (entry uint32, ok bool) {
	n := o.at(h)
	state := o.lines[n][0]
	free := ^state & lineLive
	if free == 0 {
		return 0, false
	}
	if left := state >> linePlaces; !vcpu.KnownPassed(left) {
		if s.spare.wait > 0 {
			s.spare.wait--
			return 0, false
		}
		if !vcpu.Passed(left) {
			s.spare.wait = spareBatch // a run that goes on holds it, and others
			return 0, false
		}
	}
	if optimistic {
		mem.Publish(&s.reused, s.reused+1)
		mem.Publish(&o.lines[n][1], o.lines[n][1]+1)
	}
	return o.first + uint32(n)*lineUnits + uint32(bits.TrailingZeros64(free)) + 1, true
}

// place returns the line that entry is in, and its bit in the state. bit is 0 if
// it is in none. o may be nil.
func (o *home) place(entry uint32) (w *[8]uint64, bit uint64) {
	if o == nil || entry < o.first {
		return nil, 0
	}
	n := entry - o.first
	return &o.lines[n/lineUnits], 1 << (n%lineUnits - 1)
}

// show has the line of entry tell of it, if it is in one. The table does already;
// the caller has the segment's lock.
func (o *home) show(entry uint32) {
	if w, bit := o.place(entry); bit != 0 {
		mem.Publish(&w[0], w[0]|bit)
	}
}

// hide has the line of entry tell of it no more, if it is in one. The table will
// change next; the caller has the segment's lock.
func (o *home) hide(entry uint32) {
	if w, bit := o.place(entry); bit != 0 {
		mem.Publish(&w[0], w[0]&^bit)
	}
}

// retire takes an entry that neither its line nor the table tells of any more. The
// caller has the lock of s.
func (o *home) retire(s *segment, entry uint32) {
	if w, bit := o.place(entry); bit != 0 {
		mem.Publish(&w[0], w[0]&lineLive|vcpu.Retired()<<linePlaces)
		return
	}
	s.spare.retire(entry)
}

// settle makes the home, if the map has one, when so many keys came that it is
// worth it. The caller has a segment's lock.
func (m *hash) settle() {
	if m.lines == 0 || m.home.Load() != nil || m.count.Load() < int64(m.spec.MaxEntries/homeShare) {
		return
	}
	m.settling.Lock()
	defer m.settling.Unlock()
	if m.home.Load() != nil {
		return
	}
	first, c := m.pool.settle(m.lines*lineUnits, &m.proto)
	lines := mem.Lines(c.words)
	m.dir.setHome(mem.Addr(c.bytes), uint64(len(lines)))
	o := &home{first: first, lines: lines, count: uint64(len(lines)), line: &lines[0], seeds: m.seeds}
	m.home.Store(o)
	if m.words && m.denied.Load()&(denyRead|denyClosed) == 0 {
		m.fast.Store(o)
		if m.denied.Load()&denyClosed != 0 { // meanwhile
			m.fast.Store(nil)
		}
	}
}

// Close is Close of any map.
func (m *hash) Close() error {
	err := m.core.Close()
	m.fast.Store(nil)
	return err
}
