//go:build smallwidth

package scalar

import (
	"flag"
	"math/bits"
	"math/rand"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/tnum"
)

// These tests run with values of 8 bits and low halves of 4, where sets can be
// listed. TestSmallWidth starts them.

var report = flag.Bool("report", false, "log how often a result is not the best one")

// values is a set of 8-bit values.
type values [4]uint64

func (v *values) add(x uint64)     { v[x>>6] |= 1 << (x & 63) }
func (v values) has(x uint64) bool { return v[x>>6]>>(x&63)&1 != 0 }
func (v values) empty() bool       { return v == values{} }

func (v values) list() (l []uint64) {
	for i, w := range v {
		for ; w != 0; w &= w - 1 {
			l = append(l, uint64(i<<6+bits.TrailingZeros64(w)))
		}
	}
	return l
}

// within reports whether every value of v is in o.
func (v values) within(o values) bool {
	for i := range v {
		if v[i]&^o[i] != 0 {
			return false
		}
	}
	return true
}

func members(s Scalar) (v values) {
	for x := range uint64(wordMask + 1) {
		if s.Contains(x) {
			v.add(x)
		}
	}
	return v
}

// best returns the least Scalar that holds the values of v, which are not none.
func best(v values) Scalar {
	l := v.list()
	s := Const(l[0])
	for _, x := range l[1:] {
		s = s.Join(Const(x))
	}
	return s
}

var (
	edges      = []uint64{0, 1, 2, 3, 7, 8, 15, 16, 17, 126, 127, 128, 129, 130, 240, 253, 254, 255}
	smallEdges = []uint64{0, 1, 2, 6, 7, 8, 9, 14, 15}
)

// A source makes random Scalars that need not be reduced: for each component
// nothing, or a constraint between edges.
type source struct{ *rand.Rand }

func (r source) pair(from []uint64) (a, b uint64) {
	a, b = from[r.Intn(len(from))], from[r.Intn(len(from))]
	return min(a, b), max(a, b)
}

func (r source) raw() Scalar {
	s := Top()
	kinds := r.Intn(32)
	if kinds&1 != 0 {
		m := uint64(r.Intn(wordMask + 1))
		s.bits = tnum.Tnum{Value: uint64(r.Intn(wordMask+1)) &^ m, Mask: m}
	}
	if kinds&2 != 0 {
		s.full.umin, s.full.umax = r.pair(edges)
	}
	if kinds&4 != 0 {
		a, b := r.pair(edges)
		s.full.smin, s.full.smax = int64(a)-128, int64(b)-128
	}
	low := s.low()
	if kinds&8 != 0 {
		low.umin, low.umax = r.pair(smallEdges)
	}
	if kinds&16 != 0 {
		a, b := r.pair(smallEdges)
		low.smin, low.smax = int64(a)-8, int64(b)-8
	}
	s.setLow(low)
	return s
}

// scalar returns a reduced one.
func (r source) scalar() Scalar {
	for {
		if s := r.raw(); s.reduce() {
			return s
		}
	}
}

func count(short, full int) int {
	if testing.Short() {
		return short
	}
	return full
}

// tally counts how often a result is not the best.
type tally struct{ wide, all int }

func (c *tally) log(t *testing.T, name string) {
	if *report {
		t.Logf("%-10s %6.2f%% of %d results are not the least", name, c.percent(), c.all)
	}
}

func (c *tally) percent() float64 { return 100 * float64(c.wide) / float64(max(c.all, 1)) }

// atMost fails if more than limit percent are not the best. The limits are what
// was reached, rounded up; they show if a change loses precision.
func (c *tally) atMost(t *testing.T, name string, limit float64) {
	t.Helper()
	c.log(t, name)
	if c.percent() > limit {
		t.Errorf("%s: %.2f%% of %d results are not the least, limit %v%%", name, c.percent(), c.all, limit)
	}
}

// checkReduced fails if s is not a fixpoint of reduction.
func checkReduced(t *testing.T, what string, s Scalar) {
	t.Helper()
	if again := s; !again.reduce() || again != s {
		t.Fatalf("%s: %v reduces to %v", what, s, again)
	}
}

// checkReduce checks what reduction makes of s.
func checkReduce(t *testing.T, s Scalar, c *tally) (reduced Scalar, ok bool) {
	t.Helper()
	want := members(s)
	got := s
	if !got.reduce() {
		if !want.empty() {
			t.Fatalf("%+v: reduction finds no value, but there is %d", s, want.list()[0])
		}
		return got, false
	}
	if have := members(got); have != want {
		t.Fatalf("%+v: reduction changed the members from %v to %v", s, want.list(), have.list())
	}
	checkReduced(t, "reduced", got)
	c.all++
	if want.empty() || best(want) != got {
		c.wide++
	}
	return got, true
}

// TestReduceEach reduces every tnum with every range between two edges, of
// each of the four kinds.
func TestReduceEach(t *testing.T) {
	var c tally
	step := uint64(count(9, 1))
	for m := uint64(0); m <= wordMask; m += step {
		for v := range uint64(wordMask + 1) {
			if v&m != 0 {
				continue
			}
			base := Top()
			base.bits = tnum.Tnum{Value: v, Mask: m}
			for i, a := range edges {
				for _, b := range edges[i:] {
					s := base
					s.full.umin, s.full.umax = a, b
					checkReduce(t, s, &c)
					s = base
					s.full.smin, s.full.smax = int64(a)-128, int64(b)-128
					checkReduce(t, s, &c)
				}
			}
			for i, a := range smallEdges {
				for _, b := range smallEdges[i:] {
					s := base
					s.umin32, s.umax32 = uint32(a), uint32(b)
					checkReduce(t, s, &c)
					s = base
					s.smin32, s.smax32 = int32(a)-8, int32(b)-8
					checkReduce(t, s, &c)
				}
			}
		}
	}
	c.atMost(t, "reduce one", 0.05)
}

// TestReduce reduces combinations of all components, and checks that more
// facts never give a greater result.
func TestReduce(t *testing.T) {
	r := source{rand.New(rand.NewSource(1))}
	var c tally
	for range count(40000, 1000000) {
		a := r.raw()
		less, ok := checkReduce(t, a, &c)
		more := a.Join(r.raw()) // component by component
		if !more.reduce() {
			if ok {
				t.Fatalf("%+v has values and a larger set has none", a)
			}
		} else if ok && !less.Leq(more) {
			t.Fatalf("%+v: %v is not below %v", a, less, more)
		}
	}
	c.atMost(t, "reduce all", 0.5)
}

// checkALU compares one operation on a and b with the machine.
func checkALU(t *testing.T, i int, w Width, a, b Scalar, x, y []uint64, c *tally) {
	t.Helper()
	op := aluOps[i]
	var want values
	for _, p := range x {
		for _, q := range y {
			want.add(machine(op.op, bitsOf(w), op.signed, p, q))
		}
	}
	got := ALU(op.op, w, op.signed, a, b)
	if have := members(got); !want.within(have) {
		t.Fatalf("%s %s of %v and %v: got %v, which lacks some of %v", w, op.name, a, b, got, want.list())
	}
	c.all++
	if want.empty() || got != best(want) {
		c.wide++
	}
}

// TestALU runs every operation on random pairs: any two values, and any value
// with a constant.
func TestALU(t *testing.T) {
	r := source{rand.New(rand.NewSource(2))}
	var c [2][2]([]tally)
	for i := range c {
		for j := range c[i] {
			c[i][j] = make([]tally, len(aluOps))
		}
	}
	for range count(700, 15000) {
		a, b := r.scalar(), r.scalar()
		x, y := members(a).list(), members(b).list()
		k := edges[r.Intn(len(edges))]
		for i := range aluOps {
			for _, w := range []Width{W64, W32} {
				checkALU(t, i, w, a, b, x, y, &c[0][w][i])
				checkALU(t, i, w, a, Const(k), x, []uint64{k}, &c[1][w][i])
			}
			checkReduced(t, aluOps[i].name, ALU(aluOps[i].op, W64, aluOps[i].signed, a, b))
		}
	}
	// Percent of results that are not the least: at the whole width for two
	// values and for one with a constant, and the same for the low half.
	limits := map[string][4]float64{
		"add": {16, 11, 9.5, 6}, "sub": {18, 11, 10.5, 6}, "mul": {61, 46, 33, 17},
		"div": {31, 11, 25, 1.5}, "sdiv": {19, 35, 20, 15}, "mod": {62, 27, 38, 12}, "smod": {38, 25, 19, 10},
		"and": {14, 6, 9, 4}, "or": {19, 8, 11, 4}, "xor": {31, 34, 23, 23},
		"lsh": {25, 8, 6.5, 3}, "rsh": {22, 5, 6, 2}, "arsh": {23, 9, 8, 8.5},
		"neg": {4, 4, 3, 3}, "mov": {1, 0, 1, 0},
	}
	for i, op := range aluOps {
		limit := limits[op.name]
		c[0][W64][i].atMost(t, op.name, limit[0])
		c[1][W64][i].atMost(t, op.name+" K", limit[1])
		c[0][W32][i].atMost(t, op.name+"32", limit[2])
		c[1][W32][i].atMost(t, op.name+"32 K", limit[3])
	}
}

// TestALUEach runs every operation with a constant on every tnum, and on every
// pair of ranges between edges.
func TestALUEach(t *testing.T) {
	c := make([]tally, len(aluOps))
	step := uint64(count(51, 3))
	for m := uint64(0); m <= wordMask; m += step {
		for v := range uint64(wordMask + 1) {
			if v&m != 0 {
				continue
			}
			a := FromBits(tnum.Tnum{Value: v, Mask: m})
			x := members(a).list()
			for _, k := range edges {
				for i := range aluOps {
					checkALU(t, i, W64, a, Const(k), x, []uint64{k}, &c[i])
					checkALU(t, i, W32, a, Const(k), x, []uint64{k}, &c[i])
				}
			}
		}
	}
	var ranges []Scalar
	for i, a := range edges {
		for _, b := range edges[i:] {
			ranges = append(ranges, Unsigned(a, b), Signed(int64(a)-128, int64(b)-128))
		}
	}
	r := rand.New(rand.NewSource(3))
	for _, a := range ranges {
		x := members(a).list()
		for _, b := range ranges {
			if r.Intn(count(100, 8)) != 0 {
				continue
			}
			y := members(b).list()
			for i := range aluOps {
				checkALU(t, i, W64, a, b, x, y, &c[i])
			}
		}
	}
	for i, op := range aluOps {
		c[i].log(t, op.name)
	}
}

// TestExtend truncates and extends to every width, and goes back.
func TestExtend(t *testing.T) {
	r := source{rand.New(rand.NewSource(5))}
	var c, back tally
	for range count(4000, 80000) {
		a, o := r.scalar(), r.scalar()
		x, y := members(a), members(o)
		if x.empty() || y.empty() {
			continue
		}
		for n := uint(1); n <= wordBits; n++ {
			var zero, sign, both, lows values
			for _, p := range y.list() {
				lows.add(p & mask(n))
			}
			for _, p := range x.list() {
				zero.add(p & mask(n))
				sign.add(uint64(sext(p, n)) & wordMask)
				if lows.has(p & mask(n)) {
					both.add(p)
				}
			}
			trunc, extend := Trunc(a, n), SignExtend(a, n)
			if !zero.within(members(trunc)) || !sign.within(members(extend)) {
				t.Fatalf("%v to %d bits: got %v and %v", a, n, trunc, extend)
			}
			c.all += 2
			if trunc != best(zero) {
				c.wide++
			}
			if extend != best(sign) {
				c.wide++
			}
			m, ok := a.MeetLow(o, n)
			if !ok && !both.empty() || ok && !both.within(members(m)) {
				t.Fatalf("%v with the low %d bits of %v: got %v %v, want %v", a, n, o, m, ok, both.list())
			}
			back.all++
			if ok != !both.empty() || ok && m != best(both) {
				back.wide++
			}
		}
	}
	c.atMost(t, "extend", 32)
	back.atMost(t, "meet low", 7)
}

// TestAssume decides every branch on random pairs, both edges.
func TestAssume(t *testing.T) {
	r := source{rand.New(rand.NewSource(6))}
	c := make([]tally, len(jmpOps))
	for range count(700, 20000) {
		a, b := r.scalar(), r.scalar()
		if r.Intn(2) == 0 {
			b = Const(edges[r.Intn(len(edges))])
		}
		x, y := members(a).list(), members(b).list()
		for i, op := range jmpOps {
			for _, w := range []Width{W64, W32} {
				var left, right [2]values // by edge
				for _, p := range x {
					for _, q := range y {
						e := 0
						if branch(op.op, bitsOf(w), p, q) {
							e = 1
						}
						left[e].add(p)
						right[e].add(q)
					}
				}
				for e, taken := range []bool{false, true} {
					a2, b2, ok := Assume(op.op, w, taken, a, b)
					c[i].all++
					if !ok {
						if !left[e].empty() {
							t.Fatalf("%s %v %s %v, taken %v: held impossible, but %d can be", w, a, op.name, b, taken, left[e].list()[0])
						}
						continue
					}
					if !left[e].within(members(a2)) || !right[e].within(members(b2)) {
						t.Fatalf("%s %v %s %v, taken %v: got %v and %v, want %v and %v", w, a, op.name, b, taken, a2, b2, left[e].list(), right[e].list())
					}
					if !a2.Leq(a) || !b2.Leq(b) {
						t.Fatalf("%s %v %s %v, taken %v: got %v and %v, which is not less", w, a, op.name, b, taken, a2, b2)
					}
					if left[e].empty() || a2 != best(left[e]) || b2 != best(right[e]) {
						c[i].wide++
					}
				}
			}
		}
	}
	for i, op := range jmpOps {
		if op.op == isa.JSet {
			c[i].atMost(t, op.name, 14)
		} else {
			c[i].atMost(t, op.name, 2)
		}
	}
}

// TestAssumeSame compares one register with itself.
func TestAssumeSame(t *testing.T) {
	r := source{rand.New(rand.NewSource(7))}
	for range count(2000, 20000) {
		a := r.scalar()
		for _, op := range jmpOps {
			for _, w := range []Width{W64, W32} {
				for _, taken := range []bool{false, true} {
					var want values
					for _, p := range members(a).list() {
						if branch(op.op, bitsOf(w), p, p) == taken {
							want.add(p)
						}
					}
					got, ok := AssumeSame(op.op, w, taken, a)
					if !ok && !want.empty() || ok && !want.within(members(got)) {
						t.Fatalf("%s %v %s itself, taken %v: got %v %v, want %v", w, a, op.name, taken, got, ok, want.list())
					}
					if ok && op.op != isa.JSet && want.empty() && !members(a).empty() {
						t.Fatalf("%s %v %s itself, taken %v: got %v, which cannot be", w, a, op.name, taken, got)
					}
				}
			}
		}
	}
}

// TestBackward goes from results that something else narrowed to operands.
func TestBackward(t *testing.T) {
	r := source{rand.New(rand.NewSource(8))}
	c := make([]tally, len(aluOps))
	limits := map[string]float64{"add": 27, "sub": 27, "and": 35, "or": 36, "xor": 18, "lsh": 49, "rsh": 9, "arsh": 31}
	for range count(2500, 60000) {
		pre, post, k := r.scalar(), r.scalar(), uint64(r.Intn(wordMask+1))
		for i, op := range aluOps {
			for _, w := range []Width{W64, W32} {
				var want values
				for _, p := range members(pre).list() {
					if post.Contains(machine(op.op, bitsOf(w), false, p, k)) {
						want.add(p)
					}
				}
				got, ok := Backward(op.op, w, pre, post, k)
				if !ok && !want.empty() || ok && !want.within(members(got)) {
					t.Fatalf("%s x %s %d in %v, x in %v: got %v %v, want %v", w, op.name, k, post, pre, got, ok, want.list())
				}
				if ok && !got.Leq(pre) {
					t.Fatalf("%s x %s %d in %v, x in %v: got %v, which is not less", w, op.name, k, post, pre, got)
				}
				c[i].all++
				if ok == want.empty() || ok && got != best(want) {
					c[i].wide++
				}
			}
		}
	}
	for i, op := range aluOps {
		if limit, inverted := limits[op.name]; inverted {
			c[i].atMost(t, op.name, limit)
		}
	}
}

// TestLattice checks order, join, meet and widening on random pairs.
func TestLattice(t *testing.T) {
	r := source{rand.New(rand.NewSource(9))}
	var c tally
	th := NewThresholds(3, 17, 100, 200)
	for range count(30000, 1000000) {
		a, b := r.scalar(), r.scalar()
		x, y := members(a), members(b)
		if a.Leq(b) && !x.within(y) {
			t.Fatalf("%v <= %v, but not their members", a, b)
		}
		join := a.Join(b)
		if !a.Leq(join) || !b.Leq(join) || join != b.Join(a) || a.Leq(b) != (join == b) {
			t.Fatalf("join of %v and %v: %v", a, b, join)
		}
		checkReduced(t, "join", join)
		m, ok := a.Meet(b)
		var both values
		for i := range both {
			both[i] = x[i] & y[i]
		}
		if !ok && !both.empty() || ok && !both.within(members(m)) {
			t.Fatalf("meet of %v and %v: got %v %v", a, b, m, ok)
		}
		if ok && (!m.Leq(a) || !m.Leq(b)) {
			t.Fatalf("meet of %v and %v: got %v, which is above one", a, b, m)
		}
		if n, ok := a.Meet(join); !ok || n != a {
			t.Fatalf("meet of %v and join %v: got %v %v", a, join, n, ok)
		}
		c.all++
		if ok == both.empty() || ok && m != best(both) {
			c.wide++
		}
		w := Widen(a, b, &th)
		if !join.Leq(w) {
			t.Fatalf("widening of %v by %v: got %v", a, b, w)
		}
		checkReduced(t, "widening", w)
	}
	c.atMost(t, "meet", 0.4)
}
