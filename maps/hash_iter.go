package maps

import (
	"bytes"
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// The order of a hash map: segment by segment; in a segment by the tag; keys
// with the same tag by their bytes.
//
// A key's place in the order depends on nothing but the key and the seeds, so a
// walk sees every entry that is there throughout exactly once, whatever else
// comes and goes and however the tables grow, and can go on from a key that was
// deleted. And it is cheap: the homes in order of their numbers, which are the
// upper bits of the tags, hold the keys in order.

// A mark is a place in the order, after the entry with this tag and key, or
// before every entry of its segment if key is nil.
type mark struct {
	seg int
	tag uint32
	key []byte
}

// markAt returns the place after key, which need not be in the map.
func (m *hash) markAt(key []byte) mark {
	h := m.hashOf(key)
	return mark{seg: m.segmentOf(h), tag: tagOf(h), key: key}
}

// after returns the first entry after k, and the place after it. The caller has
// a lease or a pin.
func (m *hash) after(k mark) (entry uint32, next mark, ok bool) {
	for ; k.seg < len(m.segs); k = (mark{seg: k.seg + 1}) {
		if entry, tag, ok := m.afterIn(&m.segs[k.seg], k.tag, k.key); ok {
			return entry, mark{k.seg, tag, m.pool.key(entry, int(m.spec.KeySize))}, true
		}
	}
	return 0, mark{}, false
}

// afterIn returns the first entry of s after (tag, key), and its tag.
func (m *hash) afterIn(s *segment, tag uint32, key []byte) (entry, entryTag uint32, ok bool) {
	var room [2 * slots]placed
	for at := uint64(tag); at < 1<<32; {
		var found []placed
		if found, at = m.homeAfter(s, at, tag, key, room[:0]); len(found) > 0 {
			least := found[0]
			for _, p := range found[1:] {
				if m.order(p, least) < 0 {
					least = p
				}
			}
			return least.entry, least.tag, true
		}
	}
	return 0, 0, false
}

// A placed is an entry with its key's tag.
type placed struct{ tag, entry uint32 }

// homeAfter appends to found, in no order, the entries of s after (tag, key) whose home
// is that of tag at, and returns the least tag of the next home.
func (m *hash) homeAfter(s *segment, at uint64, tag uint32, key []byte, found []placed) (_ []placed, next uint64) {
	t := s.table.Load()
	home := t.home(uint32(at))
	b := home
	for range t.mask + 1 {
		w := t.bucket(b)
		for i := range slots {
			word := atomic.LoadUint64(&w[i])
			if word == 0 || t.home(uint32(word>>32)) != home {
				continue
			}
			p := placed{uint32(word >> 32), uint32(word)}
			if p.tag > tag || p.tag == tag && (key == nil || m.compare(p.entry, key) > 0) {
				found = append(found, p)
			}
		}
		if passed(w) == 0 {
			break
		}
		b = (b + 1) & t.mask
	}
	return found, uint64(home+1) << t.shift
}

// order compares the places of p and q in the map's order.
func (m *hash) order(p, q placed) int {
	if p.tag != q.tag {
		return cmp.Compare(p.tag, q.tag)
	}
	return m.compare(p.entry, m.pool.key(q.entry, int(m.spec.KeySize)))
}

// A follower gives a map's keys in the map's order: each that is there throughout
// once, and others or not. It looks at a home at a time.
type follower struct {
	m     *hash
	from  mark // keys after it were not looked at
	found []placed
	keys  []byte // of found
	given int    // bytes of keys that next returned
}

// follower returns one that begins after key, which need not be in the map; with the
// first if key is nil.
func (m *hash) follower(key []byte) *follower {
	f := &follower{m: m}
	if key != nil {
		f.from = m.markAt(bytes.Clone(key))
	}
	return f
}

// next returns the next key, which is valid until the next call. ok is false if there is
// none.
func (f *follower) next() (key []byte, ok bool) {
	if !f.more() {
		return nil, false
	}
	at := f.given
	f.given += int(f.m.spec.KeySize)
	return f.keys[at:f.given:f.given], true
}

// more reports whether there is a next key.
func (f *follower) more() bool {
	if f.given < len(f.keys) {
		return true
	}
	pin := vcpu.NewPin()
	defer pin.Unpin()
	m := f.m
	for ; f.from.seg < len(m.segs); f.from = (mark{seg: f.from.seg + 1}) {
		for at := uint64(f.from.tag); at < 1<<32; {
			f.found, at = m.homeAfter(&m.segs[f.from.seg], at, f.from.tag, f.from.key, f.found[:0])
			if len(f.found) == 0 {
				continue
			}
			slices.SortFunc(f.found, m.order)
			f.keys, f.given = f.keys[:0], 0
			for i, p := range f.found {
				if i == 0 || m.order(f.found[i-1], p) != 0 { // or it went and came again meanwhile
					f.keys = append(f.keys, m.pool.key(p.entry, int(m.spec.KeySize))...)
				}
			}
			if at < 1<<32 {
				f.from.tag, f.from.key = uint32(at), nil
			} else {
				f.from = mark{seg: f.from.seg + 1}
			}
			return true
		}
	}
	return false
}

func (m *hash) compare(entry uint32, key []byte) int {
	return bytes.Compare(m.pool.key(entry, len(key)), key)
}

func (m *hash) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	pin := vcpu.NewPin()
	defer pin.Unpin()
	var from mark
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
		h := m.hashOf(key)
		if _, ok := m.find(m.segment(h).table.Load(), key, h); ok {
			from = m.markAt(key)
		}
	}
	entry, _, ok := m.after(from)
	if !ok {
		return errno.ENOENT
	}
	copy(next, m.pool.key(entry, len(next)))
	return nil
}

// Range visits the entries in the map's order.
func (m *hash) Range(cpu int, f func(key, value []byte) bool) {
	if m.cpus == 1 {
		cpu = 0
	}
	entry, at, ok := m.after(mark{})
	for ok && f(at.key, m.pool.value(entry, cpu, m.value.size)) {
		entry, at, ok = m.after(at)
	}
}
