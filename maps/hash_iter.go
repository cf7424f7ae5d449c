package maps

import (
	"bytes"
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
	for at := uint64(tag); at < 1<<32; {
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
				i, r := uint32(word), uint32(word>>32)
				if r < tag || r == tag && key != nil && m.compare(i, key) <= 0 {
					continue
				}
				if !ok || r < entryTag || r == entryTag && m.compare(i, m.pool.key(entry, int(m.spec.KeySize))) < 0 {
					entry, entryTag, ok = i, r, true
				}
			}
			if passed(w) == 0 {
				break
			}
			b = (b + 1) & t.mask
		}
		if ok {
			return entry, entryTag, true
		}
		at = uint64(home+1) << t.shift
	}
	return 0, 0, false
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
