package maps

import (
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/internal/vcpu"
)

// inners numbers the maps that lie in maps of maps, in this process: values of
// such maps are these numbers, as in the kernel they are the numbers of inner
// maps. 0 is none.
//
// Readers take no lock: place n of the table holds map n, and is empty or used
// again only when every run that could have read n has ended (package vcpu).
var inners innerTable

type innerTable struct {
	table atomic.Pointer[[]atomic.Pointer[Map]] // never shrinks; replaced when it grows

	mu   sync.Mutex
	ids  map[Map]uint32
	refs []int // how many values each number is
	free []uint32
	old  []retiredID // in the order of their tags
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
	if m := (*p)[id].Load(); m != nil {
		return *m
	}
	return nil
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
		grown := make([]atomic.Pointer[Map], max(64, 2*id))
		if p != nil {
			for i := range *p {
				grown[i].Store((*p)[i].Load())
			}
		}
		p = &grown
		t.table.Store(p)
	}
	(*p)[id].Store(&m)
	t.ids[m] = id
	return id
}

// release undoes one acquire of id, once the value that was id is gone.
func (t *innerTable) release(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs[id]--; t.refs[id] == 0 {
		delete(t.ids, *(*t.table.Load())[id].Load())
		t.old = append(t.old, retiredID{vcpu.Retired(), id})
	}
	t.reclaim()
}

// reclaim frees the numbers that no run can know any more.
func (t *innerTable) reclaim() {
	n := 0
	for n < len(t.old) && vcpu.Passed(t.old[n].tag) {
		id := t.old[n].id
		(*t.table.Load())[id].Store(nil)
		t.free = append(t.free, id)
		n++
	}
	t.old = append(t.old[:0], t.old[n:]...)
}
