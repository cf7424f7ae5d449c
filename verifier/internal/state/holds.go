package state

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A Concrete is a running program between two instructions: what a State
// describes. Addresses are the machine's.
type Concrete struct {
	Frames []ConcreteFrame // outermost first

	Ctx       uint64
	Packet    uint64 // data
	PacketLen uint64
	Meta      uint64 // data_meta; Packet − MetaLen
	MetaLen   uint64

	// Object returns start and size of the live object that holds addr: a map
	// value, a key, a reservation. ok is false if none does.
	Object func(addr uint64) (start, size uint64, ok bool)
	// Map returns what a register holds that stands for map i; ok is false
	// for the template of inner maps, of which there may be many. Func returns
	// the same for the function at pc.
	Map  func(i int32) (handle uint64, ok bool)
	Func func(pc int32) uint64

	// Notes says what places held when loops, by the solver's name, began
	// their iteration.
	Notes [][]Note
}

// A ConcreteFrame is one activation of a function.
type ConcreteFrame struct {
	Call  int32 // PC of the call in the frame below; −1 in the outermost
	Regs  [11]uint64
	Stack []byte // StackSize bytes, which end where R10 points
}

// A Note is the number that a place held, or the offset of the pointer there.
type Note struct {
	Place Place
	X     uint64
}

// note returns what c notes of place p for loop. ok is false if it does not.
func (c *Concrete) note(loop int32, p Place) (x uint64, ok bool) {
	if int(loop) < len(c.Notes) {
		for i := range c.Notes[loop] {
			if n := &c.Notes[loop][i]; n.Place == p {
				return n.X, true
			}
		}
	}
	return 0, false
}

// Holds reports why s does not describe c; nil if it does. A location that s
// calls unreadable may hold anything, and so may memory that s knows nothing
// of.
//
// Values have no place of their own: the first location that mentions one says
// what it is, and every other must agree. A value that only definitions and
// bounds mention may be anything that they allow; it is computed where its
// operands are known, and taken on trust elsewhere.
func (s *State) Holds(c *Concrete) error {
	if len(s.Frames) != len(c.Frames) {
		return fmt.Errorf("%d frames, not %d", len(c.Frames), len(s.Frames))
	}
	for i := range s.Frames {
		if have, want := c.Frames[i].Call, s.Frames[i].Call; have != want {
			return fmt.Errorf("frame %d was called at %d, not at %d", i, have, want)
		}
	}
	h := &holding{s: s, c: c,
		val: make([]uint64, len(s.Vals)), known: make([]bool, len(s.Vals)),
		base: make([]uint64, len(s.Objs)), placed: make([]bool, len(s.Objs)), null: make([]bool, len(s.Objs)),
	}
	h.known[Zero] = true
	h.val[PacketLen], h.known[PacketLen] = c.PacketLen, true
	h.val[MetaLen], h.known[MetaLen] = c.MetaLen, true
	for i := 1; i < len(s.Objs); i++ {
		h.placeObj(ObjID(i))
	}
	for _, step := range []func() error{h.scalars, h.pointers, h.definitions, h.numbers, h.bounds} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// A holding is one Holds under way.
type holding struct {
	s *State
	c *Concrete

	val    []uint64 // by ValID
	known  []bool
	base   []uint64 // by ObjID: its address
	placed []bool
	null   []bool
}

// each calls f for every location that is readable, with what it holds.
func (h *holding) each(f func(where Place, r Reg, x uint64) error) error {
	for i := range h.s.Frames {
		sf, cf := &h.s.Frames[i], &h.c.Frames[i]
		for n, r := range sf.Regs {
			if r.Kind == Unreadable {
				continue
			}
			if err := f(Place{i, int16(n)}, r, cf.Regs[n]); err != nil {
				return err
			}
		}
		for _, cell := range sf.Stack.cells {
			var b [8]byte
			copy(b[:cell.Size], cf.Stack[StackSize+int(cell.Off):])
			if err := f(Place{i, cell.Off}, cell.Reg, binary.LittleEndian.Uint64(b[:])); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeObj finds the address of an object of which there is one.
func (h *holding) placeObj(o ObjID) {
	obj := &h.s.Objs[o]
	at, ok := uint64(0), true
	switch {
	case obj.Kind == Ctx:
		at = h.c.Ctx
	case obj.Kind == Stack && int(obj.Index) < len(h.c.Frames):
		at = h.c.Frames[obj.Index].Regs[10]
	case o == h.s.packet:
		at = h.c.Packet
	case o == h.s.meta:
		at = h.c.Meta
	case obj.Kind == MapPtr:
		at, ok = h.c.Map(obj.Index)
	case obj.Kind == Func:
		at = h.c.Func(obj.Index)
	default:
		ok = false
	}
	h.base[o], h.placed[o] = at, ok
}

// defined is the Off of the place of values that only a definition gives.
const defined = 1002

// String returns the place's name: "frame 1: fp-8".
func (p Place) String() string {
	switch {
	case p.Off == defined:
		return "definition"
	case p.Off < 0:
		return fmt.Sprintf("frame %d: fp%d", p.Frame, p.Off)
	}
	return fmt.Sprintf("frame %d: r%d", p.Frame, p.Off)
}

func (h *holding) assign(where Place, v ValID, x uint64) error {
	if h.known[v] && h.val[v] != x {
		return fmt.Errorf("%v: %s is %#x, and %#x elsewhere", where, name(v), x, h.val[v])
	}
	h.val[v], h.known[v] = x, true
	return nil
}

func (h *holding) scalars() error {
	if err := h.each(func(where Place, r Reg, x uint64) error {
		if r.Kind != Scalar {
			return nil
		}
		return h.assign(where, r.V, x-uint64(r.C))
	}); err != nil {
		return err
	}
	for _, g := range h.s.Ghosts {
		if x, ok := h.c.note(g.Loop, g.Place); ok {
			if err := h.assign(g.Place, g.Reg.V, x-uint64(g.Reg.C)); err != nil {
				return fmt.Errorf("at the start of the iteration: %w", err)
			}
		}
	}
	return nil
}

// pointers checks addresses: each lies where its object and offset say.
func (h *holding) pointers() error {
	place := func(where Place, o ObjID, base uint64) error {
		if h.placed[o] && h.base[o] != base {
			return fmt.Errorf("%v: object %d begins at %#x, and at %#x elsewhere", where, o, base, h.base[o])
		}
		h.base[o], h.placed[o] = base, true
		return h.object(where, o)
	}
	// First the objects that an address whose offset is known places.
	for range 2 {
		if err := h.each(func(where Place, r Reg, x uint64) error {
			if !addressed(r.Kind) {
				return nil
			}
			if x == 0 && (h.s.Objs[r.Obj].Nullable || h.null[r.Obj]) {
				h.null[r.Obj] = true
				return nil
			}
			if h.null[r.Obj] {
				return fmt.Errorf("%v: %#x, and another pointer to object %d is null", where, x, r.Obj)
			}
			switch {
			case h.known[r.V]:
				return place(where, r.Obj, x-h.val[r.V]-uint64(r.C))
			case h.placed[r.Obj]:
				return h.assign(where, r.V, x-h.base[r.Obj]-uint64(r.C))
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return h.each(func(where Place, r Reg, x uint64) error {
		if !addressed(r.Kind) || h.null[r.Obj] || h.placed[r.Obj] {
			return nil
		}
		if start, _, ok := h.c.Object(x); ok {
			if err := place(where, r.Obj, start); err != nil {
				return err
			}
			return h.assign(where, r.V, x-start-uint64(r.C))
		}
		return nil
	})
}

// object checks that an object is where it was found to be.
func (h *holding) object(where Place, o ObjID) error {
	obj := &h.s.Objs[o]
	switch obj.Kind {
	case MapValue, MapKey, Mem, RingBufMem:
	default:
		return nil
	}
	start, size, ok := h.c.Object(h.base[o])
	if !ok || start+size < h.base[o]+uint64(obj.Size) || obj.Kind == MapValue && start != h.base[o] {
		return fmt.Errorf("%v: no %v of %d bytes at %#x", where, obj.Kind, obj.Size, h.base[o])
	}
	return nil
}

// definitions computes what values their definitions give.
func (h *holding) definitions() error {
	for range h.s.Vals {
		changed := false
		for v := int(PacketLen); v < len(h.s.Vals); v++ {
			d := &h.s.Vals[v].Def
			if d.Op == NoDef || !h.known[d.A] || d.Op != OpZext && !h.known[d.B] {
				continue
			}
			x, fresh := d.compute(h.val[d.A], h.val[d.B]), !h.known[v]
			if err := h.assign(Place{Off: defined}, ValID(v), x); err != nil {
				return err
			}
			changed = changed || fresh
		}
		if !changed {
			break
		}
	}
	return nil
}

func (h *holding) numbers() error {
	for v := range h.s.Vals {
		if n := h.s.Vals[v].Num; h.known[v] && !n.Contains(h.val[v]) {
			return fmt.Errorf("%s is %#x (%d), outside of %v", name(ValID(v)), h.val[v], int64(h.val[v]), n)
		}
	}
	return nil
}

func (h *holding) bounds() error {
	for _, e := range h.s.Edges {
		if h.known[e.X] && h.known[e.Y] && !atMost(int64(h.val[e.X]), int64(h.val[e.Y]), e.C) {
			return fmt.Errorf("%s − %s is %d − %d, more than %d", name(e.X), name(e.Y), int64(h.val[e.X]), int64(h.val[e.Y]), e.C)
		}
	}
	return nil
}

// atMost reports whether x − y ≤ c over the integers.
func atMost(x, y, c int64) bool {
	lo, carry := bits.Add64(uint64(y), uint64(c), 0)
	hi := uint64(y>>63) + uint64(c>>63) + carry // y + c in 128 bits
	xhi := x >> 63
	return int64(hi) > xhi || int64(hi) == xhi && lo >= uint64(x)
}
