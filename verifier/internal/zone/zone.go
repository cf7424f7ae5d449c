// Package zone holds the domain of differences: facts x − y <= c between a few
// variables (Miné, "A New Numerical Abstract Domain Based on Difference-Bound
// Matrices", PADO 2001).
//
// Variables stand for integers of any size, not for machine words, and a
// difference is that of the integers. So the caller keeps two obligations. It
// gives each variable one reading of its register for as long as it lives,
// unsigned or signed, or an offset that its own checks keep small. And it makes
// a fact from a machine operation only if it has proven that the operation did
// not wrap in the width and the reading used: x = y + 4 gives x − y <= 4 and
// y − x <= −4 if y + 4 did not wrap, and otherwise nothing.
//
// Bounds are int64. A bound that does not fit is replaced by a weaker one that
// does, or by none; a sum never wraps.
//
// zone.go has the type, questions and the lattice; edit.go what assignments and
// branches do. A Zone is a value: no operation changes one, results share memory
// with operands, and goroutines may use them without locks. An operation that
// changes nothing allocates nothing.
package zone

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// A Var names a variable, from 0 to MaxVars−1. The caller says what it stands for.
type Var uint8

// MaxVars is how many variables there are. The cost of a Zone depends only on
// how many of them have a bound.
const MaxVars = 64

// A Zone is a set of facts x − y <= c. The zero Zone has none. A Zone is not
// contradictory as far as it knows; Add and Meet report contradictions.
//
// Zones are closed: if x − y <= c follows from other facts, then it or a lower
// bound is there. Exceptions are the results of Widen and Filter, and bounds
// that int64 does not hold; there, answers may be weaker than what follows.
type Zone struct {
	vars uint64 // the variables that have a bound, as bits

	// bound holds for each two of them (i, j: positions among the bits of
	// vars) at i*n+j the bound of the i-th less the j-th, or none. Never
	// changed once in a Zone.
	bound []int64
}

// none stands for no bound.
const none = math.MaxInt64

// plus returns a bound for the sum of two bounded differences.
//
// Sound: an overflowing sum becomes none, an underflowing one the least int64,
// which is above it.
func plus(a, b int64) int64 {
	if a == none || b == none {
		return none
	}
	s := a + b
	switch {
	case a > 0 && b > 0 && s < 0:
		return none
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

func bit(v Var) uint64 {
	if v >= MaxVars {
		panic(fmt.Sprintf("BUG: zone variable %d of %d", v, MaxVars))
	}
	return 1 << v
}

func (z Zone) size() int { return bits.OnesCount64(z.vars) }

// position returns the row of v, which must have a bound or be about to get one.
func position(vars uint64, v Var) int { return bits.OnesCount64(vars & (bit(v) - 1)) }

// IsTop reports whether z has no facts.
func (z Zone) IsTop() bool { return z.vars == 0 }

// Vars returns the variables that have a bound: bit v for Var v.
func (z Zone) Vars() uint64 { return z.vars }

// Upper returns the least known c with x − y <= c; ok is false if none is known.
func (z Zone) Upper(x, y Var) (c int64, ok bool) {
	if x == y {
		return 0, true
	}
	c = z.upper(x, y)
	return c, c != none
}

func (z Zone) upper(x, y Var) int64 {
	if both := bit(x) | bit(y); z.vars&both != both {
		return none
	}
	return z.bound[position(z.vars, x)*z.size()+position(z.vars, y)]
}

// Each calls f with each fact x − y <= c, in the order of x, then y.
func (z Zone) Each(f func(x, y Var, c int64)) {
	i := 0
	for xs := z.vars; xs != 0; xs &= xs - 1 {
		for ys := z.vars; ys != 0; ys &= ys - 1 {
			if xs&-xs != ys&-ys && z.bound[i] != none {
				f(Var(bits.TrailingZeros64(xs)), Var(bits.TrailingZeros64(ys)), z.bound[i])
			}
			i++
		}
	}
}

// Equal reports whether the facts are the same. For closed Zones that is
// whether they mean the same.
func (z Zone) Equal(o Zone) bool {
	return z.vars == o.vars && (z.shares(o) || slices.Equal(z.bound, o.bound))
}

// shares reports whether the two have the same facts because they are in the
// same memory.
func (z Zone) shares(o Zone) bool {
	return z.vars == o.vars && (z.vars == 0 || &z.bound[0] == &o.bound[0])
}

// Leq reports whether z has each fact of o, or a stronger one. Then whatever
// satisfies z satisfies o.
func (z Zone) Leq(o Zone) bool {
	if o.vars&^z.vars != 0 {
		return false
	}
	if z.shares(o) {
		return true
	}
	n := o.size()
	var row [MaxVars]int // the position in z of each variable of o
	positions(&row, z.vars, o.vars)
	for i := range n {
		for j := range n {
			if z.bound[row[i]*z.size()+row[j]] > o.bound[i*n+j] {
				return false
			}
		}
	}
	return true
}

// positions sets row[i] to the position in vars of the i-th variable of some,
// all of which are in vars.
func positions(row *[MaxVars]int, vars, some uint64) {
	for i := 0; some != 0; some &= some - 1 {
		row[i] = position(vars, Var(bits.TrailingZeros64(some)))
		i++
	}
}

// Join returns the facts that hold in both: the least Zone above both if both
// are closed. It is one of the two if that is what it equals.
func (z Zone) Join(o Zone) Zone {
	switch {
	case o.Leq(z):
		return z
	case z.Leq(o):
		return o
	}
	return z.combine(o, func(a, b int64) int64 { return max(a, b) })
}

// Widen returns the facts of z, the result of the widening before, as far as
// they hold in next: a bound that is exceeded goes up to the least of stops
// that suffices, or goes. stops is sorted; 0 in it keeps an order of variables.
//
// Sound: the result has no fact that z and next do not both imply. A chain of
// widenings of which each starts from the one before changes each bound at most
// len(stops)+1 times. For that, the result must not be closed, and is not.
func (z Zone) Widen(next Zone, stops []int64) Zone {
	if next.Leq(z) {
		return z
	}
	return z.combine(next, func(a, b int64) int64 {
		if b <= a {
			return a
		}
		if i, _ := slices.BinarySearch(stops, b); i < len(stops) {
			return stops[i]
		}
		return none
	})
}

// combine applies f to each two bounds of the variables that both have.
func (z Zone) combine(o Zone, f func(a, b int64) int64) Zone {
	vars := z.vars & o.vars
	n := bits.OnesCount64(vars)
	var inZ, inO [MaxVars]int
	positions(&inZ, z.vars, vars)
	positions(&inO, o.vars, vars)
	bound := make([]int64, n*n)
	for i := range n {
		for j := range n {
			bound[i*n+j] = f(z.bound[inZ[i]*z.size()+inZ[j]], o.bound[inO[i]*o.size()+inO[j]])
		}
	}
	return canonical(vars, bound)
}

// canonical makes a Zone of bounds that it may change, and leaves out the
// variables without one.
func canonical(vars uint64, bound []int64) Zone {
	n := bits.OnesCount64(vars)
	var used uint64 // by position
	for i := range n {
		for j := range n {
			if i != j && bound[i*n+j] != none {
				used |= 1<<i | 1<<j
			}
		}
	}
	if bits.OnesCount64(used) == n {
		return Zone{vars, bound}
	}
	var kept uint64
	to := 0
	rest := vars
	for i := range n {
		v := rest & -rest
		rest &^= v
		if used>>i&1 == 0 {
			continue
		}
		kept |= v
		for j := range n {
			if used>>j&1 != 0 {
				bound[to] = bound[i*n+j]
				to++
			}
		}
	}
	return Zone{kept, bound[:to:to]}
}

// String returns the facts, for people: "v1-v0<=4 v2-v1<=-1".
func (z Zone) String() string {
	var facts []string
	z.Each(func(x, y Var, c int64) { facts = append(facts, fmt.Sprintf("v%d-v%d<=%d", x, y, c)) })
	return strings.Join(facts, " ")
}
