package verifier

import (
	"math"
	"slices"

	"github.com/skepvm/skep/internal/isa"
)

// terminate.go bounds the length of every run, on the graph of explored
// states. Each run of the program follows a path in that graph: where a state
// was dropped because another covers it, the path goes on from that one.
//
// Without a cycle the longest path is the worst case. In a cycle, the outermost
// loop head on it must have a bound: a place that always moves one way inside
// bounds (progress.go), or a construct that ends by contract. Cutting the cycle
// there leaves smaller graphs, which are treated in the same way.
//
// Sound: a strongly connected set of states is left after finitely many
// returns to the head, and between two of them the run is in a graph without
// that head's entry edges.

const (
	maxMayGoto = 1 << 23 // may_goto (kernel, BPF_MAX_LOOPS)
)

// terminates returns the worst case in instructions; −1 if there is none and
// that is allowed.
func (sv *solver) terminates() (int64, error) {
	all := make([]int32, len(sv.steps))
	for i := range all {
		all[i] = int32(i)
	}
	n := len(sv.steps)
	t := &termination{
		sv: sv, cut: make([]bool, len(sv.nodes)),
		set: make([]int32, n), part: make([]int32, n), index: make([]int32, n), low: make([]int32, n), on: make([]bool, n),
	}
	worst, _, at := t.longest(all)
	switch {
	case at != nil && sv.o.AllowUnbounded:
		return -1, nil
	case at != nil:
		return 0, sv.unbounded(at)
	case worst > sv.o.MaxWorstCase:
		return 0, sv.errorAt(TooLong, 0, nil, "a run may take %d instructions; the limit is %d", worst, sv.o.MaxWorstCase)
	}
	return worst, nil
}

type termination struct {
	sv   *solver
	cut  []bool // by id of node: edges into it are removed
	sets int32  // how many sets longest was called for

	// By step.
	set        []int32 // the set it is in
	part       []int32 // its component there
	index, low []int32 // scratch of components
	on         []bool
}

// longest returns the weight of the longest path inside set, and of the longest
// that ends with an edge to a step of set that was cut; −1 if there is none. at
// is a loop head without a bound, if there is one.
func (t *termination) longest(set []int32) (weight, back int64, at *node) {
	t.sets++
	me := t.sets
	for _, s := range set {
		t.set[s] = me
	}
	parts := t.components(set, me)
	for i, p := range parts {
		for _, s := range p {
			t.part[s] = int32(i)
		}
	}
	best := make([]int64, len(parts))  // longest path from a component
	backs := make([]int64, len(parts)) // the same, ending with a cut edge
	back = -1
	for i, p := range parts { // successors first
		inner := int64(0)
		if len(p) > 1 || t.self(p[0]) {
			if inner, at = t.cycle(p); at != nil {
				return 0, 0, at
			}
			for _, s := range p { // cycle has renumbered them
				t.set[s], t.part[s] = me, int32(i)
			}
		}
		out, outBack := int64(0), int64(-1)
		for _, s := range p {
			for _, e := range t.sv.steps[s].out {
				switch {
				case e.id < 0:
					out = max(out, e.weight)
				case t.set[e.id] != me:
				case !t.has(e, me):
					outBack = max(outBack, e.weight)
				case t.part[e.id] != int32(i):
					k := t.part[e.id]
					out = max(out, addSat(e.weight, best[k]))
					if backs[k] >= 0 {
						outBack = max(outBack, addSat(e.weight, backs[k]))
					}
				}
			}
		}
		best[i], backs[i] = addSat(inner, out), outBack
		if outBack >= 0 {
			backs[i] = addSat(inner, outBack)
		}
		weight, back = max(weight, best[i]), max(back, backs[i])
	}
	return weight, back, nil
}

// has reports whether e is an edge inside set me.
func (t *termination) has(e edge, me int32) bool {
	if e.id < 0 || t.set[e.id] != me {
		return false
	}
	n := t.sv.steps[e.id].n
	return n == nil || !t.cut[n.id]
}

func (t *termination) self(s int32) bool {
	for _, e := range t.sv.steps[s].out {
		if e.id == int(s) && t.has(e, t.set[s]) {
			return true
		}
	}
	return false
}

// cycle bounds the instructions that a run spends in the strongly connected
// set of steps.
func (t *termination) cycle(set []int32) (int64, *node) {
	var head, first *node
	bound := int64(0)
	for _, s := range set {
		n := t.sv.steps[s].n
		if n == head || t.cut[n.id] {
			continue
		}
		if first == nil || slices.Compare(n.place, first.place) < 0 {
			first = n
		}
		if b, ok := t.bound(n, set); ok && (head == nil || slices.Compare(n.place, head.place) < 0) {
			head, bound = n, b
		}
	}
	if head == nil {
		return 0, first
	}
	t.cut[head.id] = true
	// From where the run entered the set to the head, so many times back to it,
	// and then a path that does not return.
	inner, back, bad := t.longest(set)
	t.cut[head.id] = false
	if bad != nil {
		return 0, bad
	}
	return addSat(mulSat(addSat(bound, 1), max(back, 0)), inner), nil
}

// bound returns how often a run that stays in set can come back to n.
//
// A bound counts from when the loop is entered, so every step of set must be
// inside it. may_goto counts from when its function is entered.
func (t *termination) bound(n *node, set []int32) (int64, bool) {
	b := &t.sv.g.blocks[n.block]
	last := b.start
	for pc := b.start; pc < b.end; pc = next(t.sv.p, pc) {
		last = pc
	}
	if in := t.sv.p.Insns[last]; isJump(in) && in.Op.JmpOp() == isa.MayGoto {
		return maxMayGoto, t.all(set, func(m *node) bool { return m.chain.within(n.chain) })
	}
	if most, ok := t.iterBound(n, set); ok {
		return most, true
	}
	if !n.head || !t.all(set, func(m *node) bool { return t.sv.inside(m, n) }) {
		return 0, false
	}
	if t.sv.isCallback(b) {
		return n.calls, true
	}
	// Where the loop was unrolled first, the cycle is mostly in the rest.
	if n.widen && !slices.ContainsFunc(set, func(s int32) bool {
		return t.sv.steps[s].n == n && int(s) < n.widened
	}) {
		if bound, ok := iterations(n.late); ok {
			return bound, true
		}
	}
	return iterations(n.latches)
}

func (t *termination) all(set []int32, f func(*node) bool) bool {
	return !slices.ContainsFunc(set, func(s int32) bool { return !f(t.sv.steps[s].n) })
}

// within reports whether c is up or a chain of calls that begins in it.
func (c *chain) within(up *chain) bool {
	for ; c != nil; c = c.up {
		if c == up {
			return true
		}
	}
	return false
}

func addSat(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func mulSat(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// components returns the strongly connected components of the set numbered
// me, successors first (Tarjan 1972, without recursion).
func (t *termination) components(set []int32, me int32) [][]int32 {
	type visit struct {
		s    int32
		edge int
	}
	for _, s := range set {
		t.index[s] = 0
	}
	var stack []int32
	var parts [][]int32
	next := int32(1)
	for _, root := range set {
		if t.index[root] != 0 {
			continue
		}
		work := []visit{{s: root}}
		for len(work) > 0 {
			v := &work[len(work)-1]
			if v.edge == 0 {
				t.index[v.s], t.low[v.s] = next, next
				next++
				stack = append(stack, v.s)
				t.on[v.s] = true
			}
			out := t.sv.steps[v.s].out
			descended := false
			for v.edge < len(out) {
				e := out[v.edge]
				v.edge++
				if !t.has(e, me) {
					continue
				}
				to := int32(e.id)
				if t.index[to] == 0 {
					work = append(work, visit{s: to})
					descended = true
					break
				}
				if t.on[to] {
					t.low[v.s] = min(t.low[v.s], t.index[to])
				}
			}
			if descended {
				continue
			}
			s := v.s
			work = work[:len(work)-1]
			if len(work) > 0 {
				up := work[len(work)-1].s
				t.low[up] = min(t.low[up], t.low[s])
			}
			if t.low[s] == t.index[s] {
				var part []int32
				for {
					x := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					t.on[x] = false
					part = append(part, x)
					if x == s {
						break
					}
				}
				parts = append(parts, part)
			}
		}
	}
	return parts
}
