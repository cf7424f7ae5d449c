package scalar

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/tnum"
)

// Assume returns what is left of the operands of the branch a op b on the edge
// where it is taken, or on the other one; feasible is false if that edge cannot
// be followed, and then the results mean nothing. A code that is no comparison
// teaches nothing.
//
// At W32 the branch compares the low halves, and only the components of the low
// half learn; reduction carries on what follows for the whole.
//
// For operands that are one register AssumeSame knows more.
func Assume(op isa.JmpOp, w Width, taken bool, a, b Scalar) (a2, b2 Scalar, feasible bool) {
	rel, reversed := edge(op, taken)
	if reversed {
		feasible = rel.refine(w, &b, &a)
	} else {
		feasible = rel.refine(w, &a, &b)
	}
	return a, b, feasible
}

// AssumeSame is Assume for a branch that compares a register with itself: it
// is equal to itself, neither less nor greater, and overlaps unless it is zero.
func AssumeSame(op isa.JmpOp, w Width, taken bool, a Scalar) (a2 Scalar, feasible bool) {
	zero := Const(0)
	switch rel, _ := edge(op, taken); rel {
	case notEqual, below, less:
		return a, false
	case overlap:
		feasible = notEqual.refine(w, &a, &zero)
	case disjoint:
		feasible = equal.refine(w, &a, &zero)
	default:
		feasible = true
	}
	return a, feasible
}

// A relation is what one edge of a branch says about its operands, in their
// order or in reverse.
type relation uint8

const (
	unrelated relation = iota
	equal
	notEqual
	below        // unsigned
	belowOrEqual // unsigned
	less         // signed
	lessOrEqual  // signed
	overlap      // some bit is one in both
	disjoint     // no bit is one in both
)

// edge returns what an edge of the branch says, and whether it says it of the
// operands in reverse order.
func edge(op isa.JmpOp, taken bool) (rel relation, reversed bool) {
	if !taken {
		op = negation(op)
	}
	switch op {
	case isa.JEq:
		return equal, false
	case isa.JNe:
		return notEqual, false
	case isa.JLt:
		return below, false
	case isa.JLe:
		return belowOrEqual, false
	case isa.JGt:
		return below, true
	case isa.JGe:
		return belowOrEqual, true
	case isa.JSLt:
		return less, false
	case isa.JSLe:
		return lessOrEqual, false
	case isa.JSGt:
		return less, true
	case isa.JSGe:
		return lessOrEqual, true
	case isa.JSet:
		if !taken {
			return disjoint, false
		}
		return overlap, false
	default:
		return unrelated, false
	}
}

// negation returns the comparison that holds when op does not. JSet has none;
// it is returned.
func negation(op isa.JmpOp) isa.JmpOp {
	switch op {
	case isa.JEq:
		return isa.JNe
	case isa.JNe:
		return isa.JEq
	case isa.JLt:
		return isa.JGe
	case isa.JLe:
		return isa.JGt
	case isa.JGt:
		return isa.JLe
	case isa.JGe:
		return isa.JLt
	case isa.JSLt:
		return isa.JSGe
	case isa.JSLe:
		return isa.JSGt
	case isa.JSGt:
		return isa.JSLe
	case isa.JSGe:
		return isa.JSLt
	default:
		return op
	}
}

// A part is the components that a branch compares: those of the whole values,
// or those of the low halves.
type part struct {
	bits tnum.Tnum
	ranges
}

// refine removes from a and b what stands in the relation to no value of the
// other, as far as the components show it. It returns false if nothing is left
// of one of them.
func (rel relation) refine(w Width, a, b *Scalar) bool {
	if w == W64 {
		x, y := part{a.bits, a.full}, part{b.bits, b.full}
		if rel == equal {
			m, ok := a.Meet(*b)
			*a, *b = m, m
			return ok
		}
		if !rel.narrow(&x, &y, wordBits) {
			return false
		}
		return a.setWhole(x) && b.setWhole(y)
	}
	x, y := part{a.bits.Trunc(halfBits), a.low()}, part{b.bits.Trunc(halfBits), b.low()}
	if !rel.narrow(&x, &y, halfBits) {
		return false
	}
	return a.setHalf(x) && b.setHalf(y)
}

func (s *Scalar) setWhole(p part) bool {
	if p.bits == s.bits && p.ranges == s.full {
		return true
	}
	s.bits, s.full = p.bits, p.ranges
	return s.reduce()
}

func (s *Scalar) setHalf(p part) bool {
	bits := s.bits.WithLow(p.bits, halfBits)
	if bits == s.bits && p.ranges == s.low() {
		return true
	}
	s.bits = bits
	s.setLow(p.ranges)
	return s.reduce()
}

// narrow is refine on components of width w. It requires that they are reduced
// and leaves them unreduced. It returns false if the relation cannot hold;
// tests for that come before ends move, which must not wrap.
func (rel relation) narrow(a, b *part, w uint) bool {
	switch rel {
	case equal:
		m, ok := a.bits.Meet(b.bits)
		a.meet(b.ranges)
		a.bits = m
		*b = *a
		return ok && !a.empty()
	case notEqual:
		return a.exclude(b.ranges) && b.exclude(a.ranges)
	case below:
		if a.umin >= b.umax {
			return false
		}
		a.umax = min(a.umax, b.umax-1)
		b.umin = max(b.umin, a.umin+1)
	case belowOrEqual:
		if a.umin > b.umax {
			return false
		}
		a.umax = min(a.umax, b.umax)
		b.umin = max(b.umin, a.umin)
	case less:
		if a.smin >= b.smax {
			return false
		}
		a.smax = min(a.smax, b.smax-1)
		b.smin = max(b.smin, a.smin+1)
	case lessOrEqual:
		if a.smin > b.smax {
			return false
		}
		a.smax = min(a.smax, b.smax)
		b.smin = max(b.smin, a.smin)
	case overlap:
		return narrowOverlap(a, b)
	case disjoint:
		ones, others := a.bits.Value, b.bits.Value
		if ones&others != 0 {
			return false
		}
		a.bits.Mask &^= others
		b.bits.Mask &^= ones
	}
	return true
}

// exclude moves the ends of r that are the one value of o, and returns false if
// r has no other.
func (r *part) exclude(o ranges) bool {
	if o.umin != o.umax {
		return true
	}
	if r.umin == r.umax {
		return r.umin != o.umin
	}
	switch o.umin {
	case r.umin:
		r.umin++
	case r.umax:
		r.umax--
	}
	switch o.smin {
	case r.smin:
		r.smin++
	case r.smax:
		r.smax--
	}
	return true
}

// narrowOverlap leaves the values that share a one with one of the other side.
//
// Sound: a shared one is among the bits that can be one on both sides. If that
// is one bit, it is known on both; otherwise each value is at least the lowest.
func narrowOverlap(a, b *part) bool {
	shared := a.bits.Max() & b.bits.Max()
	if shared == 0 {
		return false
	}
	lowest := shared & -shared
	for _, p := range [2]*part{a, b} {
		if shared == lowest {
			p.bits.Value |= shared
			p.bits.Mask &^= shared
		}
		p.umin = max(p.umin, lowest)
	}
	return true
}
