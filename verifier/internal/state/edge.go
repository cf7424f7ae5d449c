package state

import (
	"math"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// maxEdges bounds the difference bounds of one state. Beyond it the oldest is
// forgotten, which loses precision only.
const maxEdges = 96

// exact reports whether v + c, as integers, is what the machine computes: the
// signed 64-bit sum does not overflow.
func (s *State) exact(v ValID, c int64) bool {
	n := &s.Vals[v].Num
	_, o1 := addInt(n.SMin(), c)
	_, o2 := addInt(n.SMax(), c)
	return !o1 && !o2
}

func addInt(a, b int64) (sum int64, overflow bool) {
	sum = a + b
	return sum, (a > 0 && b > 0 && sum <= 0) || (a < 0 && b < 0 && sum >= 0)
}

// subInt returns a − b. The difference with the least integer has no integer
// that is its sum.
func subInt(a, b int64) (diff int64, overflow bool) {
	diff = a - b
	return diff, (a >= 0) != (b >= 0) && (diff >= 0) != (a >= 0)
}

// AddEdge records x − y ≤ c, values read as signed integers. Bounds against
// the constant zero are numeric facts and are not recorded.
func (s *State) AddEdge(x, y ValID, c int64) {
	if x == y || x == Zero || y == Zero {
		return
	}
	for i := range s.Edges {
		if e := &s.Edges[i]; e.X == x && e.Y == y {
			e.C = min(e.C, c)
			return
		}
	}
	if d, overflow := subInt(s.Vals[x].Num.SMax(), s.Vals[y].Num.SMin()); !overflow && d <= c {
		return // the ranges say as much
	}
	if len(s.Edges) == maxEdges {
		s.Edges = append(s.Edges[:0], s.Edges[1:]...)
	}
	s.Edges = append(s.Edges, Edge{x, y, c})
}

// Diff returns the least c for which x − y ≤ c is known. ok is false if none is.
func (s *State) Diff(x, y ValID) (c int64, ok bool) {
	if x == y {
		return 0, true
	}
	best, found := s.rangeDiff(x, y)
	for i := range s.Edges {
		e := &s.Edges[i]
		if e.X != x {
			continue
		}
		if e.Y == y {
			if !found || e.C < best {
				best, found = e.C, true
			}
			continue
		}
		// One step further: x − z ≤ e.C and z − y ≤ d.
		d, ok := s.rangeDiff(e.Y, y)
		for j := range s.Edges {
			if f := &s.Edges[j]; f.X == e.Y && f.Y == y && (!ok || f.C < d) {
				d, ok = f.C, true
			}
		}
		if ok {
			if sum, overflow := addInt(e.C, d); !overflow && (!found || sum < best) {
				best, found = sum, true
			}
		}
	}
	return best, found
}

func (s *State) rangeDiff(x, y ValID) (int64, bool) {
	d, overflow := subInt(s.Vals[x].Num.SMax(), s.Vals[y].Num.SMin())
	return d, !overflow
}

// Refine narrows what is known of r to num, and of everything that depends on
// it. It returns r under the name it has afterwards; ok is false if nothing is
// left: the path is impossible.
func (s *State) Refine(r Reg, num scalar.Scalar) (after Reg, ok bool) {
	if r.V == Zero {
		return r, num.Contains(uint64(r.C))
	}
	target, ok := s.Num(r).Meet(num)
	if !ok {
		return r, false
	}
	if r.C != 0 {
		base := scalar.Sub(target, scalar.Const(uint64(r.C)))
		if back := scalar.Add(base, scalar.Const(uint64(r.C))); back.Leq(target) || r.V <= MetaLen {
			target = base
		} else {
			// The facts hold of V + C and would blur on V: name the sum.
			r.V, r.C = s.rebase(r.V, r.C), 0
		}
	}
	return r, s.narrow(r.V, target)
}

// rebase renames v + c to a value of its own, and v to that value less c.
func (s *State) rebase(v ValID, c int64) ValID {
	w := s.newVal(s.num(v, c), Def{})
	if !s.exact(v, c) {
		s.dropEdges(v)
	}
	s.substitute(v, w, -c)
	return w
}

func (s *State) dropEdges(v ValID) {
	keep := s.Edges[:0]
	for _, e := range s.Edges {
		if e.X != v && e.Y != v {
			keep = append(keep, e)
		}
	}
	s.Edges = keep
}

// substitute replaces v by w + c everywhere but in w's own definition. v
// itself loses its meaning; its number is not used again.
//
// Edges are carried over as integers, so the caller must know that v = w + c
// holds without wrapping, or drop them first.
func (s *State) substitute(v, w ValID, c int64) {
	s.locations(func(r *Reg) {
		if r.Kind != Unreadable && r.V == v {
			r.V = w
			r.C += c
		}
	})
	for i := range s.Vals {
		d := &s.Vals[i].Def
		if d.Op == NoDef {
			continue
		}
		if d.A == v {
			d.A, d.AC = w, d.AC+c
			if d.Op == OpZext {
				d.AC = int64(int32(d.AC))
			}
		}
		if d.Op != OpZext && d.B == v {
			d.B, d.BC = w, d.BC+c
		}
	}
	keep := s.Edges[:0]
	for _, e := range s.Edges {
		// v − y ≤ k becomes w − y ≤ k − c; x − v ≤ k becomes x − w ≤ k + c.
		o1, o2 := false, false
		if e.X == v {
			e.X = w
			e.C, o1 = subInt(e.C, c)
		}
		if e.Y == v {
			e.Y = w
			e.C, o2 = addInt(e.C, c)
		}
		if !o1 && !o2 && e.X != e.Y {
			keep = append(keep, e)
		}
	}
	s.Edges = keep
}

// maxPropagation bounds the values that one refinement visits.
const maxPropagation = 64

// narrow stores num, which must lie within what is known of v, and carries it
// to the values that v is computed from, those computed from v, and those
// bound to it by edges.
func (s *State) narrow(v ValID, num scalar.Scalar) bool {
	if s.Vals[v].Num == num {
		return true
	}
	s.Vals[v].Num = num
	queue := append(s.pool.queue[:0], v)
	defer func() { s.pool.queue = queue }()
	for n := 0; n < len(queue) && n < maxPropagation; n++ {
		v = queue[n]
		visit := func(u ValID, num scalar.Scalar) bool {
			if u == Zero {
				return true
			}
			m, ok := s.Vals[u].Num.Meet(num)
			if !ok {
				return false
			}
			if m != s.Vals[u].Num {
				s.Vals[u].Num = m
				queue = append(queue, u)
			}
			return true
		}
		if !s.backward(v, visit) {
			return false
		}
		for i := int(PacketLen); i < len(s.Vals); i++ {
			d := &s.Vals[i].Def
			if d.Op == NoDef || d.A != v && (d.B != v || d.Op == OpZext) {
				continue
			}
			if !visit(ValID(i), s.eval(d)) {
				return false
			}
		}
		for i := range s.Edges {
			e := s.Edges[i]
			switch v {
			case e.X: // y ≥ x − c
				if lo, overflow := subInt(s.Vals[v].Num.SMin(), e.C); !overflow {
					if !visit(e.Y, scalar.Signed(lo, math.MaxInt64)) {
						return false
					}
				}
			case e.Y: // x ≤ y + c
				if hi, overflow := addInt(s.Vals[v].Num.SMax(), e.C); !overflow {
					if !visit(e.X, scalar.Signed(math.MinInt64, hi)) {
						return false
					}
				}
			}
		}
	}
	return true
}

// backward tells visit what v's own facts say of the operands it was computed
// from.
func (s *State) backward(v ValID, visit func(ValID, scalar.Scalar) bool) bool {
	d := s.Vals[v].Def
	if d.Op == NoDef || d.A == Zero {
		return true
	}
	res, a := s.Vals[v].Num, s.num(d.A, d.AC)
	var pre scalar.Scalar
	var ok bool
	switch {
	case d.Op == OpZext:
		pre, ok = a.MeetLow(res, 32)
	case d.Op == OpALU64 && d.B == Zero && d.Off == 0:
		pre, ok = scalar.Backward(d.ALU, scalar.W64, a, res, uint64(d.BC))
	case d.Op == OpALU64 && d.ALU == isa.Add && d.AC == 0 && d.BC == 0:
		// a + b = v: a = v − b, and b = v − a.
		b := s.Vals[d.B].Num
		if !visit(d.A, scalar.Sub(res, b)) {
			return false
		}
		return visit(d.B, scalar.Sub(res, s.Vals[d.A].Num))
	case d.Op == OpALU64 && d.ALU == isa.Sub && d.AC == 0 && d.BC == 0:
		b := s.Vals[d.B].Num
		if !visit(d.A, scalar.Add(res, b)) {
			return false
		}
		return visit(d.B, scalar.Sub(s.Vals[d.A].Num, res))
	default:
		return true
	}
	if !ok {
		return false
	}
	if d.AC != 0 {
		pre = scalar.Sub(pre, scalar.Const(uint64(d.AC)))
	}
	return visit(d.A, pre)
}

// unite makes the values of a and b one, which are known to be equal.
func (s *State) unite(a, b Reg) {
	if a.V == Zero || b.V == Zero || a.V == b.V {
		return
	}
	if a.V == PacketLen || a.V == MetaLen || s.Vals[b.V].Def.Op == NoDef && b.V > MetaLen {
		a, b = b, a // keep the value that means more
	}
	if a.V <= MetaLen {
		return
	}
	// a.V + a.C = b.V + b.C, so a.V = b.V + (b.C − a.C).
	c := b.C - a.C
	if !s.exact(a.V, 0) || !s.exact(b.V, c) {
		s.dropEdges(a.V)
	}
	s.substitute(a.V, b.V, c)
}
