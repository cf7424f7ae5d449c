package maps

import (
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// inners numbers the maps that lie in maps of maps, in this process: values of
// such maps are these numbers, as in the kernel they are the numbers of inner
// maps. 0 is none.
//
// Readers take no lock: place n of the table holds map n, and is empty or used
// again only when every run that could have read n has ended (package vcpu). A place
// has a handle, by which machine code goes.
var inners innerTable

type innerTable struct {
	table atomic.Pointer[[]*innerPlace] // never shrinks; replaced when it grows

	mu   sync.Mutex
	ids  map[Map]uint32
	refs []int // how many values each number is
	free []uint32
	old  []retiredID // in the order of their tags
}

// An innerPlace is a place of the table.
type innerPlace struct {
	inner  atomic.Pointer[Map]
	handle uint64   // the address of words
	words  []uint64 // the map's Layout.Base, if it has a layout; the place's number
}

func newInnerPlace(id uint32) *innerPlace {
	words, bytes := mem.Alloc(2)
	mem.StoreRelease(bytes[8:], uint64(id)) // readers may have the handle from machine code
	return &innerPlace{words: words, handle: mem.Addr(bytes)}
}

// FromHandle returns the map that machine code found as handle in a map of maps. The
// caller vouches for it, and has a lease since before code found it.
func FromHandle(handle uint64) Map { return inners.load(numberOf(handle)) }

// numberOf returns the number of the map with this handle.
func numberOf(handle uint64) uint32 {
	if handle == 0 {
		return 0
	}
	return uint32(mem.LoadAcquire(mem.At(handle, 16)[8:]))
}

// A retiredID is a number that no value is any more.
type retiredID struct {
	tag uint64
	id  uint32
}

// load returns map id, or nil. The caller has a lease or a pin since before it
// read id.
func (t *innerTable) load(id uint32) Map {
	p := t.table.Load()
	if p == nil || id >= uint32(len(*p)) {
		return nil
	}
	if m := (*p)[id].inner.Load(); m != nil {
		return *m
	}
	return nil
}

// handle returns the handle of map id, 0 if id is, under the same conditions.
func (t *innerTable) handle(id uint32) uint64 {
	if id == 0 {
		return 0
	}
	return (*t.table.Load())[id].handle
}

// acquire returns the number of m, which one value more is now.
func (t *innerTable) acquire(m Map) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, ok := t.ids[m]
	if !ok {
		id = t.number(m)
	}
	t.refs[id]++
	return id
}

// number gives m a number.
func (t *innerTable) number(m Map) uint32 {
	t.reclaim()
	if t.ids == nil {
		t.ids = map[Map]uint32{}
		t.refs = []int{0}
	}
	id := uint32(len(t.refs))
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.refs = append(t.refs, 0)
	}
	p := t.table.Load()
	if p == nil || id >= uint32(len(*p)) {
		grown := make([]*innerPlace, max(64, 2*id))
		n := 0
		if p != nil {
			n = copy(grown, *p)
		}
		for i := n; i < len(grown); i++ {
			grown[i] = newInnerPlace(uint32(i))
		}
		p = &grown
		t.table.Store(p)
	}
	place := (*p)[id]
	place.words[0] = 0
	if l := LayoutOf(m); l != nil {
		place.words[0] = l.Base
	}
	place.inner.Store(&m)
	t.ids[m] = id
	return id
}

// release undoes one acquire of id, once the value that was id is gone.
func (t *innerTable) release(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs[id]--; t.refs[id] == 0 {
		delete(t.ids, t.load(id))
		t.old = append(t.old, retiredID{vcpu.Retired(), id})
	}
	t.reclaim()
}

// reclaim frees the numbers that no run can know any more.
func (t *innerTable) reclaim() {
	n := 0
	for n < len(t.old) && vcpu.Passed(t.old[n].tag) {
		id := t.old[n].id
		(*t.table.Load())[id].inner.Store(nil)
		t.free = append(t.free, id)
		n++
	}
	t.old = append(t.old[:0], t.old[n:]...)
}
