package state

import (
	"encoding/binary"

	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A Checker is a State made ready to be held against many runs. It decides what
// State.Holds decides, without saying why not, in well under a microsecond and
// without allocating: every location, object, definition and bound that has
// something to say is one op of a list. It never changes once made.
//
// Where an instruction follows another within one explored state, values keep
// their names, and so a Trial keeps what they are in the run: the Checker of the
// second need not repeat what the first has found true of them, but it can check
// bounds and definitions of values that no location holds any more.
type Checker struct {
	frames []int32 // calls that are under way, by frame: PC, −1 for none
	ops    []check
	nums   []number // of opNumber
	defs   []Def    // of opDef
	vals   int      // values and objects that a Trial must have room for
	objs   int

	follows bool // values are as the Checker before left them
}

// A check is one op of a Checker.
type check struct {
	op checkOp
	// size, frame and at say where a location is: a register, if size is 0, or
	// a cell of size bytes from index at of ConcreteFrame.Stack on.
	size      uint8
	frame, at int16
	v, w      ValID
	obj       ObjID
	kind      Kind   // opPlace
	nullable  bool   // opPointer: the location may be 0 instead
	memory    bool   // opPointer, opFind: the object is memory, of at least bytes
	whole     bool   // and begins where the memory does
	bytes     uint32 //
	index     int32  // see checkOp
	c         int64
}

type checkOp uint8

const (
	opPlace   checkOp = iota // obj is the only one of its kind and index, and lies where the run says
	opConst                  // the location is c
	opScalar                 // the location is v + c
	opNote                   // what (frame, at) held when loop index began its iteration is v + c
	opPointer                // the location is obj + v + c
	opFind                   // as opPointer, for objects that only the run's memory places
	opDef                    // v is what defs[index] computes
	opNumber                 // v is in nums[index]
	opEdge                   // v − w ≤ c
)

// A number is a set of values, as a Scalar is.
type number struct {
	value, mask    uint64
	umin, umax     uint64
	smin, smax     int64
	umin32, umax32 uint32
	smin32, smax32 int32
}

func newNumber(s *scalar.Scalar) (n number) {
	bits := s.Bits()
	n.value, n.mask = bits.Value, bits.Mask
	n.umin, n.umax, n.smin, n.smax = s.UMin(), s.UMax(), s.SMin(), s.SMax()
	n.umin32, n.umax32 = s.U32()
	n.smin32, n.smax32 = s.S32()
	return n
}

func (n *number) has(x uint64) bool {
	return x&^n.mask == n.value && n.umin <= x && x <= n.umax && n.smin <= int64(x) && int64(x) <= n.smax &&
		n.umin32 <= uint32(x) && uint32(x) <= n.umax32 && n.smin32 <= int32(x) && int32(x) <= n.smax32
}

// A Trial is what checking needs in passing. It may be used again and again, by
// one goroutine.
type Trial struct {
	gen    uint32   // of objects
	vgen   uint32   // of values
	val    []uint64 // by ValID; known if known[v] == vgen
	known  []uint32
	base   []uint64 // by ObjID: its address
	placed []uint32
	null   []uint32
}

func (t *Trial) begin(k *Checker) {
	for len(t.val) < k.vals {
		t.val, t.known = append(t.val, 0), append(t.known, 0)
	}
	for len(t.base) < k.objs {
		t.base, t.placed, t.null = append(t.base, 0), append(t.placed, 0), append(t.null, 0)
	}
	if t.gen++; t.gen == 0 { // once in 2^32
		clear(t.placed)
		clear(t.null)
		t.gen = 1
	}
	if k.follows {
		return
	}
	if t.vgen++; t.vgen == 0 {
		clear(t.known)
		t.vgen = 1
	}
}

// Value returns what r, of the state that was checked last and held, is in the
// run: a number, or a pointer's offset. ok is false if that is not known.
func (t *Trial) Value(r Reg) (x uint64, ok bool) {
	if r.V == Zero {
		return uint64(r.C), true
	}
	return t.val[r.V] + uint64(r.C), t.known[r.V] == t.vgen
}

func (t *Trial) assign(v ValID, x uint64) bool {
	if t.known[v] == t.vgen {
		return t.val[v] == x
	}
	t.val[v], t.known[v] = x, t.vgen
	return true
}

// Holds reports whether the state describes c. If k follows another Checker,
// that one must have held last with t.
func (k *Checker) Holds(c *Concrete, t *Trial) bool {
	if len(k.frames) != len(c.Frames) {
		return false
	}
	for i, call := range k.frames {
		if c.Frames[i].Call != call {
			return false
		}
	}
	t.begin(k)
	gen := t.vgen
	t.val[Zero], t.known[Zero] = 0, gen
	t.val[PacketLen], t.known[PacketLen] = c.PacketLen, gen
	t.val[MetaLen], t.known[MetaLen] = c.MetaLen, gen
	for i := range k.ops {
		o := &k.ops[i]
		switch o.op {
		case opConst:
			if c.load(o) != uint64(o.c) {
				return false
			}
		case opScalar:
			if !t.assign(o.v, c.load(o)-uint64(o.c)) {
				return false
			}
		case opNumber:
			if t.known[o.v] == gen && !k.nums[o.index].has(t.val[o.v]) {
				return false
			}
		case opEdge:
			if t.known[o.v] == gen && t.known[o.w] == gen && !atMost(int64(t.val[o.v]), int64(t.val[o.w]), o.c) {
				return false
			}
		case opDef:
			d := &k.defs[o.index]
			if t.known[d.A] == gen && (d.Op == OpZext || t.known[d.B] == gen) && !t.assign(o.v, d.compute(t.val[d.A], t.val[d.B])) {
				return false
			}
		case opPlace:
			if at, ok := c.place(o); ok {
				t.base[o.obj], t.placed[o.obj] = at, t.gen
			}
		case opPointer:
			if !t.pointer(c, o) {
				return false
			}
		case opFind:
			if t.null[o.obj] == t.gen || t.placed[o.obj] == t.gen {
				break
			}
			x := c.load(o)
			if start, _, ok := c.Object(x); ok && (!t.place(c, o, start) || !t.assign(o.v, x-start-uint64(o.c))) {
				return false
			}
		case opNote:
			if x, ok := c.note(o.index, Place{int(o.frame), o.at}); ok && !t.assign(o.v, x-uint64(o.c)) {
				return false
			}
		}
	}
	return true
}

// load returns what location o holds.
func (c *Concrete) load(o *check) uint64 {
	f := &c.Frames[o.frame]
	switch b := f.Stack; o.size {
	case 0:
		return f.Regs[o.at]
	case 8:
		return binary.LittleEndian.Uint64(b[o.at:])
	case 4:
		return uint64(binary.LittleEndian.Uint32(b[o.at:]))
	case 2:
		return uint64(binary.LittleEndian.Uint16(b[o.at:]))
	case 1:
		return uint64(b[o.at])
	default: // what is left of a constant that was partly overwritten
		x := uint64(0)
		for i := int(o.size) - 1; i >= 0; i-- {
			x = x<<8 | uint64(b[int(o.at)+i])
		}
		return x
	}
}

// place returns where object o lies; ok is false if there may be more than one.
func (c *Concrete) place(o *check) (at uint64, ok bool) {
	switch o.kind {
	case Ctx:
		return c.Ctx, true
	case Stack:
		return c.Frames[o.index].Regs[10], true
	case Packet:
		return c.Packet, true
	case PacketMeta:
		return c.Meta, true
	case MapPtr:
		return c.Map(o.index)
	}
	return c.Func(o.index), true
}

// pointer checks that location o is its object's address + v + c, and learns
// whichever of the three is not known.
func (t *Trial) pointer(c *Concrete, o *check) bool {
	x, gen := c.load(o), t.gen
	switch {
	case t.null[o.obj] == gen:
		return x == 0
	case x == 0 && o.nullable:
		t.null[o.obj] = gen
		return t.placed[o.obj] != gen // another pointer to it was not null
	case t.known[o.v] == t.vgen:
		return t.place(c, o, x-t.val[o.v]-uint64(o.c))
	case t.placed[o.obj] == gen:
		return t.assign(o.v, x-t.base[o.obj]-uint64(o.c))
	}
	return true
}

// place says that the object of o begins at base.
func (t *Trial) place(c *Concrete, o *check, base uint64) bool {
	if t.placed[o.obj] == t.gen {
		return t.base[o.obj] == base
	}
	t.base[o.obj], t.placed[o.obj] = base, t.gen
	if !o.memory {
		return true
	}
	start, size, ok := c.Object(base)
	return ok && start+size >= base+uint64(o.bytes) && (!o.whole || start == base)
}
