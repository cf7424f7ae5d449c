// Package state is the verifier's abstract domain: what is known of a running
// program at one instruction, on one set of paths.
//
// A State does not store facts per register. It stores values and objects, and
// registers and stack cells refer to them:
//
//	location   Reg     kind, object, value V, constant C
//	value      Val     numeric facts, how it was computed, once per unknown quantity
//	object     Obj     what a pointer points into, once per pointed-to thing
//	edge       Edge    a difference bound between two values
//
// A scalar location holds V + C (mod 2^64), a pointer location the address of
// its object plus V + C. Copies, spills and constant additions therefore share
// one value, and a test of any of them narrows them all; a null check of one
// copy of a pointer settles the object for every copy. Values remember the
// operation that made them (Def), so equal expressions are one value, and what
// is learned of a result flows back to its operands.
//
// The length of the packet is a value as well (PacketLen), and data_end is the
// packet pointer with that value as its offset: a bounds check is an ordinary
// comparison, and bytes proven are an ordinary difference bound.
//
// The package knows no instruction and no control flow; package verifier has
// the transfer functions. A State belongs to one goroutine.
package state

import (
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A Kind says what a location holds.
type Kind uint8

const (
	Unreadable Kind = iota // never written, or dead by contract (R1–R5 after a call)
	Scalar                 // V + C
	Ctx                    // the context
	Stack                  // a frame's stack; offset 0 is its top (R10)
	Packet                 // the packet; offset 0 is data, offset PacketLen is data_end
	PacketMeta             // metadata; offset 0 is data_meta, offset MetaLen is data
	MapValue               // a value of a map
	MapKey                 // a key of a map, read only (callbacks)
	Mem                    // memory of a known size
	RingBufMem             // a ring buffer reservation
	MapPtr                 // a map
	Func                   // a subprogram
	Object                 // a host object
	Dynptr                 // part of a dynptr; on the stack only
	Iter                   // part of an iterator; on the stack only
	numKinds
)

var kindNames = [numKinds]string{
	"unreadable", "scalar", "ctx", "fp", "pkt", "pkt_meta", "map_value", "map_key", "mem", "ringbuf_mem", "map_ptr", "func", "obj", "dynptr", "iter",
}

func (k Kind) String() string { return kindNames[k] }

// IsPointer reports whether k holds an address.
func (k Kind) IsPointer() bool { return k > Scalar }

// A ValID names a value of one State; 0 is the constant zero.
type ValID uint16

const (
	Zero      ValID = 0
	PacketLen ValID = 1 // data_end − data
	MetaLen   ValID = 2 // data − data_meta
	firstVal  ValID = 3
)

// An ObjID names an object of one State; 0 is none.
type ObjID uint16

// A Reg is what a location holds: a register, or a cell of the stack.
type Reg struct {
	Kind Kind
	Obj  ObjID
	V    ValID
	C    int64
}

// Const returns the location that holds the constant c.
func Const(c uint64) Reg { return Reg{Kind: Scalar, C: int64(c)} }

// IsConst reports whether r is a scalar with one value.
func (r Reg) IsConst() bool { return r.Kind == Scalar && r.V == Zero }

// Uint returns the value of a constant.
func (r Reg) Uint() uint64 { return uint64(r.C) }

// A Val is one unknown quantity.
type Val struct {
	Num scalar.Scalar
	Def Def
}

// An Obj is one thing that pointers point into.
type Obj struct {
	Kind     Kind
	Nullable bool // a pointer to it may be 0 instead
	ReadOnly bool
	Ref      bool   // the program owns it and must release it
	Size     uint32 // bytes; MapValue, MapKey, Mem, RingBufMem
	Index    int32  // Stack: frame; MapValue, MapKey, MapPtr: map of the program; Func: entry PC; Iter: 1 once drained
	Site     int32  // Ref: PC of the instruction that made it, which tells references apart
	Parent   ObjID  // object with whose release this one ends; 0: none
	Type     string // Object, Dynptr, Iter: type name; Mem: PacketSlice, Lent, Bytes, or nothing
}

// PacketSlice is the Type of memory that is part of the packet.
const PacketSlice = "packet"

// Bytes is the Type of memory that begins anywhere, as the others do that are not
// nothing.
const Bytes = "bytes"

// Lent is the Type of clones of a dynptr that a callback has got, and of memory
// that is part of one: they end with the callback, wherever it has left them,
// and whether or not the dynptr itself can still be reached.
const Lent = "lent"

// An Edge says X − Y ≤ C, the values read as signed integers.
type Edge struct {
	X, Y ValID
	C    int64
}

// A Frame is one activation of a function.
type Frame struct {
	Regs  [11]Reg
	Func  int32 // index in the program's functions
	Call  int32 // PC of the call in the frame below; −1 in the outermost
	Kind  FrameKind
	Refs  int32 // CallbackBody: how many references were open at the call
	Stack Memory
}

// A FrameKind says who called.
type FrameKind uint8

const (
	Subprogram FrameKind = iota
	CallbackBody
	Apart // a callback that runs later, or a function proved by its contract: nobody's callee
)

// A State is an element of the domain. The zero State is not meaningful; see New.
type State struct {
	Frames []Frame // outermost first
	Vals   []Val   // by ValID
	Objs   []Obj   // by ObjID
	Edges  []Edge

	Held Held

	// Ghosts are values as they were when loops began their iteration.
	Ghosts []Ghost

	packet, meta ObjID // the current packet; 0 until a pointer to it is loaded

	Trace *Trace // how the state came about; for people

	Joined bool // it is the join of others, or follows such a state

	pool *Pool
}

// A Ghost is what one location held when the current iteration of a loop
// began: what proves that the loop makes progress.
type Ghost struct {
	Loop  int32 // the solver's name of the loop
	Place Place
	Reg   Reg // of kind Scalar: the number, or a pointer's offset
}

// A Trace is the path that led to a state, newest decision first.
type Trace struct {
	Prev *Trace
	PC   int32 // of the branch or call
	Note TraceNote
}

// A TraceNote says what happened at a Trace's PC.
type TraceNote uint8

const (
	Taken TraceNote = iota
	NotTaken
	Called
	Returned
)

// Intern returns the object o, adding it unless an equal one is there. It is for
// things of which there is one: maps, subprograms, directly addressed values.
func (s *State) Intern(o Obj) ObjID {
	for i := 1; i < len(s.Objs); i++ {
		if s.Objs[i] == o {
			return ObjID(i)
		}
	}
	return s.NewObj(o)
}

// New returns the state on entry: one frame, nothing readable but R10.
// maxPacket bounds the length of packets. It and all that come of it use p.
func New(p *Pool, fn int32, maxPacket uint64) *State {
	s := p.get()
	*s = State{
		Frames: s.Frames[:0],
		Vals:   append(s.Vals[:0], make([]Val, firstVal)...),
		Objs:   append(s.Objs[:0], Obj{}),
		Edges:  s.Edges[:0],
		Ghosts: s.Ghosts[:0],
		pool:   p,
	}
	s.Vals[Zero].Num = scalar.Const(0)
	s.Vals[PacketLen].Num = scalar.Unsigned(0, maxPacket)
	s.Vals[MetaLen].Num = scalar.Unsigned(0, maxPacket)
	s.Push(fn, -1, Subprogram)
	return s
}

// Clone returns a copy that shares nothing that either may change.
func (s *State) Clone() *State {
	t := s.pool.get()
	t.Frames = append(t.Frames[:0], s.Frames...)
	for i := range t.Frames {
		m := &t.Frames[i].Stack
		if cells := m.cells; cells != nil {
			m.cells = append(s.pool.cellsFor(len(cells)), cells...)
		}
	}
	t.Vals = append(t.Vals[:0], s.Vals...)
	t.Objs = append(t.Objs[:0], s.Objs...)
	t.Edges = append(t.Edges[:0], s.Edges...)
	t.Ghosts = append(t.Ghosts[:0], s.Ghosts...)
	t.packet, t.meta, t.Held, t.Trace, t.Joined = s.packet, s.meta, s.Held, s.Trace, s.Joined
	return t
}

// Top returns the innermost frame.
func (s *State) Top() *Frame { return &s.Frames[len(s.Frames)-1] }

// Reg returns register r of the innermost frame.
func (s *State) Reg(r uint8) Reg { return s.Frames[len(s.Frames)-1].Regs[r] }

// SetReg stores v in register r of the innermost frame.
func (s *State) SetReg(r uint8, v Reg) { s.Frames[len(s.Frames)-1].Regs[r] = v }

// Push enters a function: a fresh frame whose R10 points to its own stack.
func (s *State) Push(fn, call int32, kind FrameKind) {
	s.Frames = append(s.Frames, Frame{Func: fn, Call: call, Kind: kind})
	o := s.NewObj(Obj{Kind: Stack, Index: int32(len(s.Frames) - 1)})
	s.Top().Regs[10] = Reg{Kind: Stack, Obj: o}
}

// Pop leaves the innermost function.
func (s *State) Pop() {
	s.Top().Stack.free(s.pool)
	s.Frames = s.Frames[:len(s.Frames)-1]
}

// NewObj adds an object.
func (s *State) NewObj(o Obj) ObjID {
	s.Objs = append(s.Objs, o)
	return ObjID(len(s.Objs) - 1)
}

// PacketObj returns the object of the current packet, or of its metadata.
func (s *State) PacketObj(meta bool) ObjID {
	p, kind := &s.packet, Packet
	if meta {
		p, kind = &s.meta, PacketMeta
	}
	if *p == 0 {
		*p = s.NewObj(Obj{Kind: kind})
	}
	return *p
}

// ForgetPacket is what a helper that may move the packet leaves: no pointer
// into it can be used, and its length is unknown.
func (s *State) ForgetPacket(maxPacket uint64) {
	s.end(func(r *Reg) bool {
		return r.Kind == Packet || r.Kind == PacketMeta || r.Kind == Mem && s.Objs[r.Obj].Type == PacketSlice
	})
	s.packet, s.meta = 0, 0
	s.forgetVal(PacketLen, scalar.Unsigned(0, maxPacket))
	s.forgetVal(MetaLen, scalar.Unsigned(0, maxPacket))
}

// forgetVal makes v a new unknown quantity: locations that held the old one
// keep it under another name.
func (s *State) forgetVal(v ValID, num scalar.Scalar) {
	old := s.newVal(s.Vals[v].Num, Def{})
	s.substitute(v, old, 0)
	s.Vals[v] = Val{Num: num}
}

// end makes the pointers that ended says, whose objects are no more, unknown
// scalars; or, where no number may be made of an address, nothing that can be read.
func (s *State) end(ended func(*Reg) bool) {
	s.locations(func(r *Reg) {
		switch {
		case !r.Kind.IsPointer() || !ended(r):
		case s.pool.NoAddresses:
			*r = Reg{}
		default:
			*r = s.Unknown()
		}
	})
	if s.pool.NoAddresses {
		for i := range s.Frames {
			s.Frames[i].Stack.dropUnreadable()
		}
	}
}

// locations calls f for every location of every frame.
func (s *State) locations(f func(*Reg)) {
	for i := range s.Frames {
		fr := &s.Frames[i]
		for j := range fr.Regs {
			f(&fr.Regs[j])
		}
		cells := fr.Stack.cells
		for j := range cells {
			f(&cells[j].Reg)
		}
	}
	for i := range s.Ghosts {
		f(&s.Ghosts[i].Reg)
	}
}

// At returns what place p holds: the cell that begins at a stack offset, for
// negative Off. ok is false if nothing is known of it as a number.
func (s *State) At(p Place) (r Reg, ok bool) {
	if p.Frame >= len(s.Frames) {
		return Reg{}, false
	}
	f := &s.Frames[p.Frame]
	if p.Off >= 0 {
		r = f.Regs[p.Off]
		return r, r.Kind != Unreadable
	}
	for _, c := range f.Stack.cells {
		if c.Off == p.Off {
			return c.Reg, true
		}
	}
	return Reg{}, false
}

// ReleaseObj ends every pointer to o, and to what ends with o, and forgets the
// reference.
func (s *State) ReleaseObj(o ObjID) {
	o = s.root(o)
	s.end(func(r *Reg) bool { return r.Obj == o || s.Objs[r.Obj].Parent == o })
	s.Objs[o].Ref = false
}

// ForgetObjs ends every pointer to an object that has ended, as ended says.
func (s *State) ForgetObjs(ended func(*Obj) bool) {
	s.end(func(r *Reg) bool { return ended(&s.Objs[r.Obj]) })
}

// ResolveNull settles whether a nullable object is there: all pointers to it
// become non-null, or the constant 0.
func (s *State) ResolveNull(o ObjID, isNull bool) {
	obj := &s.Objs[o]
	obj.Nullable = false
	if !isNull {
		return
	}
	obj.Ref = false
	s.locations(func(r *Reg) {
		if r.Kind.IsPointer() && r.Obj == o {
			*r = Const(0)
		}
	})
}

// OpenRef returns an object that the program owns, or 0.
func (s *State) OpenRef() ObjID {
	for i := range s.Objs {
		if s.Objs[i].Ref {
			return ObjID(i)
		}
	}
	return 0
}

func (n TraceNote) String() string {
	return [...]string{"taken", "not taken", "called", "returned"}[n]
}
