package path

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A kind says what a value is.
type kind uint8

const (
	nothing kind = iota // never written; the kernel would not read it
	number
	pointer
	handle // of a map or a function: no arithmetic, no access
)

// A value is what a register or a spilled slot holds: of a pointer, t is the
// offset.
type value struct {
	kind  kind
	t     term
	obj   *object
	fixed bool // t is the constant at
	at    int64
}

func fixed(x int64) value { return value{kind: number, t: lit(uint64(x)), fixed: true, at: x} }

// An object is what pointers point into.
type object struct {
	base   term
	null   cond // when the pointer is null instead; "": never
	lo, hi term // bytes that may be accessed; "": not known
	frame  *frame
	ctx    bool
	packet bool
	spec   *maps.Spec // of a map's handle
}

// A frame is one function under way.
type frame struct {
	regs  [11]value
	name  string        // of the array of bytes that is its stack now
	slots map[int]value // pointers in it, by offset
	back  int           // the call's instruction
	apart bool          // a helper called it
}

type execution struct {
	p      *prog.Program
	text   strings.Builder
	names  int
	frames []*frame
	made   map[int]*object // what the call at an instruction returned last
	packet *object         // until a helper moves it
	length term
	meta   term

	loose bool // products, quotients and remainders may be anything, within bounds
	hard  bool // there are some
}

func newExecution(p *prog.Program) *execution {
	e := &execution{p: p, made: map[int]*object{}}
	f := e.push()
	ctx := e.object("", "")
	ctx.ctx = true
	f.regs[1] = value{kind: pointer, t: lit(0), obj: ctx, fixed: true}
	return e
}

func (e *execution) top() *frame { return e.frames[len(e.frames)-1] }

// push begins a function.
func (e *execution) push() *frame {
	f := &frame{slots: map[int]value{}}
	f.name = e.array()
	o := e.object(lit(^uint64(511)), lit(0))
	o.frame = f
	f.regs[10] = value{kind: pointer, t: lit(0), obj: o, fixed: true}
	e.frames = append(e.frames, f)
	return f
}

// array declares bytes that may be anything.
func (e *execution) array() string {
	e.names++
	name := fmt.Sprintf("m%d", e.names)
	fmt.Fprintf(&e.text, "(declare-const %s (Array (_ BitVec 64) (_ BitVec 8)))\n", name)
	return name
}

// object makes an object somewhere: not in the lowest pages, and in the lower
// half of the address space, where the memory of processes is.
func (e *execution) object(lo, hi term) *object {
	base := e.fresh(8, false)
	e.assert("(and (bvuge %s #x0000000000010000) (bvult %s #x8000000000000000))", base, base)
	return &object{base: base, lo: lo, hi: hi}
}

// newPacket makes the packet. Its length is below 2^24.
func (e *execution) newPacket() {
	e.length, e.meta = e.fresh(3, false), e.fresh(1, false)
	e.packet = e.object(lit(0), e.length)
	e.packet.packet = true
}

// number returns v as a 64-bit number: a pointer's is its address.
func (e *execution) number(v value) term {
	switch v.kind {
	case number:
		return v.t
	case pointer:
		a := fmt.Sprintf("(bvadd %s %s)", v.obj.base, v.t)
		if v.obj.null != "" {
			a = fmt.Sprintf("(ite %s %s %s)", v.obj.null, v.t, a)
		}
		return e.define("%s", a)
	}
	return e.fresh(8, false)
}

// store puts size bytes of v at off of frame f.
func (e *execution) store(f *frame, off value, size int, v value) {
	n := e.number(v)
	array := f.name
	for i := range size {
		array = fmt.Sprintf("(store %s (bvadd %s %s) ((_ extract %d %d) %s))", array, off.t, lit(uint64(i)), 8*i+7, 8*i, n)
	}
	e.names++
	f.name = fmt.Sprintf("m%d", e.names)
	fmt.Fprintf(&e.text, "(define-fun %s () (Array (_ BitVec 64) (_ BitVec 8)) %s)\n", f.name, array)
	if !off.fixed {
		return // what the kernel knows after a load says whether a pointer is still there
	}
	for at := range f.slots {
		if int64(at) < off.at+int64(size) && off.at < int64(at)+8 {
			delete(f.slots, at)
		}
	}
	if size == 8 && v.kind >= pointer {
		f.slots[int(off.at)] = v
	}
}

// load returns size bytes at off of frame f.
func (e *execution) load(f *frame, off value, size int, signed bool, known string) value {
	if v, ok := f.slots[int(off.at)]; ok && off.fixed && size == 8 && !strings.HasPrefix(known, "scalar") {
		return v
	}
	vec := ""
	for i := range size {
		vec = fmt.Sprintf(" (select %s (bvadd %s %s))", f.name, off.t, lit(uint64(i))) + vec
	}
	if size > 1 {
		vec = "(concat" + vec + ")"
	}
	return value{kind: number, t: e.extend(strings.TrimSpace(vec), size, signed)}
}

// forget leaves anything in the stack of f, as a helper that writes there may.
func (e *execution) forget(f *frame) { f.name = e.array() }
