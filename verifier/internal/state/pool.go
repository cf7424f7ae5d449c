package state

import "sync"

// A Pool recycles states and what their operations need in passing. Proofs make
// and drop millions of states; nearly all of their memory comes back here. A
// Pool belongs to one goroutine, and so do the states that come from it.
type Pool struct {
	// NoAddresses: what is left of a pointer whose object has ended is not to be
	// read, not even as a number.
	NoAddresses bool

	free  []*State
	cells [][]Cell // of freed states

	vals  []Val // swapped with those of a state that Canon renumbers
	objs  []Obj
	val   []ValID
	obj   []ObjID
	match []Reg
	known []bool
	todo  []bool
	queue []ValID
	pairs pairs
}

// get returns a state of which only the slices' capacities are meaningful.
func (p *Pool) get() *State {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	return &State{pool: p}
}

// pools are those of finished proofs: small ones are over before they have
// filled one.
var pools = sync.Pool{New: func() any { return &Pool{} }}

// NewPool returns a pool of which Close has not been called since.
func NewPool() *Pool { return pools.Get().(*Pool) }

// maxIdle is how many states a pool may hold that is used again.
const maxIdle = 1 << 10

// Close gives up p, of which no state may be used any more.
func (p *Pool) Close() {
	if len(p.free) <= maxIdle {
		p.pairs.s, p.pairs.t, p.NoAddresses = nil, nil, false
		pools.Put(p)
	}
}

// Free gives s back. Nothing may use it afterwards.
func (s *State) Free() {
	for i := range s.Frames {
		s.Frames[i].Stack.free(s.pool)
	}
	s.Trace = nil
	s.pool.free = append(s.pool.free, s)
}

// free gives the cells of m back.
func (m *Memory) free(p *Pool) {
	if cap(m.cells) > 0 {
		p.cells = append(p.cells, m.cells[:0])
	}
	m.cells = nil
}

// cellsFor returns an empty slice with room for n cells, more or less.
func (p *Pool) cellsFor(n int) []Cell {
	if last := len(p.cells) - 1; last >= 0 {
		c := p.cells[last]
		p.cells = p.cells[:last]
		return c
	}
	return make([]Cell, 0, n+4)
}

// cleared returns a slice of n zero elements, which replaces *buf.
func cleared[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n, 2*n)
	}
	*buf = (*buf)[:n]
	clear(*buf)
	return *buf
}
