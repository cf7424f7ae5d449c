package state

import (
	"math"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// Same reports whether s and t have the same shape: the same frames, and the
// same kind of thing, object by object, in every live location. Only states of
// the same shape are joined or compared. Both must be canonical.
func (s *State) Same(t *State) bool {
	if len(s.Frames) != len(t.Frames) || len(s.Objs) != len(t.Objs) || s.Held != t.Held {
		return false
	}
	for i := 1; i < len(s.Objs); i++ {
		if s.Objs[i] != t.Objs[i] {
			return false
		}
	}
	for i := range s.Frames {
		f, g := &s.Frames[i], &t.Frames[i]
		if f.Func != g.Func || f.Call != g.Call || f.Kind != g.Kind || f.Refs != g.Refs {
			return false
		}
		for r := range f.Regs {
			if !f.Regs[r].alike(g.Regs[r]) {
				return false
			}
		}
		if !sameCells(f.Stack.cells, g.Stack.cells) {
			return false
		}
	}
	if len(s.Ghosts) != len(t.Ghosts) {
		return false
	}
	for i := range s.Ghosts {
		if g, h := &s.Ghosts[i], &t.Ghosts[i]; g.Loop != h.Loop || g.Place != h.Place {
			return false
		}
	}
	return s.packet == t.packet && s.meta == t.meta
}

func (r Reg) alike(q Reg) bool { return r.Kind == q.Kind && r.Obj == q.Obj }

// sameCells compares the pointers on two stacks; scalars do not matter.
func sameCells(a, b []Cell) bool {
	i, j := 0, 0
	for {
		for i < len(a) && a[i].Reg.Kind == Scalar {
			i++
		}
		for j < len(b) && b[j].Reg.Kind == Scalar {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if a[i].Off != b[j].Off || !a[i].Reg.alike(b[j].Reg) {
			return false
		}
		i, j = i+1, j+1
	}
}

// Equal reports whether s and t know the same of the same locations. Both must
// be canonical.
func (s *State) Equal(t *State) bool {
	return s.Same(t) && slices.Equal(s.Vals, t.Vals) && slices.Equal(s.Edges, t.Edges) && slices.Equal(s.Ghosts, t.Ghosts) &&
		slices.EqualFunc(s.Frames, t.Frames, func(f, g Frame) bool {
			return f.Regs == g.Regs && f.Stack.init == g.Stack.init && slices.Equal(f.Stack.cells, g.Stack.cells)
		})
}

// A pair is a value as two states know it: A.V in one and B.V + D in the other.
type pair struct {
	a, b ValID
	d    int64
}

// pairs maps the values of two states onto common ones.
type pairs struct {
	s, t *State
	list []pair  // by common ValID; list[PacketLen] pairs the packet lengths
	base []int64 // the common value is s's a + base

	factor []factor // by common ValID, after linear
	moved  []int64  // by how much linear changed base
}

// A factor says that a value is by times the value of.
type factor struct {
	of ValID
	by int64
}

// maxFactor bounds the ratios that linear looks for.
const maxFactor = 1 << 16

// linear finds values that are multiples of others in both states, such as an
// index and the offset that moves with it: constants whose differences have an
// integer ratio, or multiples from before. It chooses their base so that the
// ratio holds of the values themselves, and reports whether it changed one.
func (p *pairs) linear() (changed bool) {
	n := len(p.list)
	p.moved = cleared(&p.moved, n)
	operand := cleared(&p.s.pool.known, n)
	for v := int(firstVal); v < n; v++ {
		if operand[v] {
			continue
		}
		for w := int(firstVal); w < n; w++ {
			if w == v || p.factor[w].of != Zero {
				continue
			}
			by, c, ok := p.ratio(ValID(v), ValID(w))
			if !ok {
				continue
			}
			p.factor[v] = factor{ValID(w), by}
			p.moved[v] = c
			p.base[v] += c
			operand[w] = true
			changed = changed || c != 0
			break
		}
	}
	return changed
}

// ratio returns by and c for which v + c = by·w holds in both states; ok is
// false if none is found.
func (p *pairs) ratio(v, w ValID) (by, c int64, ok bool) {
	k, m := p.list[v], p.list[w]
	d, e := p.s.Vals[k.a].Def, p.t.Vals[k.b].Def
	switch {
	case k.a != Zero && multiple(d):
		by = d.BC
	case k.b != Zero && multiple(e):
		by = e.BC
	case k.a == Zero && k.b == Zero && m.a == Zero && m.b == Zero && m.d != 0 && k.d%m.d == 0:
		by = k.d / m.d
	}
	if by < 2 || by > maxFactor {
		return 0, 0, false
	}
	x, y := p.in(v)
	xw, yw := p.in(w)
	c, ok = p.s.bias(x, xw, by)
	if c2, ok2 := p.t.bias(y, yw, by); !ok || !ok2 || c != c2 || abs(c) > 1<<40 {
		return 0, 0, false
	}
	return by, c, true
}

// bias returns the c for which x + c = by·y.
func (s *State) bias(x, y Reg, by int64) (c int64, ok bool) {
	if x.V != Zero {
		if d := s.Vals[x.V].Def; !multiple(d) || d.BC != by || d.A != y.V {
			return 0, false
		}
	} else if y.V != Zero {
		return 0, false
	}
	return by*y.C - x.C, true
}

// multiple reports whether d is a value times a constant.
func multiple(d Def) bool {
	return d.Op == OpALU64 && d.ALU == isa.Mul && d.B == Zero && d.AC == 0
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}

// rebaseLocations follows the changes of base that linear made.
func (s *State) rebaseLocations(p *pairs) {
	s.locations(func(r *Reg) {
		if r.Kind != Unreadable {
			r.C -= p.moved[r.V]
		}
	})
}

func newPairs(s, t *State) *pairs {
	p := &s.pool.pairs
	p.s, p.t = s, t
	p.list = append(p.list[:0], make([]pair, firstVal)...)
	p.base = append(p.base[:0], make([]int64, firstVal)...)
	p.list[PacketLen] = pair{PacketLen, PacketLen, 0}
	p.list[MetaLen] = pair{MetaLen, MetaLen, 0}
	return p
}

// find returns the common location of x in s and y in t; ok is false if there
// is none yet.
func (p *pairs) find(x, y Reg) (ValID, int64, bool) {
	if x.V == Zero && y.V == Zero && x.C == y.C {
		return Zero, x.C, true
	}
	k := pair{x.V, y.V, y.C - x.C}
	for i := int(PacketLen); i < len(p.list); i++ {
		if p.list[i] == k {
			return ValID(i), x.C - p.base[i], true
		}
	}
	return 0, 0, false
}

// common returns the common location of x in s and y in t, adding a value if
// there is none yet.
//
// Locations that differ by the same constant in both states share a value, so
// that linear relations between them survive the join.
func (p *pairs) common(x, y Reg) (ValID, int64) {
	if v, c, ok := p.find(x, y); ok {
		return v, c
	}
	base := int64(0)
	if x.V == Zero || y.V == Zero {
		base = x.C // so that widening sees the number itself
	}
	p.list = append(p.list, pair{x.V, y.V, y.C - x.C})
	p.base = append(p.base, base)
	return ValID(len(p.list) - 1), x.C - base
}

// in returns the common value v as locations of s and of t.
func (p *pairs) in(v ValID) (x, y Reg) {
	k := p.list[v]
	return Reg{Kind: Scalar, V: k.a, C: p.base[v]}, Reg{Kind: Scalar, V: k.b, C: p.base[v] + k.d}
}

// A Merge says how Join combines what is known of one value: the least upper
// bound, or a widening from the older to the newer.
type Merge func(older, newer scalar.Scalar) scalar.Scalar

// Join returns a state that describes everything that s or t describes. They
// must be canonical and have the same shape; so is the result. With widening as
// merge, s is the older state, and a chain of joins with it stops growing.
//
// Values get their numbers in the order in which locations mention them, which
// is Canon's; no location of a shape loses its object.
func Join(s, t *State, merge Merge, widening bool) *State {
	p := newPairs(s, t)
	u := s.pool.get()
	u.Frames = append(u.Frames[:0], s.Frames...)
	u.Objs = append(u.Objs[:0], s.Objs...)
	u.Edges, u.Ghosts = u.Edges[:0], u.Ghosts[:0]
	u.packet, u.meta, u.Trace, u.Joined = s.packet, s.meta, t.Trace, true
	u.Held = s.Held
	for i := range u.Frames {
		f, g := &u.Frames[i], &t.Frames[i]
		for r := range f.Regs {
			f.Regs[r] = p.reg(f.Regs[r], g.Regs[r])
		}
		f.Stack = p.memory(&f.Stack, &g.Stack)
	}
	for i := range s.Ghosts {
		g := s.Ghosts[i]
		g.Reg = p.reg(g.Reg, t.Ghosts[i].Reg)
		u.Ghosts = append(u.Ghosts, g)
	}
	p.factor = cleared(&p.factor, len(p.list))
	if (widening || len(s.Ghosts) > 0) && p.linear() { // ratios matter in loops alone
		u.rebaseLocations(p)
	}
	u.Vals = append(u.Vals[:0], make([]Val, len(p.list))...)
	u.Vals[Zero].Num = scalar.Const(0)
	for v := int(PacketLen); v < len(p.list); v++ {
		if k := p.list[v]; k.a != Zero && k.b != Zero && k.d == 0 && p.base[v] == 0 && s.Vals[k.a].Num == t.Vals[k.b].Num {
			// What both know of it needs no merge.
			u.Vals[v] = Val{Num: s.Vals[k.a].Num, Def: p.defOf(ValID(v))}
			continue
		}
		x, y := p.in(ValID(v))
		c := int64(0)
		if widening {
			c = u.offset(ValID(v)) // thresholds are about locations
		}
		x.C, y.C = x.C+c, y.C+c
		u.Vals[v].Num = merge(s.Num(x), t.Num(y))
		if c != 0 {
			u.Vals[v].Num = scalar.Sub(u.Vals[v].Num, scalar.Const(uint64(c)))
		}
		u.Vals[v].Def = p.defOf(ValID(v))
	}
	p.edges(u, widening)
	u.sortEdges()
	u.tighten()
	return u
}

// offset returns what the first location of v adds to it.
func (s *State) offset(v ValID) (c int64) {
	found := false
	s.locations(func(r *Reg) {
		if !found && r.Kind != Unreadable && r.V == v {
			found, c = true, r.C
		}
	})
	return c
}

func (p *pairs) reg(x, y Reg) Reg {
	if x.Kind == Unreadable || x.Kind != y.Kind {
		return Reg{}
	}
	v, c := p.common(x, y)
	return Reg{Kind: x.Kind, Obj: x.Obj, V: v, C: c}
}

func (p *pairs) memory(a, b *Memory) Memory {
	m := Memory{cells: p.s.pool.cellsFor(len(a.cells))}
	for i := range m.init {
		m.init[i] = a.init[i] & b.init[i]
	}
	i, j := 0, 0
	for i < len(a.cells) && j < len(b.cells) {
		x, y := a.cells[i], b.cells[j]
		switch {
		case x.Off == y.Off && x.Size == y.Size:
			if x.Reg.alike(y.Reg) {
				m.cells = append(m.cells, Cell{x.Off, x.Size, p.reg(x.Reg, y.Reg)})
			}
			i, j = i+1, j+1
		case int(x.Off)+int(x.Size) <= int(y.Off)+int(y.Size):
			i++
		default:
			j++
		}
	}
	return m
}

// defOf returns the definition of the common value v.
func (p *pairs) defOf(v ValID) Def {
	if f := p.factor[v]; f.of != Zero {
		return Def{Op: OpALU64, ALU: isa.Mul, A: f.of, BC: f.by}
	}
	return p.def(v)
}

// def returns the definition that v has in both states, if any.
func (p *pairs) def(v ValID) Def {
	k := p.list[v]
	if k.a == Zero || k.b == Zero || p.base[v] != 0 || k.d != 0 {
		return Def{}
	}
	d, e := p.s.Vals[k.a].Def, p.t.Vals[k.b].Def
	if d.Op == NoDef || d.Op != e.Op || d.ALU != e.ALU || d.Off != e.Off {
		return Def{}
	}
	a, ac, ok := p.find(Reg{Kind: Scalar, V: d.A, C: d.AC}, Reg{Kind: Scalar, V: e.A, C: e.AC})
	if !ok {
		return Def{}
	}
	r := Def{Op: d.Op, ALU: d.ALU, Off: d.Off, A: a, AC: ac}
	if d.Op == OpZext {
		r.AC = int64(int32(ac))
		return r
	}
	r.B, r.BC, ok = p.find(Reg{Kind: Scalar, V: d.B, C: d.BC}, Reg{Kind: Scalar, V: e.B, C: e.BC})
	if !ok {
		return Def{}
	}
	return r
}

// farEdge bounds the difference bounds that a join computes: larger ones hardly
// ever decide anything.
const farEdge = 1 << 20

// tighten applies definitions and difference bounds to the ranges, once.
func (s *State) tighten() {
	for v := int(firstVal); v < len(s.Vals); v++ {
		if d := &s.Vals[v].Def; d.Op != NoDef {
			if m, ok := s.Vals[v].Num.Meet(s.eval(d)); ok {
				s.Vals[v].Num = m
			}
		}
	}
	for _, e := range s.Edges {
		x, y := &s.Vals[e.X].Num, &s.Vals[e.Y].Num
		if hi, overflow := addInt(y.SMax(), e.C); !overflow && hi < x.SMax() {
			if m, ok := x.Meet(scalar.Signed(math.MinInt64, hi)); ok {
				*x = m
			}
		}
		if lo, overflow := subInt(x.SMin(), e.C); !overflow && lo > y.SMin() {
			if m, ok := y.Meet(scalar.Signed(lo, math.MaxInt64)); ok {
				*y = m
			}
		}
	}
}

// edges adds to u the difference bounds that hold in both states: those that
// either state lists, and those between packet offsets and the packet's end,
// which may be plain in both and differ.
func (p *pairs) edges(u *State, widening bool) {
	try := func(v, w ValID) {
		if v == w || v == Zero || w == Zero {
			return
		}
		xa, ya := p.in(v)
		xb, yb := p.in(w)
		c, ok := p.s.DiffReg(xa, xb)
		if !ok {
			return
		}
		d, ok := p.t.DiffReg(ya, yb)
		if !ok || widening && d > c || max(c, d) > farEdge {
			return
		}
		u.AddEdge(v, w, max(c, d))
	}
	if widening {
		// What the ranges say now is lost when they widen: every bound between
		// two values that did not grow is kept.
		for v := PacketLen; int(v) < len(p.list); v++ {
			for w := PacketLen; int(w) < len(p.list); w++ {
				try(v, w)
			}
		}
		return
	}
	for _, e := range p.s.Edges {
		p.each(e.X, true, func(v ValID) { p.each(e.Y, true, func(w ValID) { try(v, w) }) })
	}
	for _, e := range p.t.Edges {
		p.each(e.X, false, func(v ValID) { p.each(e.Y, false, func(w ValID) { try(v, w) }) })
	}
	for _, g := range u.Ghosts {
		for v := firstVal; int(v) < len(p.list); v++ {
			try(g.Reg.V, v)
			try(v, g.Reg.V)
		}
	}
	if p.s.packet != 0 {
		done := ValID(0)
		u.locations(func(r *Reg) {
			if r.Kind == Packet && r.V > MetaLen && r.V != done {
				done = r.V
				try(r.V, PacketLen)
			}
		})
	}
}

// each calls f with the common values that v of s, or of t, takes part in.
func (p *pairs) each(v ValID, ofS bool, f func(ValID)) {
	for i := int(PacketLen); i < len(p.list); i++ {
		if ofS && p.list[i].a == v || !ofS && p.list[i].b == v {
			f(ValID(i))
		}
	}
}

// DiffReg returns the least c for which x − y ≤ c is known of two scalars read
// as signed integers. ok is false if none is.
func (s *State) DiffReg(x, y Reg) (int64, bool) {
	if !s.exact(x.V, x.C) || !s.exact(y.V, y.C) {
		return 0, false
	}
	c, ok := s.Diff(x.V, y.V)
	if !ok {
		return 0, false
	}
	c, o1 := addInt(c, x.C)
	c, o2 := subInt(c, y.C)
	return c, !o1 && !o2
}

// Leq reports whether t describes everything that s describes. They must have
// the same shape.
func (s *State) Leq(t *State) bool {
	// match[v] is t's value v as a location of s.
	match := cleared(&s.pool.match, len(t.Vals))
	known, checked := cleared(&s.pool.known, len(t.Vals)), cleared(&s.pool.todo, len(t.Vals))
	known[Zero], known[PacketLen], known[MetaLen] = true, true, true
	match[Zero] = Const(0)
	match[PacketLen] = Reg{Kind: Scalar, V: PacketLen}
	match[MetaLen] = Reg{Kind: Scalar, V: MetaLen}
	place := func(x, y Reg) bool { // x of s at a location that holds y in t
		if y.Kind == Unreadable {
			return true
		}
		if !x.alike(y) {
			return false
		}
		m := Reg{Kind: Scalar, V: x.V, C: x.C - y.C}
		if known[y.V] {
			return match[y.V] == m
		}
		known[y.V], match[y.V] = true, m
		return true
	}
	for i := range t.Frames {
		f, g := &s.Frames[i], &t.Frames[i]
		for r := range f.Regs {
			if !place(f.Regs[r], g.Regs[r]) {
				return false
			}
		}
		if !leqMemory(&f.Stack, &g.Stack, place) {
			return false
		}
	}
	for i := range t.Ghosts {
		if !place(s.Ghosts[i].Reg, t.Ghosts[i].Reg) {
			return false
		}
	}
	// Definitions may lead to values that no location holds; those are matched
	// through the definitions of s.
	for todo := true; todo; {
		todo = false
		for v := int(PacketLen); v < len(t.Vals); v++ {
			if !known[v] || checked[v] {
				continue
			}
			checked[v], todo = true, true
			if !s.Num(match[v]).Leq(t.Vals[v].Num) {
				return false
			}
			if d := &t.Vals[v].Def; d.Op != NoDef && !s.satisfies(match, known, match[v], d) {
				return false
			}
		}
	}
	for _, e := range t.Edges {
		if !known[e.X] || !known[e.Y] {
			return false
		}
		if c, ok := s.DiffReg(match[e.X], match[e.Y]); !ok || c > e.C {
			return false
		}
	}
	return true
}

func leqMemory(a, b *Memory, place func(x, y Reg) bool) bool {
	for i := range a.init {
		if b.init[i]&^a.init[i] != 0 {
			return false
		}
	}
	i := 0
	for _, y := range b.cells {
		for i < len(a.cells) && a.cells[i].Off < y.Off {
			i++
		}
		if i == len(a.cells) || a.cells[i].Off != y.Off || a.cells[i].Size != y.Size || !place(a.cells[i].Reg, y.Reg) {
			return false
		}
	}
	return true
}

// satisfies reports whether r of s is what d computes, d's operands standing
// for the locations in match. An operand without a match gets the one that r's
// own definition gives it.
func (s *State) satisfies(match []Reg, known []bool, r Reg, d *Def) bool {
	var e *Def
	if r.V != Zero && r.C == 0 {
		if e = &s.Vals[r.V].Def; e.Op != d.Op || e.ALU != d.ALU || e.Off != d.Off {
			e = nil
		}
	}
	if e != nil && !known[d.A] {
		known[d.A], match[d.A] = true, Reg{Kind: Scalar, V: e.A, C: e.AC - d.AC}
	}
	if e != nil && !known[d.B] {
		known[d.B], match[d.B] = true, Reg{Kind: Scalar, V: e.B, C: e.BC - d.BC}
	}
	if !known[d.A] || !known[d.B] {
		return false
	}
	a, b := match[d.A], match[d.B]
	a.C += d.AC
	b.C += d.BC
	if d.Op == OpZext {
		a.C = int64(int32(a.C))
		if a.V == Zero && r.V == Zero {
			return uint64(uint32(a.C)) == uint64(r.C)
		}
		return e != nil && e.A == a.V && e.AC == a.C
	}
	if r.V != Zero && multiple(*d) && b.V == Zero && b.C == d.BC {
		// A multiple of a + c is the multiple of a, and c times the factor.
		if e := &s.Vals[r.V].Def; multiple(*e) && e.A == a.V && e.BC == d.BC && r.C == a.C*d.BC {
			return true
		}
	}
	if a.V == Zero && b.V == Zero && r.V == Zero {
		n := s.eval(&Def{Op: d.Op, ALU: d.ALU, Off: d.Off, AC: a.C, BC: b.C})
		return n.IsConst() && n.Bits().Value == uint64(r.C)
	}
	return e != nil && e.A == a.V && e.AC == a.C && e.B == b.V && e.BC == b.C
}

// Widening returns the Merge that widens with thresholds.
func Widening(t *scalar.Thresholds) Merge {
	return func(older, newer scalar.Scalar) scalar.Scalar {
		return scalar.Widen(older, newer, t)
	}
}

// Union is the Merge of plain joins.
func Union(older, newer scalar.Scalar) scalar.Scalar { return older.Join(newer) }
