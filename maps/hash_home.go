package maps

import (
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// A home is where a large hash whose keys and values are words keeps most of its
// entries: in or near the line of 64 bytes that the key's hash says, so that a lookup
// mostly misses the cache once, and needs no table to know where.
//
//	line     word 0: index; word 1: left; then three times a key and a value
//	index    bits 0 to 3: turn; from bit 8 on, fourteen times 4 bits: where a key is,
//	         or 0
//	where    bits 0 and 1: the place in a line, from 1; bits 2 and 3: how many lines on
//	left     bits 0 to 2: the places in use; bits 3 to 7: a count; the rest: when an
//	         entry last left, as vcpu.Retired says
//
// The index of a line is about the keys whose hash says that line. A key's part of it
// is where the hash says, shifted by turn. So there is one place that a key can be in,
// no branch depends on which, and a key whose line was full costs a load more and no
// branch that the processor guesses wrong. Where two keys would share a part, turn
// becomes another.
//
// An entry in a home is an entry as any other: it has a number, which a slot of
// its segment's table has, too, so that walks, and those who write, need to know
// tables alone. A line is like four entries, of which the first holds index and left.
// Keys that come while their line and those behind it are full have entries elsewhere.
//
// Who looks for a key looks at its line first, then in the table. What an index says
// of a key, the table says at that moment, too: an index tells of an entry after the
// table does, and of none before the table changes. So whatever it was that a lookup
// read last, it is what the table said then, and no lookup sees an older entry than
// one before it. An update that took less care, and let a line tell of the old entry
// while the table has the new one, would show the new one to a lookup that came to
// the line before the old one did, and then the old one to the next lookup.
//
// Those who read optimistically compare left before and after: every entry that the
// index of a line told of, and tells of no more, changes left before its place gets
// another key. No two of these changes leave the same number: between two at the same
// time no place is used again, so there are fewer than the count can tell apart.
//
// A place is used again when the reclamation rule allows it for all that left the
// line, which is known without a list of them.
type home struct {
	mask  uint64     // of where a line begins: bytes behind the first
	seeds seeds      // of the map
	line  *[8]uint64 // the first
	lines [][8]uint64
	first uint32 // number of the entry that the first line's index takes the place of
	last  uint64 // number of a segment's last line, counted from its first
}

const (
	linePlaces = 3
	lineUnits  = linePlaces + 1    // entries' numbers in a line
	lineLive   = 1<<linePlaces - 1 // in left
	lineSize   = lineUnits * 16    // bytes
	homeMin    = 1 << 15           // maps of fewer entries have no home: they are in the cache
	homeMax    = 1 << 28           // lines: as many as there are numbers for
	homeShare  = 100               // part of the entries that is there before the home

	// HomeShift is how many bits of a hash are below those that say where its line
	// begins.
	HomeShift = 20
	lineShift = HomeShift + 6 // below those that are the line's number

	turns      = 16      // what turn can be
	partMask   = 15 << 2 // of a hash, shifted by turn: which part of an index, times 4
	partFirst  = 1 << 2
	partLast   = 14 << 2
	placeMask  = 15 << 4 // of an index, shifted by that: bytes from the line to the entry
	lineReach  = 4       // lines that a key can be in
	leftCount  = 1 << linePlaces
	leftShift  = 8
	countsMask = 1<<leftShift - leftCount
)

// homeLines returns how many lines the home of a hash with this description has,
// 0 if it has none: a power of two, two to four for each three entries. With the
// fewest, one key in a hundred finds its line and those behind it full; with as many
// as entries, one in twenty thousand.
func homeLines(s *Spec, segs int) uint32 {
	switch {
	case s.Flags&NoPrealloc != 0, s.KeySize != 4 && s.KeySize != 8, s.ValueSize > 8,
		s.MaxEntries < homeMin, s.MaxEntries > homeMax, len(SpecialOf(s)) > 0:
		return 0
	}
	n := uint32(1) << (bits.Len32(s.MaxEntries) - 1)
	if s.MaxEntries > n+n/2 {
		n *= 2
	}
	return n
}

// at returns where the line of a key with hash h begins, in bytes behind the first.
// The lines of a segment's keys lie one after the other, and are nobody else's.
func (o *home) at(h uint64) uint64 { return h >> HomeShift & o.mask }

// partOf returns how far to shift the index of a line for the part of a key with hash h.
// A processor shifts by the lowest six bits, of which those behind turn are zeros.
func partOf(index, h uint64) uint64 { return h >> (index & 63) & partMask }

// whereOf returns how many bytes behind its line the entry of a key with hash h begins,
// as the index of the line says; 0: nowhere. That it is 0 for keys without a part follows
// from bits 4 to 7 of the index, and what is shifted in from above.
func whereOf(index, h uint64) uint64 { return index >> partOf(index, h) & placeMask }

// find returns the entry of a key with hash h, if it is at home. The caller has a
// lease or a pin, or the segment's lock.
func (o *home) find(key, h uint64) (entry uint32, ok bool) {
	n := o.at(h)
	w := mem.LineAt(o.line, n)
	where := whereOf(atomic.LoadUint64(&w[0]), h)
	if where == 0 || mem.PairAt(w, where)[0] != key {
		return 0, false
	}
	return o.first + uint32((n+where)/(lineSize/lineUnits)), true
}

// lineOf returns the line of key, with what left is there, and the hash of key: how a
// lookup begins that is optimistic. Nobody has to keep entries from being used again
// meanwhile: if left is the same afterwards, none was that entryIn found.
//
// Lookups wait for the cache, and as many of them at a time as the processor has
// registers for, so every instruction counts here that computes or loads something, and
// a call costs as much as the rest: the compiler inlines both.
func (o *home) lineOf(key uint64) (w *[8]uint64, left, h uint64) {
	h = o.seeds.word(key)
	w = mem.LineAt(o.line, o.at(h))
	return w, atomic.LoadUint64(&w[1]), h
}

// entryIn returns key and value of the entry of key, whose line is w and whose hash is
// h, or nil if it is not at home.
func entryIn(w *[8]uint64, h, key uint64) *[2]uint64 {
	where := whereOf(atomic.LoadUint64(&w[0]), h)
	if where == 0 {
		return nil
	}
	e := mem.PairAt(w, where)
	if e[0] != key {
		return nil
	}
	return e
}

// free returns an entry that nobody can reach, for a key with hash h, if there is one
// for it at home. The caller has the lock of s, and will write the entry.
func (o *home) free(s *segment, key, h uint64) (entry uint32, ok bool) {
	n := o.at(h) / lineSize
	if !o.admit(n, key, h) {
		return 0, false
	}
	waits := n // the line whose places were left first, of those that are not known to be free
	var since uint64
	for i := n; i < n+lineReach && i&^o.last == n&^o.last; i++ {
		left := o.lines[i][1]
		if left&lineLive == lineLive {
			continue
		}
		t := left >> leftShift
		if vcpu.KnownPassed(t) {
			return o.take(s, i), true
		}
		if since == 0 || t < since {
			waits, since = i, t
		}
	}
	switch {
	case since == 0:
		return 0, false
	case s.spare.wait > 0:
		s.spare.wait--
		return 0, false
	case !vcpu.Passed(since):
		s.spare.wait = spareBatch // a run that goes on holds it, and others
		return 0, false
	}
	return o.take(s, waits), true
}

// take returns a free entry of line n, which has one.
func (o *home) take(s *segment, n uint64) (entry uint32) {
	if optimistic {
		mem.Publish(&s.reused, s.reused+1)
	}
	return o.first + uint32(n)*lineUnits + uint32(bits.TrailingZeros64(^o.lines[n][1])) + 1
}

// admit sees to it that the index of line n has a part for key, whose hash is h, and
// reports whether it could.
func (o *home) admit(n, key, h uint64) bool {
	w := &o.lines[n]
	if part := partOf(w[0], h); part >= partFirst && part <= partLast {
		if where := w[0] >> part & placeMask; where == 0 || mem.PairAt(w, where)[0] == key {
			return true
		}
	}
	var hashes, wheres [partLast/partFirst + 1]uint64 // of all keys of the line, the new one first
	hashes[0], wheres[0] = h, lineSize
	keys := 1
	for part := partFirst; part <= partLast; part += partFirst {
		if where := w[0] >> part & placeMask; where != 0 {
			hashes[keys], wheres[keys] = o.seeds.word(mem.PairAt(w, where)[0]), where
			keys++
		}
	}
	for turn := range uint64(turns) {
		if index, ok := indexOf(turn, hashes[:keys], wheres[:keys]); ok {
			mem.Publish(&w[0], index&^(placeMask<<partOf(turn, h)))
			return true
		}
	}
	return false
}

// indexOf returns the index that tells where keys with these hashes are, by turn. ok
// is false if two share a part, or one has none.
func indexOf(turn uint64, hashes, wheres []uint64) (index uint64, ok bool) {
	index = turn
	for i, h := range hashes {
		part := partOf(turn, h)
		if part < partFirst || part > partLast || index>>part&placeMask != 0 {
			return 0, false
		}
		index |= wheres[i] << part
	}
	return index, true
}

// place returns the number of the line that entry is in, and its bit in left. bit is
// 0 if it is in none. o may be nil.
func (o *home) place(entry uint32) (n, bit uint64) {
	if o == nil || entry < o.first {
		return 0, 0
	}
	at := uint64(entry - o.first)
	return at / lineUnits, 1 << (at%lineUnits - 1)
}

// show has the index of the line that hash h says tell of entry, if it is at home. The
// table does already; the caller has the segment's lock, and free said where.
func (o *home) show(entry uint32, h uint64) {
	n, bit := o.place(entry)
	if bit == 0 {
		return
	}
	mem.Publish(&o.lines[n][1], o.lines[n][1]|bit)
	at := o.at(h)
	w := mem.LineAt(o.line, at)
	mem.Publish(&w[0], w[0]|(uint64(entry-o.first)*(lineSize/lineUnits)-at)<<partOf(w[0], h))
}

// hide has the index tell of entry no more, if it is at home. The table will change
// next; the caller has the segment's lock.
func (o *home) hide(entry uint32, h uint64) {
	if _, bit := o.place(entry); bit != 0 {
		w := mem.LineAt(o.line, o.at(h))
		mem.Publish(&w[0], w[0]&^(placeMask<<partOf(w[0], h)))
	}
}

// retire takes the entry of a key with hash h, of which neither the index nor the
// table tells any more. The caller has the lock of s.
func (o *home) retire(s *segment, entry uint32, h uint64) {
	n, bit := o.place(entry)
	if bit == 0 {
		s.spare.retire(entry)
		return
	}
	now := vcpu.Retired()
	o.leave(n, bit, now)
	if line := o.at(h) / lineSize; line != n {
		o.leave(line, 0, now)
	}
}

// leave notes in line n that an entry left, which was in the place with the given bit,
// or, if that is 0, in another line.
func (o *home) leave(n, bit, now uint64) {
	left := o.lines[n][1]
	mem.Publish(&o.lines[n][1], now<<leftShift|(left+leftCount)&countsMask|left&lineLive&^bit)
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
	o := &home{first: first, lines: lines, line: &lines[0], seeds: m.seeds,
		mask: uint64(len(lines)-1) * lineSize, last: uint64(len(lines)/len(m.segs) - 1)}
	m.dir.setHome(mem.Addr(c.bytes), o.mask)
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
