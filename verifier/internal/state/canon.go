package state

import "slices"

// Live says which locations of a frame can still be read.
type Live struct {
	Regs  uint16                 // bit per register
	Stack [StackSize / 64]uint64 // bit per byte; byte 0 is at offset −StackSize
}

// Clean forgets locations that cannot be read again: live has one entry per
// frame. Forgotten registers become Unreadable, so cleaning must never remove
// a register whose reading is an error that is still to be found.
func (s *State) Clean(live []Live) {
	for i := range s.Frames {
		f, l := &s.Frames[i], &live[i]
		for r := 0; r < 10; r++ {
			if l.Regs&(1<<r) == 0 {
				f.Regs[r] = Reg{}
			}
		}
		f.Stack.clean(l)
	}
}

func (m *Memory) clean(l *Live) {
	dead := func(c Cell) bool {
		for i := int(c.Off) + StackSize; i < int(c.Off)+StackSize+int(c.Size); i++ {
			if l.Stack[i/64]&(1<<(i%64)) != 0 {
				return false
			}
		}
		return true
	}
	if slices.ContainsFunc(m.cells, dead) {
		m.cells = slices.DeleteFunc(m.cells, dead)
	}
	for i := range m.init {
		m.init[i] &= l.Stack[i]
	}
}

// Canon renumbers values and objects in the order in which locations mention
// them, and drops those that no location can reach. Two states that know the
// same of the same locations become equal, field by field.
func (s *State) Canon() {
	pool := s.pool
	vals := cleared(&pool.val, len(s.Vals)) // old to new; 0: dropped
	vals[PacketLen], vals[MetaLen] = PacketLen, MetaLen
	objs := cleared(&pool.obj, len(s.Objs))
	newVals := append(pool.vals[:0], s.Vals[:firstVal]...)
	newObjs := append(pool.objs[:0], s.Objs[0])
	keepVal := func(v ValID) {
		if v != Zero && vals[v] == 0 {
			newVals = append(newVals, s.Vals[v])
			vals[v] = ValID(len(newVals) - 1)
		}
	}
	s.locations(func(r *Reg) {
		if r.Kind == Unreadable {
			*r = Reg{}
			return
		}
		keepVal(r.V)
		r.V = vals[r.V]
		if r.Obj != 0 {
			if objs[r.Obj] == 0 {
				newObjs = append(newObjs, s.Objs[r.Obj])
				objs[r.Obj] = ObjID(len(newObjs) - 1)
			}
			r.Obj = objs[r.Obj]
		}
	})
	for i, o := range s.Objs {
		if o.Ref && objs[i] == 0 {
			newObjs = append(newObjs, o)
			objs[i] = ObjID(len(newObjs) - 1)
		}
	}
	if l := s.Held.Lock; l != 0 {
		if objs[l] == 0 {
			newObjs = append(newObjs, s.Objs[l])
			objs[l] = ObjID(len(newObjs) - 1)
		}
		s.Held.Lock = objs[l]
	}
	for i := range newObjs {
		// A parent that is gone cannot be released any more.
		newObjs[i].Parent = objs[newObjs[i].Parent]
	}
	s.packet, s.meta = objs[s.packet], objs[s.meta]

	// Keep a step between a kept value and another: zext(x) in zext(x) & 7. The
	// definition that needs it must stay: Leq finds what locations do not hold
	// through definitions only.
	located := len(newVals)
	for i := int(firstVal); i < located; i++ {
		d := &newVals[i].Def
		if d.Op != NoDef && d.A != Zero && vals[d.A] == 0 && (d.Op == OpZext || d.B == Zero || d.B == d.A || vals[d.B] != 0) {
			if in := &s.Vals[d.A].Def; in.Op != NoDef && in.A != Zero && vals[in.A] != 0 &&
				(in.Op == OpZext || in.B == Zero || vals[in.B] != 0) {
				keepVal(d.A)
			}
		}
	}
	for i := int(PacketLen); i < len(newVals); i++ {
		d := &newVals[i].Def
		if d.Op == NoDef {
			continue
		}
		if d.A != Zero && vals[d.A] == 0 || d.Op != OpZext && d.B != Zero && vals[d.B] == 0 {
			*d = Def{}
			continue
		}
		d.A, d.B = vals[d.A], vals[d.B]
	}

	// Bounds through a dropped value become bounds between those it joins.
	for i := 0; i < len(s.Edges); i++ {
		e := s.Edges[i]
		if vals[e.Y] != 0 || vals[e.X] == 0 {
			continue
		}
		for _, g := range s.Edges {
			if g.X == e.Y && vals[g.Y] != 0 && g.Y != e.X {
				if c, overflow := addInt(e.C, g.C); !overflow {
					s.AddEdge(e.X, g.Y, c)
				}
			}
		}
	}
	edges := s.Edges[:0]
	for _, e := range s.Edges {
		if x, y := vals[e.X], vals[e.Y]; x != 0 && y != 0 {
			edges = append(edges, Edge{x, y, e.C})
		}
	}
	s.Vals, pool.vals = newVals, s.Vals
	s.Objs, pool.objs = newObjs, s.Objs
	s.Edges = edges
	s.sortEdges()
}

// sortEdges sorts the difference bounds. Mostly they are few, and sorted.
func (s *State) sortEdges() {
	e := s.Edges
	for i := 1; i < len(e); i++ {
		for j := i; j > 0 && (e[j].X < e[j-1].X || e[j].X == e[j-1].X && e[j].Y < e[j-1].Y); j-- {
			e[j], e[j-1] = e[j-1], e[j]
		}
	}
}
