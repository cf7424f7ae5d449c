package maps

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A chained is a hash table from keys of one size to Go values, for maps whose
// entries stand for host objects. Readers take no lock. An entry that was
// replaced or removed stays as it was for those who found it; Go's collector
// takes it when they are done.
type chained[V any] struct {
	buckets []atomic.Pointer[link[V]]
	hash    func(key []byte) uint64
	max     uint32

	// gone says of an entry that it does not count any more, which can only be
	// if changed has changed. nil: none ever is.
	gone    func(v *V) bool
	changed *atomic.Uint64
	swept   uint64 // what it was when they were last removed

	mu    sync.Mutex // held to write
	count uint32
}

// A link is an entry. Only next changes.
type link[V any] struct {
	key   string
	word  uint32 // the key, if it has four bytes
	value *V
	next  atomic.Pointer[link[V]]
}

func (c *chained[V]) init(buckets, max uint32, hash func(key []byte) uint64) {
	c.buckets, c.max, c.hash = make([]atomic.Pointer[link[V]], buckets), max, hash
}

// bucket returns the head of the chain that key belongs to; there is a power of
// two of them.
func (c *chained[V]) bucket(key []byte) *atomic.Pointer[link[V]] {
	return &c.buckets[c.hash(key)&uint64(len(c.buckets)-1)]
}

// find returns the entry with the given key and what points to it.
func (c *chained[V]) find(key []byte) (at *atomic.Pointer[link[V]], l *link[V]) {
	at = c.bucket(key)
	for l = at.Load(); l != nil && l.key != string(key); l = at.Load() {
		at = &l.next
	}
	return at, l
}

// get returns the value for key, or nil.
func (c *chained[V]) get(key []byte) *V {
	if _, l := c.find(key); l != nil {
		return l.value
	}
	return nil
}

// getWord is get for keys of four bytes, of which word is one and hash its hash.
func (c *chained[V]) getWord(word uint32, hash uint64) *V {
	l := c.buckets[hash&uint64(len(c.buckets)-1)].Load()
	for ; l != nil; l = l.next.Load() {
		if l.word == word {
			return l.value
		}
	}
	return nil
}

// put stores v and returns the value that it replaces. E2BIG: the table is
// full. check is asked first, with that value, under the lock.
func (c *chained[V]) put(key []byte, v *V, check func(old *V) error) (old *V, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, l := c.find(key)
	if l != nil {
		old = l.value
	}
	if err := check(old); err != nil {
		return nil, err
	}
	if l == nil && c.count >= c.max && c.gone != nil && c.swept != c.changed.Load() {
		c.sweep()
		at, _ = c.find(key)
	}
	n := &link[V]{key: string(key), value: v}
	if len(key) == 4 {
		n.word = binary.NativeEndian.Uint32(key)
	}
	head := c.bucket(key)
	switch {
	case l == nil && c.count >= c.max:
		return nil, errno.E2BIG
	case l == nil:
		c.count++
		n.next.Store(head.Load())
	case at == head:
		n.next.Store(l.next.Load())
	default:
		n.next.Store(head.Load())
	}
	head.Store(n) // a new entry comes first, as in the kernel
	if l != nil && at != head {
		at.Store(l.next.Load()) // until here a walk meets both
	}
	return old, nil
}

// sweep removes the entries that are gone. The caller holds the lock.
func (c *chained[V]) sweep() {
	c.swept = c.changed.Load()
	for i := range c.buckets {
		at := &c.buckets[i]
		for l := at.Load(); l != nil; l = at.Load() {
			if c.gone(l.value) {
				at.Store(l.next.Load())
				c.count--
			} else {
				at = &l.next
			}
		}
	}
}

// remove removes key and returns its value, nil if there was none.
func (c *chained[V]) remove(key []byte) *V {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, l := c.find(key)
	if l == nil {
		return nil
	}
	at.Store(l.next.Load())
	c.count--
	return l.value
}

// next writes to next the key after key in the order of the buckets, the first
// if key is nil or not there.
func (c *chained[V]) next(key, next []byte) error {
	from := 0
	if key != nil {
		if _, l := c.find(key); l != nil {
			if l = l.next.Load(); l != nil {
				copy(next, l.key)
				return nil
			}
			from = int(c.hash(key)&uint64(len(c.buckets)-1)) + 1
		}
	}
	for ; from < len(c.buckets); from++ {
		if l := c.buckets[from].Load(); l != nil {
			copy(next, l.key)
			return nil
		}
	}
	return errno.ENOENT
}

// all calls f for every entry until it returns false.
func (c *chained[V]) all(f func(key string, v *V) bool) {
	for i := range c.buckets {
		for l := c.buckets[i].Load(); l != nil; l = l.next.Load() {
			if !f(l.key, l.value) {
				return
			}
		}
	}
}

// clear removes all entries, and calls f for each.
func (c *chained[V]) clear(f func(v *V)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.buckets {
		for l := c.buckets[i].Swap(nil); l != nil; l = l.next.Load() {
			f(l.value)
		}
	}
	c.count = 0
}
