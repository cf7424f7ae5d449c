package state

// Held is what a run has taken and must give back before it ends: locks and
// sections. References are objects with Ref set.
type Held struct {
	Lock    ObjID // the map value whose spin lock is held; 0: none
	LockOff int64 // where in the value the lock lies
	RCU     bool  // inside bpf_rcu_read_lock
	Preempt uint8 // how deep inside bpf_preempt_disable
}

// Any reports whether something is held, and names it.
func (h *Held) Any() (string, bool) {
	switch {
	case h.Lock != 0:
		return "spin lock", true
	case h.RCU:
		return "RCU read lock", true
	case h.Preempt != 0:
		return "section without preemption", true
	}
	return "", false
}

// OpenRefs returns how many objects the program owns.
func (s *State) OpenRefs() (n int32) {
	for i := range s.Objs {
		if s.Objs[i].Ref {
			n++
		}
	}
	return n
}

// root returns the object whose end is o's end.
func (s *State) root(o ObjID) ObjID {
	if p := s.Objs[o].Parent; p != 0 {
		return p
	}
	return o
}

// ChildOf makes o an object that ends with parent, or with what parent itself
// ends with.
func (s *State) ChildOf(o Obj, parent ObjID) Obj {
	if parent != 0 {
		o.Parent = s.root(parent)
	}
	return o
}

// Root returns the object whose release ends o.
func (s *State) Root(o ObjID) ObjID { return s.root(o) }

// Special returns a cell of frame f that overlaps [lo, hi) and holds what only
// helpers may touch: a dynptr or an iterator.
func (s *State) Special(f, lo, hi int) (Cell, bool) {
	m := &s.Frames[f].Stack
	if lo >= hi {
		return Cell{}, false
	}
	i, j := m.overlap(lo, hi-lo)
	for _, c := range m.cells[i:j] {
		if c.Reg.Kind == Dynptr || c.Reg.Kind == Iter {
			return c, true
		}
	}
	return Cell{}, false
}

// Place puts a special object of 8·n bytes at off of frame f.
func (s *State) Place(f, off, n int, kind Kind, o ObjID) {
	for i := range n {
		s.Store(f, off+8*i, 8, Reg{Kind: kind, Obj: o, C: int64(8 * i)})
	}
}

// PlacedAt returns the special object of kind and 8·n bytes that begins at off
// of frame f; 0 if there is none.
func (s *State) PlacedAt(f, off, n int, kind Kind) ObjID {
	m := &s.Frames[f].Stack
	o := ObjID(0)
	for i := range n {
		lo, hi := m.overlap(off+8*i, 8)
		if hi-lo != 1 {
			return 0
		}
		c := m.cells[lo]
		if c.Reg.Kind != kind || int(c.Off) != off+8*i || c.Reg.C != int64(8*i) || i > 0 && c.Reg.Obj != o {
			return 0
		}
		o = c.Reg.Obj
	}
	return o
}
