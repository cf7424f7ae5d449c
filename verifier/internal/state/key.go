package state

import "math/bits"

// smallConstant bounds the constants that keep states apart.
const smallConstant = 10_000

// A Mask says which locations keep states at one place apart by the constants
// in them: an entry per frame, and the bytes of packet that are proven.
type Mask struct {
	Frames []Live
	Packet bool
	Moved  bool // and which places have moved since their loop's iteration began
	Fine   bool // also by large constants, and by those in pointers
}

// keeps reports whether the constant in r counts.
func (m *Mask) keeps(r *Reg) bool { return r.Kind == Scalar || m.Fine && r.Kind.IsPointer() }

// Key returns a hash of what keeps s apart from other states at the same
// place: its shape, the small constants in the locations of m, and seed. s must
// be canonical.
func (s *State) Key(m *Mask, seed uint64) uint64 {
	h := hash(14695981039346656037)
	h.add(seed)
	h.add(uint64(len(s.Frames)))
	for i := range s.Frames {
		f := &s.Frames[i]
		h.add(uint64(uint32(f.Func))<<32 | uint64(uint32(f.Call)))
		for r := range f.Regs {
			h.add(uint64(f.Regs[r].Kind)<<16 | uint64(f.Regs[r].Obj))
		}
		for _, c := range f.Stack.cells {
			if c.Reg.Kind.IsPointer() {
				h.add(uint64(uint16(c.Off)))
				h.add(uint64(c.Reg.Kind)<<16 | uint64(c.Reg.Obj))
			}
		}
	}
	for i := 1; i < len(s.Objs); i++ {
		o := &s.Objs[i]
		flags := uint64(o.Kind)
		if o.Nullable {
			flags |= 1 << 8
		}
		if o.Ref {
			flags |= 1 << 9
		}
		h.add(flags)
		h.add(uint64(uint32(o.Index))<<32 | uint64(o.Size))
		h.add(uint64(uint32(o.Site))<<16 | uint64(o.Parent))
	}
	h.add(uint64(s.Held.Lock)<<16 | uint64(s.Held.Preempt)<<1 | uint64(boolInt(s.Held.RCU)))
	for _, g := range s.Ghosts {
		h.add(uint64(uint32(g.Loop))<<32 | uint64(uint16(g.Place.Off)))
	}
	for i := range s.Frames {
		fr, l := &s.Frames[i], &m.Frames[i]
		for set := l.Regs; set != 0; set &= set - 1 {
			if r := &fr.Regs[bits.TrailingZeros16(set)]; m.keeps(r) {
				h.add(m.constant(r))
			}
		}
		for j := range fr.Stack.cells {
			c := &fr.Stack.cells[j]
			if b := int(c.Off) + StackSize; m.keeps(&c.Reg) && l.Stack[b/64]&(1<<(b%64)) != 0 {
				h.add(m.constant(&c.Reg)<<16 | uint64(uint16(c.Off)))
			}
		}
	}
	if m.Moved && len(s.Ghosts) > 0 {
		h.add(s.moved())
	}
	if m.Packet {
		h.add(s.Vals[PacketLen].Num.UMin())
	}
	return uint64(h)
}

// A Place is one location of a Mask: a register (Off is its number), a stack
// byte (Off is negative), or the packet's length (Off is PacketPlace).
type Place struct {
	Frame int
	Off   int16
}

// The Off of places that are not locations.
const (
	PacketPlace = 1000 // bytes of packet that are proven
	MovedPlace  = 1001 // places that have moved
)

// constants calls f with the constants that keep s apart under m; locations
// without one count as notConstant.
func (s *State) constants(m *Mask, f func(p Place, c uint64)) {
	for i := range s.Frames {
		fr, l := &s.Frames[i], &m.Frames[i]
		for r := range fr.Regs {
			if l.Regs&(1<<r) != 0 && m.keeps(&fr.Regs[r]) {
				f(Place{i, int16(r)}, m.constant(&fr.Regs[r]))
			}
		}
		for j := range fr.Stack.cells {
			c := &fr.Stack.cells[j]
			if b := int(c.Off) + StackSize; m.keeps(&c.Reg) && l.Stack[b/64]&(1<<(b%64)) != 0 {
				f(Place{i, c.Off}, m.constant(&c.Reg))
			}
		}
	}
	if m.Moved && len(s.Ghosts) > 0 {
		f(Place{0, MovedPlace}, s.moved())
	}
	if m.Packet {
		f(Place{0, PacketPlace}, s.Vals[PacketLen].Num.UMin())
	}
}

// moved says which of the noted places have moved.
func (s *State) moved() (set uint64) {
	for i, g := range s.Ghosts {
		if now, ok := s.At(g.Place); !ok || now.V != g.Reg.V || now.C != g.Reg.C {
			set |= 1 << (i % 64)
		}
	}
	return set
}

const notConstant = 1 << 40

func (m *Mask) constant(r *Reg) uint64 {
	if r.V != Zero || !m.Fine && (r.C <= -smallConstant || r.C >= smallConstant) {
		return notConstant
	}
	return uint64(r.C)
}

// Busiest returns the place of m at which states differ in the most constants,
// and in how many.
func Busiest(states []*State, m *Mask) (Place, int) {
	values := map[Place]map[uint64]bool{}
	var order []Place
	for _, s := range states {
		s.constants(m, func(p Place, c uint64) {
			if values[p] == nil {
				values[p] = map[uint64]bool{}
				order = append(order, p)
			}
			values[p][c] = true
		})
	}
	var best Place
	n := 0
	for _, p := range order {
		if len(values[p]) > n {
			best, n = p, len(values[p])
		}
	}
	return best, n
}

// Drop removes p from m.
func (m *Mask) Drop(p Place) {
	switch {
	case p.Off == PacketPlace:
		m.Packet = false
	case p.Off == MovedPlace:
		m.Moved = false
	case p.Off >= 0:
		m.Frames[p.Frame].Regs &^= 1 << p.Off
	default:
		b := int(p.Off) + StackSize
		m.Frames[p.Frame].Stack[b/64] &^= 1 << (b % 64)
	}
}

// hash is FNV-1a over 64-bit words, with a final mix per word.
type hash uint64

func (h *hash) add(x uint64) {
	v := (uint64(*h) ^ x) * 1099511628211
	*h = hash(v ^ v>>29)
}
