package verifier

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/state"
)

// classes.go sorts the states that meet at a node into classes, within which
// they are joined.

// bucketOf returns the class of s at n.
func (sv *solver) bucketOf(n *node, s *state.State) *bucket {
	key := s.Key(&n.mask, sv.decided(n, s))
	if len(n.order) <= fewBuckets {
		for _, b := range n.order {
			if b.key == key {
				return b
			}
		}
	} else if b := n.bucket[key]; b != nil {
		return b
	}
	b := &bucket{key: key}
	n.order = append(n.order, b)
	switch {
	case len(n.order) == fewBuckets+1:
		n.bucket = map[uint64]*bucket{}
		for _, b := range n.order {
			n.bucket[b.key] = b
		}
	case n.bucket != nil:
		n.bucket[key] = b
	}
	return b
}

// fewBuckets are searched one by one.
const fewBuckets = 8

// decided tells states apart by what they say of the branch at the end of n's
// block, if it compares two registers that the block does not change: states
// that have already decided it are not joined with those that will go the
// other way.
func (sv *solver) decided(n *node, s *state.State) uint64 {
	b := &sv.g.blocks[n.block]
	if b.compares < 0 {
		return 0
	}
	in := sv.p.Insns[b.compares]
	x, y := s.Reg(uint8(in.Dst)), s.Reg(uint8(in.Src))
	if x.Kind != state.Scalar || y.Kind != state.Scalar {
		return 0
	}
	is32, ways := in.Op.Class() == isa.JMP32, uint64(0)
	if s.Possible(in.Op.JmpOp(), is32, true, x, y) {
		ways |= 1
	}
	if s.Possible(in.Op.JmpOp(), is32, false, x, y) {
		ways |= 2
	}
	return ways
}

// coarsen drops the places with the most constants from what keeps classes of
// n apart, while one has more than values and there are more than keys
// classes, and sorts the states of n into the classes that remain.
func (sv *solver) coarsen(n *node, values, keys int) {
	var states []*state.State
	for _, b := range n.order {
		for _, e := range b.done {
			states = append(states, e.s)
		}
		if b.wait != nil {
			states = append(states, b.wait.s)
		}
	}
	sv.rough = true
	distinct := map[uint64]bool{}
	n.mask.Frames = slices.Clone(n.mask.Frames)
	for {
		place, most := state.Busiest(states, &n.mask)
		if most <= values {
			break
		}
		n.mask.Drop(place)
		clear(distinct)
		for _, s := range states {
			distinct[s.Key(&n.mask, sv.decided(n, s))] = true
		}
		if len(distinct) <= keys {
			break
		}
	}
	old := n.order
	n.bucket, n.order = nil, nil
	for _, b := range old {
		for _, e := range b.done {
			to := sv.bucketOf(n, e.s)
			to.done = append(to.done, e)
		}
	}
	todo := n.todo[n.next:]
	n.todo, n.next = nil, 0
	for _, p := range todo {
		to := sv.bucketOf(n, p.s)
		if to.wait != nil && p.s.Same(to.wait.s) {
			to.wait.s = replace(to.wait.s, p.s)
			to.wait.from = append(to.wait.from, p.from...)
			sv.drop(p.bytes)
			sv.recount(to.wait)
			sv.idle = append(sv.idle, p)
			continue
		}
		p.b, to.wait = to, p
		n.todo = append(n.todo, p)
	}
}

// crowded reports whether n has more classes than it should.
func (sv *solver) crowded(n *node) bool {
	if len(n.order) <= n.limit || !sv.patient {
		return len(n.order) > n.limit
	}
	sv.forget(n)
	n.limit = max(n.limit, min(patientKeys, 2*len(n.order)))
	return len(n.order) > n.limit
}

// forget drops the older half of n's classes in which nothing waits: a loop whose
// counter is a constant passes through many classes, and comes back to none.
func (sv *solver) forget(n *node) {
	old := n.order
	n.bucket, n.order = nil, make([]*bucket, 0, len(old))
	for i, b := range old {
		if b.wait == nil && i < len(old)/2 {
			for _, e := range b.done {
				e.s.Free()
				sv.drop(e.bytes)
			}
			continue
		}
		n.order = append(n.order, b)
	}
	if len(n.order) <= fewBuckets {
		return
	}
	n.bucket = map[uint64]*bucket{}
	for _, b := range n.order {
		n.bucket[b.key] = b
	}
}
