package zone

import (
	"math"
	"math/big"
	"math/rand"
	"testing"
)

// A model is the facts over the first n variables as a plain matrix, closed by
// Floyd and Warshall's algorithm over integers of any size; nil is no bound.
type model struct {
	n int
	d [][]*big.Int
}

func newModel(n int) *model {
	m := &model{n: n, d: make([][]*big.Int, n)}
	for i := range m.d {
		m.d[i] = make([]*big.Int, n)
		m.d[i][i] = new(big.Int)
	}
	return m
}

func (m *model) clone() *model {
	c := newModel(m.n)
	for i := range m.d {
		copy(c.d[i], m.d[i])
	}
	return c
}

func lower(a, b *big.Int) *big.Int {
	if a == nil || b != nil && b.Cmp(a) < 0 {
		return b
	}
	return a
}

// add adds a fact, closes, and reports whether the facts can hold together.
func (m *model) add(x, y Var, c int64) bool {
	m.d[x][y] = lower(m.d[x][y], big.NewInt(c))
	return m.close()
}

func (m *model) close() bool {
	for k := range m.d {
		for i := range m.d {
			for j := range m.d {
				if m.d[i][k] != nil && m.d[k][j] != nil {
					m.d[i][j] = lower(m.d[i][j], new(big.Int).Add(m.d[i][k], m.d[k][j]))
				}
			}
		}
	}
	for i := range m.d {
		if m.d[i][i].Sign() < 0 {
			return false
		}
	}
	return true
}

func (m *model) forget(v Var) {
	for i := range m.d {
		if i != int(v) {
			m.d[i][v], m.d[v][i] = nil, nil
		}
	}
}

func (m *model) join(o *model) *model {
	j := newModel(m.n)
	for x := range m.d {
		for y := range m.d {
			if a, b := m.d[x][y], o.d[x][y]; a != nil && b != nil {
				if j.d[x][y] = a; b.Cmp(a) > 0 {
					j.d[x][y] = b
				}
			}
		}
	}
	return j
}

// check fails unless z has the bounds of m.
func (m *model) check(t *testing.T, what string, z Zone) {
	t.Helper()
	for x := range m.d {
		for y := range m.d {
			c, ok := z.Upper(Var(x), Var(y))
			if want := m.d[x][y]; ok != (want != nil) || ok && big.NewInt(c).Cmp(want) != 0 {
				t.Fatalf("%s: v%d-v%d <= %d (%v), want %v, in %v", what, x, y, c, ok, want, z)
			}
		}
	}
	var mentioned uint64
	z.Each(func(x, y Var, _ int64) { mentioned |= 1<<x | 1<<y })
	if mentioned != z.Vars() || z.size()*z.size() != len(z.bound) {
		t.Fatalf("%s: variables %#x and %d bounds, but facts about %#x", what, z.Vars(), len(z.bound), mentioned)
	}
}

// frozen remembers what Zones were, to show that nothing changes them.
type frozen []struct {
	z     Zone
	bound []int64
}

func (f *frozen) add(z Zone) {
	*f = append(*f, struct {
		z     Zone
		bound []int64
	}{z, append([]int64(nil), z.bound...)})
}

func (f frozen) check(t *testing.T) {
	t.Helper()
	for _, e := range f {
		if !e.z.Equal(Zone{e.z.vars, e.bound}) {
			t.Fatalf("%v was %v", e.z, Zone{e.z.vars, e.bound})
		}
	}
}

// TestModel runs random edits on a Zone and on the model and compares every
// bound after each.
func TestModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	runs := 4000
	if testing.Short() {
		runs = 600
	}
	var seen frozen
	for run := range runs {
		n := 2 + r.Intn(6)
		v := func() Var { return Var(r.Intn(n)) }
		z, m := Zone{}, newModel(n)
		other, om := Zone{}, newModel(n)
		for range 40 {
			if run%50 == 0 {
				seen.add(z)
			}
			x, y, c := v(), v(), int64(r.Intn(21)-8)
			before := z
			switch r.Intn(12) {
			case 0:
				z = z.Forget(x)
				m.forget(x)
				m.check(t, "forget", z)
			case 1:
				z = z.Shift(x, c)
				for i := range n {
					if i == int(x) {
						continue
					}
					if m.d[x][i] != nil {
						m.d[x][i] = new(big.Int).Add(m.d[x][i], big.NewInt(c))
					}
					if m.d[i][x] != nil {
						m.d[i][x] = new(big.Int).Sub(m.d[i][x], big.NewInt(c))
					}
				}
				m.check(t, "shift", z)
			case 2:
				if x != y {
					z = z.Assign(x, y, c)
					m.forget(x)
					m.add(x, y, c)
					m.add(y, x, -c)
					m.check(t, "assign", z)
				}
			case 3: // keep this state, and go on from an older one
				z, m, other, om = other, om.clone(), z, m
				m.check(t, "older", z)
			case 4:
				j := z.Join(other)
				m.join(om).check(t, "join", j)
				if !z.Leq(j) || !other.Leq(j) || !j.Equal(other.Join(z)) || z.Leq(other) != j.Equal(other) {
					t.Fatalf("join of %v and %v: %v", z, other, j)
				}
				z, m = j, m.join(om)
			case 5:
				both := newModel(n)
				for i := range n {
					for k := range n {
						both.d[i][k] = lower(m.d[i][k], om.d[i][k])
					}
				}
				meet, ok := z.Meet(other)
				if possible := both.close(); ok != possible {
					t.Fatalf("meet of %v and %v: %v, want %v", z, other, ok, possible)
				}
				if ok {
					both.check(t, "meet", meet)
					if !meet.Leq(z) || !meet.Leq(other) {
						t.Fatalf("meet of %v and %v: %v", z, other, meet)
					}
					z, m = meet, both
				}
			case 6:
				vars := uint64(r.Intn(1 << n))
				z = z.Keep(vars)
				for i := range n {
					if vars>>i&1 == 0 {
						m.forget(Var(i))
					}
				}
				m.check(t, "keep", z)
			case 7:
				var to [MaxVars]Var
				renamed := newModel(n)
				p := r.Perm(n)
				gone := r.Intn(2 * n)
				for i := range n {
					to[i] = Var(p[i])
					if i == gone {
						to[i] = Gone
						m.forget(Var(i))
					}
				}
				for i := range n {
					for k := range n {
						renamed.d[p[i]][p[k]] = m.d[i][k]
					}
				}
				z, m = z.Rename(&to), renamed
				m.check(t, "rename", z)
			default:
				after := m.clone()
				possible := after.add(x, y, c)
				next, ok := z.Add(x, y, c)
				if ok != possible {
					t.Fatalf("%v with v%d-v%d<=%d: %v, want %v", z, x, y, c, ok, possible)
				}
				if ok {
					z, m = next, after
					m.check(t, "add", z)
				}
			}
			if z.Equal(before) != (z.Leq(before) && before.Leq(z)) {
				t.Fatalf("%v and %v: equality and order disagree", z, before)
			}
		}
		seen.check(t)
		seen = seen[:0]
	}
}

// TestPoints checks a few operations against the sets of points themselves.
func TestPoints(t *testing.T) {
	const lim = 3
	type point [3]int64
	holds := func(z Zone, p point) bool {
		ok := true
		z.Each(func(x, y Var, c int64) { ok = ok && p[x]-p[y] <= c })
		return ok
	}
	each := func(f func(p point)) {
		for a := int64(-lim); a <= lim; a++ {
			for b := int64(-lim); b <= lim; b++ {
				for c := int64(-lim); c <= lim; c++ {
					f(point{a, b, c})
				}
			}
		}
	}
	r := rand.New(rand.NewSource(2))
	random := func() Zone {
		var z Zone
		for range r.Intn(4) {
			if next, ok := z.Add(Var(r.Intn(3)), Var(r.Intn(3)), int64(r.Intn(7)-3)); ok {
				z = next
			}
		}
		return z
	}
	for range 2000 {
		z, o := random(), random()
		v, y, c := Var(r.Intn(3)), Var(r.Intn(3)), int64(r.Intn(5)-2)
		added, addOK := z.Add(v, y, c)
		meet, meetOK := z.Meet(o)
		join, widened := z.Join(o), z.Widen(o, []int64{0})
		shifted, assigned, forgotten := z.Shift(v, c), z.Assign(v, y, c), z.Forget(v)
		kept := z.Filter(func(x, _ Var, _ int64) bool { return x != v })
		each(func(p point) {
			inZ, inO := holds(z, p), holds(o, p)
			want := inZ && p[v]-p[y] <= c
			if want != (addOK && holds(added, p)) {
				t.Fatalf("%v with v%d-v%d<=%d at %v: %v %v", z, v, y, c, p, added, addOK)
			}
			if (inZ && inO) != (meetOK && holds(meet, p)) {
				t.Fatalf("meet of %v and %v at %v: %v %v", z, o, p, meet, meetOK)
			}
			if (inZ || inO) && !(holds(join, p) && holds(widened, p)) {
				t.Fatalf("%v and %v at %v: join %v, widening %v", z, o, p, join, widened)
			}
			if inZ && !holds(kept, p) {
				t.Fatalf("%v at %v: filtered to %v", z, p, kept)
			}
			if !inZ {
				return
			}
			q := p
			q[v] += c
			if !holds(shifted, q) {
				t.Fatalf("%v at %v: shifted by %d is %v, without %v", z, p, c, shifted, q)
			}
			q = p
			q[v] = p[y] + c
			if !holds(assigned, q) {
				t.Fatalf("%v at %v: v%d=v%d%+d gives %v, without %v", z, p, v, y, c, assigned, q)
			}
			q[v] = int64(r.Intn(100) - 50)
			if !holds(forgotten, q) {
				t.Fatalf("%v at %v: without v%d is %v, without %v", z, p, v, forgotten, q)
			}
		})
	}
}

// TestHuge adds facts with bounds at the ends of int64: what a Zone says is
// never stronger than what follows over the integers, and it holds possible
// whatever is.
func TestHuge(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	ends := []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt64 / 2, -1, 0, 1, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64}
	for range 5000 {
		const n = 4
		z, m := Zone{}, newModel(n)
		for range 15 {
			x, y, c := Var(r.Intn(n)), Var(r.Intn(n)), ends[r.Intn(len(ends))]
			if r.Intn(4) == 0 && x != y {
				z = z.Assign(x, y, c)
				m.forget(x)
				m.d[x][y] = big.NewInt(c)
				m.d[y][x] = new(big.Int).Neg(big.NewInt(c))
				m.close()
			} else {
				after := m.clone()
				possible := after.add(x, y, c)
				next, ok := z.Add(x, y, c)
				if possible && !ok {
					t.Fatalf("%v with v%d-v%d<=%d: held impossible", z, x, y, c)
				}
				if !possible || !ok {
					continue
				}
				z, m = next, after
			}
			z.Each(func(x, y Var, c int64) {
				if m.d[x][y] == nil || m.d[x][y].Cmp(big.NewInt(c)) > 0 {
					t.Fatalf("%v: v%d-v%d<=%d, but only %v follows", z, x, y, c, m.d[x][y])
				}
			})
		}
	}
}

// TestWidenStops counts the steps of chains that something new is joined into
// at each step.
func TestWidenStops(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	stops := []int64{-1, 0, 14, 64}
	for range 500 {
		const n = 5
		random := func() Zone {
			var z Zone
			for range 12 {
				if next, ok := z.Add(Var(r.Intn(n)), Var(r.Intn(n)), int64(r.Intn(100)-30)); ok {
					z = next
				}
			}
			return z
		}
		z := random()
		changes := 0
		for range 300 {
			next := z.Widen(random(), stops)
			if !z.Leq(next) {
				t.Fatalf("%v widened to %v", z, next)
			}
			if !next.Equal(z) {
				changes++
			}
			z = next
		}
		if changes > n*(n-1)*(len(stops)+1) {
			t.Fatalf("%d changes", changes)
		}
	}
}

// TestUnchanged checks that operations without an effect return their operand
// and allocate nothing.
func TestUnchanged(t *testing.T) {
	z, _ := Zone{}.Add(0, 1, 5)
	z, _ = z.Add(1, 2, -3)
	weaker, _ := Zone{}.Add(0, 2, 10)
	for _, tc := range []struct {
		name string
		f    func() Zone
	}{
		{"add", func() Zone { r, _ := z.Add(0, 2, 2); return r }},
		{"forget", func() Zone { return z.Forget(7) }},
		{"keep", func() Zone { return z.Keep(7) }},
		{"shift", func() Zone { return z.Shift(9, 4) }},
		{"join", func() Zone { return z.Join(z) }},
		{"meet", func() Zone { r, _ := z.Meet(weaker); return r }},
		{"widen", func() Zone { return z.Widen(z, nil) }},
		{"rename", func() Zone {
			var to [MaxVars]Var
			for i := range to {
				to[i] = Var(i)
			}
			return z.Rename(&to)
		}},
		{"filter", func() Zone { return z.Filter(func(Var, Var, int64) bool { return true }) }},
	} {
		if got := tc.f(); !got.shares(z) {
			t.Errorf("%s: got a new Zone, %v", tc.name, got)
		}
		if n := testing.AllocsPerRun(100, func() { tc.f() }); n != 0 {
			t.Errorf("%s: %v allocations", tc.name, n)
		}
	}
	if got := z.Join(weaker); got.String() != "v0-v2<=10" {
		t.Errorf("join: got %v", got)
	}
}

func BenchmarkZone(b *testing.B) {
	var z Zone
	for v := range Var(8) {
		z, _ = z.Add(v, v+1, int64(v))
		z, _ = z.Add(v+1, v, 10)
	}
	other := z.Forget(3)
	for _, bc := range []struct {
		name string
		f    func() Zone
	}{
		{"add/implied", func() Zone { r, _ := z.Add(0, 8, 1000); return r }},
		{"add/new", func() Zone { r, _ := z.Add(0, 8, 3); return r }},
		{"forget", func() Zone { return z.Forget(4) }},
		{"join", func() Zone { return z.Join(other) }},
		{"shift", func() Zone { return z.Shift(4, 1) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = bc.f()
			}
		})
	}
}

var sink Zone
