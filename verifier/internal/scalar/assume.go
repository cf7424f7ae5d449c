package scalar

import (
	"github.com/skepvm/skep/internal/isa"
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

// Sides of a relation, as bits.
type sides uint8

const (
	left sides = 1 << iota
	right
)

// refine removes from a and b what stands in the relation to no value of the
// other, as far as the components show it. It returns false if nothing is left
// of one of them.
func (rel relation) refine(w Width, a, b *Scalar) bool {
	if w == W64 {
		if rel == equal {
			ok := a.meet(b)
			*b = *a
			return ok
		}
		moved, ok := rel.narrow(&a.part, &b.part)
		return ok && (moved&left == 0 || a.reduce()) && (moved&right == 0 || b.reduce())
	}
	x, y := part{a.bits.Trunc(halfBits), a.low()}, part{b.bits.Trunc(halfBits), b.low()}
	moved, ok := rel.narrow(&x, &y)
	return ok && (moved&left == 0 || a.setHalf(&x)) && (moved&right == 0 || b.setHalf(&y))
}

func (s *Scalar) setHalf(low *part) bool {
	s.bits = s.bits.WithLow(low.bits, halfBits)
	s.setLow(low.full)
	return s.reduce()
}

// narrow is refine on components of one width. It requires that they are
// reduced, and says on which sides it changed them so that they may no longer
// be; ok is false if the relation cannot hold. Tests for that come before ends
// move, which must not wrap.
func (rel relation) narrow(a, b *part) (moved sides, ok bool) {
	x, y := &a.full, &b.full
	switch rel {
	case equal:
		m, ok := a.bits.Meet(b.bits)
		x.meet(*y)
		a.bits = m
		*b = *a
		return left | right, ok && !x.empty()
	case notEqual:
		moved, ok = x.exclude(y, left)
		if !ok {
			return 0, false
		}
		more, ok := y.exclude(x, right)
		return moved | more, ok
	case below:
		if x.umin >= y.umax {
			return 0, false
		}
		if x.umax >= y.umax {
			x.umax, moved = y.umax-1, left
		}
		if y.umin <= x.umin {
			y.umin, moved = x.umin+1, moved|right
		}
	case belowOrEqual:
		if x.umin > y.umax {
			return 0, false
		}
		if x.umax > y.umax {
			x.umax, moved = y.umax, left
		}
		if y.umin < x.umin {
			y.umin, moved = x.umin, moved|right
		}
	case less:
		if x.smin >= y.smax {
			return 0, false
		}
		if x.smax >= y.smax {
			x.smax, moved = y.smax-1, left
		}
		if y.smin <= x.smin {
			y.smin, moved = x.smin+1, moved|right
		}
	case lessOrEqual:
		if x.smin > y.smax {
			return 0, false
		}
		if x.smax > y.smax {
			x.smax, moved = y.smax, left
		}
		if y.smin < x.smin {
			y.smin, moved = x.smin, moved|right
		}
	case overlap:
		return left | right, narrowOverlap(a, b)
	case disjoint:
		ones, others := a.bits.Value, b.bits.Value
		a.bits.Mask &^= others
		b.bits.Mask &^= ones
		return left | right, ones&others == 0
	}
	return moved, true
}

// exclude moves the ends of r that are the one value of o, and says so by
// returning side; ok is false if r has no other value.
func (r *ranges) exclude(o *ranges, side sides) (moved sides, ok bool) {
	if o.umin != o.umax {
		return 0, true
	}
	if r.umin == r.umax {
		return 0, r.umin != o.umin
	}
	switch o.umin {
	case r.umin:
		r.umin, moved = r.umin+1, side
	case r.umax:
		r.umax, moved = r.umax-1, side
	}
	switch o.smin {
	case r.smin:
		r.smin, moved = r.smin+1, side
	case r.smax:
		r.smax, moved = r.smax-1, side
	}
	return moved, true
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
		p.full.umin = max(p.full.umin, lowest)
	}
	return true
}
