package state

import (
	"slices"

	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A Past is what a state knew of its values and their differences.
type Past struct {
	vals  []Val
	edges []Edge
}

// Past returns what s knows now, in p.
func (s *State) Past(p *Past) *Past {
	p.vals = append(p.vals[:0], s.Vals...)
	p.edges = append(p.edges[:0], s.Edges...)
	return p
}

// NewChecker makes s ready to be held against runs. s may change afterwards. If
// past is not nil, it is of the state whose Checker held before, and which became
// s in one step.
//
// The order of the ops is that in which Holds learns: first what numbers
// locations hold, then addresses, those first that a known offset or a known
// object settles; then values that only a definition gives; in the end what
// must be true of all of them.
func NewChecker(s *State, past *Past) *Checker {
	m := &checkerMaker{s: s, past: past, k: &Checker{vals: len(s.Vals), objs: len(s.Objs), follows: past != nil}}
	if past == nil {
		m.past = &Past{}
	}
	m.known = cleared(&s.pool.known, len(s.Vals))
	m.placed = cleared(&s.pool.todo, len(s.Objs))
	m.known[Zero], m.known[PacketLen], m.known[MetaLen] = true, true, true
	for i := range s.Frames {
		m.k.frames = append(m.k.frames, s.Frames[i].Call)
	}
	m.k.ops = make([]check, 0, 24)
	m.objects()
	m.scalars()
	m.pointers()
	m.definitions()
	m.facts()
	return m.k
}

// A checkerMaker is one NewChecker under way. known and placed say what the
// ops so far settle, in a run without null pointers.
type checkerMaker struct {
	s      *State
	past   *Past
	k      *Checker
	known  []bool
	placed []bool
}

func (m *checkerMaker) emit(o check) { m.k.ops = append(m.k.ops, o) }

// objects places those of which there is one.
func (m *checkerMaker) objects() {
	for i := 1; i < len(m.s.Objs); i++ {
		o := &m.s.Objs[i]
		kind := o.Kind
		switch {
		case kind == Ctx || kind == MapPtr || kind == Func:
		case kind == Stack && int(o.Index) < len(m.s.Frames):
		case ObjID(i) == m.s.packet:
			kind = Packet
		case ObjID(i) == m.s.meta:
			kind = PacketMeta
		default:
			continue
		}
		m.emit(check{op: opPlace, obj: ObjID(i), kind: kind, index: o.Index})
		m.placed[i] = true
	}
}

// each calls f for every readable location.
func (m *checkerMaker) each(f func(r Reg, o check)) {
	for i := range m.s.Frames {
		fr := &m.s.Frames[i]
		for n, r := range fr.Regs {
			if r.Kind != Unreadable {
				f(r, check{frame: int16(i), at: int16(n), v: r.V, obj: r.Obj, c: r.C})
			}
		}
		for _, c := range fr.Stack.cells {
			f(c.Reg, check{frame: int16(i), at: c.Off + StackSize, size: c.Size, v: c.Reg.V, obj: c.Reg.Obj, c: c.Reg.C})
		}
	}
}

func (m *checkerMaker) scalars() {
	m.each(func(r Reg, o check) {
		if r.Kind != Scalar {
			return
		}
		if o.op = opScalar; r.V == Zero {
			o.op = opConst
		}
		m.known[r.V] = true
		m.emit(o)
	})
	for _, g := range m.s.Ghosts {
		m.known[g.Reg.V] = true
		m.emit(check{op: opNote, index: g.Loop, frame: int16(g.Place.Frame), at: g.Place.Off, v: g.Reg.V, c: g.Reg.C})
	}
}

// addressed reports whether pointers of kind k lie in memory.
func addressed(k Kind) bool {
	return k.IsPointer() && k != Object && k != Dynptr && k != Iter
}

// pointers emits each pointer once. One that what is certain by then does not
// settle comes a second time, because those after it may have, and is looked up
// if they have not.
func (m *checkerMaker) pointers() {
	var again []check
	m.each(func(r Reg, o check) {
		if !addressed(r.Kind) {
			return
		}
		obj := &m.s.Objs[r.Obj]
		o.op, o.nullable, o.bytes = opPointer, obj.Nullable, obj.Size
		switch obj.Kind {
		case MapValue, MapKey, Mem, RingBufMem:
			o.memory, o.whole = true, obj.Kind == MapValue
		}
		m.emit(o)
		switch settled := m.known[r.V] || m.placed[r.Obj]; {
		case !settled:
			again = append(again, o)
		case !obj.Nullable:
			m.known[r.V], m.placed[r.Obj] = true, true
		}
	})
	m.k.ops = append(m.k.ops, again...)
	for _, o := range again {
		o.op = opFind
		m.emit(o)
		m.known[o.v] = true
	}
}

// definitions emits those whose operands are known, in an order in which they
// are.
func (m *checkerMaker) definitions() {
	done := cleared(&m.s.pool.val, len(m.s.Vals))
	for v := int(firstVal); v < len(m.past.vals); v++ {
		m.known[v] = true // perhaps
		if m.past.vals[v].Def == m.s.Vals[v].Def {
			done[v] = 1
		}
	}
	for more := true; more; {
		more = false
		for v := int(PacketLen); v < len(m.s.Vals); v++ {
			d := &m.s.Vals[v].Def
			if done[v] != 0 || d.Op == NoDef || !m.known[d.A] || d.Op != OpZext && !m.known[d.B] {
				continue
			}
			m.emit(check{op: opDef, v: ValID(v), index: int32(len(m.k.defs))})
			m.k.defs = append(m.k.defs, *d)
			done[v] = 1
			more = more || !m.known[v]
			m.known[v] = true
		}
	}
}

// facts emits what is known of the values that can be known.
func (m *checkerMaker) facts() {
	top := scalar.Top()
	for v := int(PacketLen); v < len(m.s.Vals); v++ {
		if v >= int(firstVal) && v < len(m.past.vals) && m.past.vals[v].Num == m.s.Vals[v].Num {
			continue
		}
		if n := &m.s.Vals[v].Num; m.known[v] && *n != top {
			m.emit(check{op: opNumber, v: ValID(v), index: int32(len(m.k.nums))})
			m.k.nums = append(m.k.nums, newNumber(n))
		}
	}
	for _, e := range m.s.Edges {
		// The packet's length may change where the state's values do not.
		if e.X >= firstVal && e.Y >= firstVal && slices.Contains(m.past.edges, e) {
			continue
		}
		if m.known[e.X] && m.known[e.Y] {
			m.emit(check{op: opEdge, v: e.X, w: e.Y, c: e.C})
		}
	}
}
