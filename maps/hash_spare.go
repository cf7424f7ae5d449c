package maps

import (
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// spareBatch is how many new entries a segment takes from the pool at a time,
// and how many used ones it lets gather before it asks whether they are free:
// asking looks at every CPU.
const spareBatch = 16

// spares are the entries of a segment that hold no key: new ones, and used
// ones that a run may still reach. All methods need the segment's lock.
type spares struct {
	fresh, end uint32 // new: fresh ≤ entry < end
	used       fifo
	patience   int32 // used ones to gather before the next question
	wait       int32 // how often not to ask for a place in the home that was left lately
}

// A fifo holds retired entries, oldest first.
type fifo struct {
	head  int
	items []retired
}

type retired struct {
	tag   uint64 // free when it has passed
	entry uint32
}

// take returns an entry that nobody can reach. ok is false if there is none.
func (s *spares) take(p *pool, proto *mem.Slab) (entry uint32, ok bool) {
	if n := s.used.len(); n >= max(int(s.patience), spareBatch) {
		if entry, ok = s.used.pop(); ok {
			s.patience = 0
			return entry, true
		}
		s.patience = int32(n) + spareBatch // a run that goes on holds them
	}
	if s.fresh == s.end {
		first, got := p.take(spareBatch, proto)
		if got == 0 {
			return s.used.pop()
		}
		s.fresh, s.end = first, first+got
	}
	s.fresh++
	return s.fresh - 1, true
}

// retire takes an entry that was just unlinked.
func (s *spares) retire(entry uint32) { s.used.push(retired{vcpu.Retired(), entry}) }

// give takes an entry that nobody can reach.
func (s *spares) give(entry uint32) { s.used.unshift(retired{0, entry}) }

func (f *fifo) len() int { return len(f.items) - f.head }

func (f *fifo) push(r retired) {
	if f.head > 32 && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, r)
}

func (f *fifo) unshift(r retired) {
	if f.head > 0 {
		f.head--
		f.items[f.head] = r
		return
	}
	f.items = append([]retired{r}, f.items...)
}

// pop removes the oldest entry if nobody can reach it any more.
func (f *fifo) pop() (entry uint32, ok bool) {
	if f.len() == 0 || !vcpu.Passed(f.items[f.head].tag) {
		return 0, false
	}
	f.head++
	return f.items[f.head-1].entry, true
}
