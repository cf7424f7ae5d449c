package state

import (
	"math"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// Assume narrows s to the runs in which the comparison a op b, on 32 or 64
// bits, came out as taken says. It reports false if there are none. a and b
// are scalars, or the offsets of two pointers into one object.
func (s *State) Assume(op isa.JmpOp, is32, taken bool, a, b Reg) bool {
	a.Kind, b.Kind = Scalar, Scalar
	if a == b {
		return s.assumeSelf(op, is32, taken, a)
	}
	x, y, ok := scalar.Assume(op, width(is32), taken, s.Num(a), s.Num(b))
	if !ok {
		return false
	}
	if a, b, ok = s.refine2(a, b, x); !ok {
		return false
	}
	if b, a, ok = s.refine2(b, a, y); !ok {
		return false
	}
	return s.compare(op, is32, taken, a, b)
}

// Possible reports whether the comparison a op b can come out as taken says. It
// is Assume without the consequences, and may say yes where Assume says no.
func (s *State) Possible(op isa.JmpOp, is32, taken bool, a, b Reg) bool {
	na, nb := s.Num(a), s.Num(b)
	if _, _, ok := scalar.Assume(op, width(is32), taken, na, nb); !ok {
		return false
	}
	if is32 && (na.UMax() > 1<<31-1 || nb.UMax() > 1<<31-1) || na.SMin() < 0 || nb.SMin() < 0 {
		return true
	}
	if !taken {
		op = negation(op)
	}
	apart := func(a, b Reg, c int64) bool { // a − b ≤ c is impossible
		d, ok := s.DiffReg(b, a)
		return ok && c < math.MaxInt64/2 && d < -c
	}
	switch op {
	case isa.JEq:
		return !apart(a, b, 0) && !apart(b, a, 0)
	case isa.JLt, isa.JSLt:
		return !apart(a, b, -1)
	case isa.JLe, isa.JSLe:
		return !apart(a, b, 0)
	case isa.JGt, isa.JSGt:
		return !apart(b, a, -1)
	case isa.JGe, isa.JSGe:
		return !apart(b, a, 0)
	}
	return true
}

// refine2 refines r by num and returns r and q as they are called afterwards:
// refining may give r's value another name, which q may share.
func (s *State) refine2(r, q Reg, num scalar.Scalar) (Reg, Reg, bool) {
	after, ok := s.Refine(r, num)
	if after.V != r.V && q.V == r.V {
		q = Reg{Kind: Scalar, V: after.V, C: after.C + q.C - r.C}
	}
	return after, q, ok
}

func (s *State) assumeSelf(op isa.JmpOp, is32, taken bool, a Reg) bool {
	x, ok := scalar.AssumeSame(op, width(is32), taken, s.Num(a))
	if ok {
		_, ok = s.Refine(a, x)
	}
	return ok
}

func width(is32 bool) scalar.Width {
	if is32 {
		return scalar.W32
	}
	return scalar.W64
}

// compare records what the comparison says of the difference of a and b, as
// integers, and reports whether that is possible.
func (s *State) compare(op isa.JmpOp, is32, taken bool, a, b Reg) bool {
	na, nb := s.Num(a), s.Num(b)
	if is32 {
		// The low halves are the whole only of values that fit.
		limit := uint64(1<<32 - 1)
		switch op {
		case isa.JSGt, isa.JSGe, isa.JSLt, isa.JSLe:
			limit = 1<<31 - 1
		}
		if na.UMax() > limit || nb.UMax() > limit {
			return true
		}
	}
	nonNegative := na.SMin() >= 0 && nb.SMin() >= 0
	switch op {
	case isa.JGt, isa.JGe, isa.JLt, isa.JLe:
		if !nonNegative {
			return true
		}
	}
	if !taken {
		op = negation(op)
	}
	switch op {
	case isa.JEq:
		if !s.atMost(a, b, 0) || !s.atMost(b, a, 0) {
			return false
		}
		s.unite(a, b)
		return true
	case isa.JNe:
		c, ok := s.DiffReg(a, b)
		d, ok2 := s.DiffReg(b, a)
		switch {
		case ok && ok2 && c == 0 && d == 0:
			return false
		case ok && c == 0:
			return s.atMost(a, b, -1)
		case ok2 && d == 0:
			return s.atMost(b, a, -1)
		}
		return true
	case isa.JLt, isa.JSLt:
		return s.atMost(a, b, -1)
	case isa.JLe, isa.JSLe:
		return s.atMost(a, b, 0)
	case isa.JGt, isa.JSGt:
		return s.atMost(b, a, -1)
	case isa.JGe, isa.JSGe:
		return s.atMost(b, a, 0)
	}
	return true
}

// negation returns the comparison that holds when op does not; 0 for JSet,
// which has none.
func negation(op isa.JmpOp) isa.JmpOp {
	switch op {
	case isa.JEq:
		return isa.JNe
	case isa.JNe:
		return isa.JEq
	case isa.JGt:
		return isa.JLe
	case isa.JLe:
		return isa.JGt
	case isa.JGe:
		return isa.JLt
	case isa.JLt:
		return isa.JGe
	case isa.JSGt:
		return isa.JSLe
	case isa.JSLe:
		return isa.JSGt
	case isa.JSGe:
		return isa.JSLt
	case isa.JSLt:
		return isa.JSGe
	}
	return 0
}

// atMost records a − b ≤ c and reports whether it is possible.
func (s *State) atMost(a, b Reg, c int64) bool {
	if d, ok := s.DiffReg(b, a); ok {
		// b − a ≤ d, so a − b ≥ −d.
		if sum, overflow := addInt(c, d); !overflow && sum < 0 {
			return false
		}
	}
	if !s.exact(a.V, a.C) || !s.exact(b.V, b.C) {
		return true
	}
	k, o1 := addInt(c, b.C)
	k, o2 := subInt(k, a.C)
	if !o1 && !o2 {
		s.AddEdge(a.V, b.V, k)
	}
	return true
}
