package zone

import (
	"fmt"
	"math"
	"math/bits"
)

// Add returns z with the fact x − y <= c; ok is false if that contradicts z,
// and then the result means nothing. It takes time quadratic in the variables
// that have a bound.
func (z Zone) Add(x, y Var, c int64) (r Zone, ok bool) {
	switch {
	case x == y:
		return z, c >= 0
	case c >= z.upper(x, y):
		return z, true
	case plus(c, z.upper(y, x)) < 0:
		return z, false
	}
	r = z.extended(z.vars | bit(x) | bit(y))
	return r, r.tighten(position(r.vars, x), position(r.vars, y), c)
}

// extended returns a copy of z whose memory has room for vars, which contain
// those of z, and may be changed until it is handed out.
func (z Zone) extended(vars uint64) Zone {
	n := bits.OnesCount64(vars)
	bound := make([]int64, n*n)
	for i := range bound {
		bound[i] = none
	}
	for i := range n {
		bound[i*n+i] = 0
	}
	var row [MaxVars]int
	positions(&row, vars, z.vars)
	old := z.size()
	for i := range old {
		for j := range old {
			bound[row[i]*n+row[j]] = z.bound[i*old+j]
		}
	}
	return Zone{vars, bound}
}

// tighten adds to z, which nobody else has, that its x-th less its y-th variable
// is at most c, and all that follows. It returns false if that is a
// contradiction.
//
// Sound and, on closed bounds, complete: a shortest path uses the new edge at
// most once, from i to x by old bounds and from y to j by old bounds. Neither of
// the two legs can have become shorter unless there is a contradiction.
func (z Zone) tighten(x, y int, c int64) bool {
	n := z.size()
	for i := range n {
		to := plus(z.bound[i*n+x], c)
		if to == none {
			continue
		}
		for j := range n {
			via := plus(to, z.bound[y*n+j])
			if via >= z.bound[i*n+j] {
				continue
			}
			if i == j {
				return false // x_i − x_i is negative
			}
			z.bound[i*n+j] = via
		}
	}
	return true
}

// Meet returns the facts of both; ok is false if they are known to contradict
// each other, and then the result means nothing.
func (z Zone) Meet(o Zone) (r Zone, ok bool) {
	switch {
	case z.Leq(o):
		return z, true
	case o.Leq(z):
		return o, true
	}
	r, ok = z.extended(z.vars|o.vars), true
	o.Each(func(x, y Var, c int64) {
		i, j := position(r.vars, x), position(r.vars, y)
		if ok && c < r.bound[i*r.size()+j] {
			ok = r.tighten(i, j, c)
		}
	})
	return r, ok
}

// Forget returns z without the facts about v: v gets a value that nothing is
// known of.
func (z Zone) Forget(v Var) Zone { return z.Keep(^bit(v)) }

// Keep returns the facts among the variables whose bits are in vars.
func (z Zone) Keep(vars uint64) Zone {
	kept := z.vars & vars
	if kept == z.vars {
		return z
	}
	n := bits.OnesCount64(kept)
	var row [MaxVars]int
	positions(&row, z.vars, kept)
	bound := make([]int64, n*n)
	for i := range n {
		for j := range n {
			bound[i*n+j] = z.bound[row[i]*z.size()+row[j]]
		}
	}
	return canonical(kept, bound)
}

// Filter returns the facts for which keep returns true. It is for facts that
// something else also knows, such as bounds that follow from intervals.
func (z Zone) Filter(keep func(x, y Var, c int64) bool) Zone {
	r := z
	z.Each(func(x, y Var, c int64) {
		if keep(x, y, c) {
			return
		}
		if r.shares(z) {
			r = z.extended(z.vars)
		}
		r.bound[position(z.vars, x)*z.size()+position(z.vars, y)] = none
	})
	if r.shares(z) {
		return z
	}
	return canonical(r.vars, r.bound)
}

// Shift returns z after v has become v + c. The machine's sum must not have
// wrapped.
func (z Zone) Shift(v Var, c int64) Zone {
	if c == 0 || z.vars&bit(v) == 0 {
		return z
	}
	if c == math.MinInt64 {
		return z.Forget(v) // −c has no int64
	}
	r := z.extended(z.vars)
	n, p := r.size(), position(r.vars, v)
	for i := range n {
		if i != p {
			r.bound[p*n+i] = plus(r.bound[p*n+i], c)
			r.bound[i*n+p] = plus(r.bound[i*n+p], -c)
		}
	}
	return canonical(r.vars, r.bound)
}

// Assign returns z after v has been set to y + c. The machine's sum must not
// have wrapped.
func (z Zone) Assign(v, y Var, c int64) Zone {
	if v == y {
		return z.Shift(v, c)
	}
	z = z.Forget(v)
	if c == math.MinInt64 {
		return z // −c has no int64
	}
	// v has no bounds yet, so the two facts contradict nothing.
	z, _ = z.Add(v, y, c)
	z, _ = z.Add(y, v, -c)
	return z
}

// Gone in the argument of Rename drops a variable.
const Gone Var = 0xff

// Rename returns z with each variable v called to[v]. No two that have a bound
// may get the same name.
func (z Zone) Rename(to *[MaxVars]Var) Zone {
	var keep, vars uint64
	same := true
	for rest := z.vars; rest != 0; rest &= rest - 1 {
		v := Var(bits.TrailingZeros64(rest))
		if to[v] == Gone {
			continue
		}
		if vars&bit(to[v]) != 0 {
			panic(fmt.Sprintf("BUG: two zone variables are renamed to %d", to[v]))
		}
		keep |= bit(v)
		vars |= bit(to[v])
		same = same && to[v] == v
	}
	z = z.Keep(keep)
	if same || z.vars == 0 {
		return z
	}
	// Keep may have dropped more, which had bounds with dropped ones alone.
	vars = 0
	var row [MaxVars]int
	for rest := z.vars; rest != 0; rest &= rest - 1 {
		vars |= bit(to[bits.TrailingZeros64(rest)])
	}
	i, n := 0, z.size()
	for rest := z.vars; rest != 0; rest &= rest - 1 {
		row[i] = position(vars, to[bits.TrailingZeros64(rest)])
		i++
	}
	bound := make([]int64, n*n)
	for i := range n {
		for j := range n {
			bound[row[i]*n+row[j]] = z.bound[i*n+j]
		}
	}
	return Zone{vars, bound}
}
