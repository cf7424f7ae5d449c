package verifier

import (
	"fmt"
	"slices"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// hint returns what would fix the program, with the names and numbers of this
// rejection.
func (x *explainer) hint() string {
	switch x.e.Code {
	case Unreadable:
		return x.hintUnreadable()
	case UninitStack:
		return "write every byte before it is read; padding counts: clear the whole variable, as in __builtin_memset(&v, 0, sizeof(v))"
	case OutOfBounds:
		return x.hintBounds()
	case Misaligned:
		return "move the variable to an offset that is a multiple of the size of the access"
	case NullPointer:
		return x.hintNull()
	case NotPointer:
		return x.hintNotPointer()
	case BadPointer:
		return x.hintPointer()
	case BadArithmetic:
		return "do the arithmetic on a number, and add the result to the pointer: only + and − of numbers keep it a pointer"
	case ReadOnly:
		return "copy what you need to the stack or to a map value, and change it there"
	case BadContext:
		return x.hintContext()
	case BadArgument:
		return x.hintArgument()
	case UnknownCallee:
		return fmt.Sprintf("use a function that %s programs may call, or another program type; the host can add functions of its own", x.p.Type.Name)
	case Leak:
		return "keep addresses in registers and on the stack; store or return a number instead"
	case Unreleased:
		return x.hintUnreleased()
	case BadReturn:
		return x.hintReturn()
	case StackDepth:
		return "flatten the calls, or let the compiler inline a function (__always_inline)"
	case Recursion:
		return "write the recursion as a loop with a bound, and keep what it must remember in a map or an array"
	case Unsupported:
		return "rewrite this part without the construct"
	}
	return ""
}

// generalHint returns what can be said without a state: of errors that are
// about more than one instruction.
func (v *verifier) generalHint(e *Error) string {
	switch e.Code {
	case Unbounded:
		return fmt.Sprintf("count the iterations of the loop at %s and leave after a constant number of them, as in `for (int i = 0; i < MAX; i++)`, or use bpf_loop", v.place(e.PC))
	case TooLong:
		return "lower the bounds of the loops, those of nested loops first: they multiply"
	case Unreachable:
		return "remove the instructions, or the jump that skips them"
	case NoType:
		return "name the type where the program is loaded (skep: --type)"
	case Limit:
		return fmt.Sprintf("split the work near %s into subprograms or tail calls, or raise the limit", v.place(e.PC))
	}
	return ""
}

func (x *explainer) hintUnreadable() string {
	if x.in.Op.Class() == isa.JMP && x.in.Op.JmpOp() == isa.Exit {
		return fmt.Sprintf("set r0, the result, before %s: every path must return a value", x.here())
	}
	if pc := x.origin(isCall); pc >= 0 {
		return fmt.Sprintf("keep the value in r6 to r9 or on the stack over the call of %s at %s: a call leaves nothing in r1 to r5", x.callName(pc), x.place(pc))
	}
	regs := x.suspects()
	if len(regs) == 0 {
		return "give the variable a value on every path that leads here"
	}
	return fmt.Sprintf("give r%d a value before %s, on every path: in C, initialise the variable", regs[0], x.here())
}

func (x *explainer) hintNull() string {
	pc := x.origin(isCall)
	if pc < 0 {
		return fmt.Sprintf("compare the pointer with NULL before %s, and leave if it is", x.here())
	}
	return fmt.Sprintf("test the result of %s at %s for NULL before %s", x.callName(pc), x.place(pc), x.here())
}

func (x *explainer) hintNotPointer() string {
	if pc := x.moved(); pc >= 0 {
		return fmt.Sprintf("load data and data_end again, and compare again, after the call of %s at %s: it may move the packet, so that older pointers into it are void", x.callName(pc), x.place(pc))
	}
	if x.in.Op.Class() == isa.LD {
		return "r6 must hold the context"
	}
	return "use a pointer that the context, a map or a helper gave; a number cannot become one"
}

// hintBounds is the advice for an access that may leave its region.
func (x *explainer) hintBounds() string {
	a, ok := x.access()
	if !ok {
		return "stay inside the region"
	}
	switch a.p.Kind {
	case state.Packet:
		return x.hintPacket(a)
	case state.PacketMeta:
		return fmt.Sprintf("compare r%d+%d with data before %s", a.reg, a.p.C+a.off+a.size, x.here())
	}
	size := int64(x.s.Objs[a.p.Obj].Size)
	if a.p.Kind == state.Stack {
		if a.p.V != state.Zero {
			return "bound the index before " + x.here() + ": the stack has 512 bytes below the frame pointer, and the array fewer"
		}
		if at := a.p.C + a.off; at >= -state.StackSize && at < 0 {
			return fmt.Sprintf("the stack ends %d bytes after r10%d: use a larger variable there, or a smaller size", -at, at)
		}
		return "the stack has 512 bytes, from r10-512 to r10-1: use a map for larger data"
	}
	if a.p.V == state.Zero {
		if len(x.e.Values) > 1 && x.arg > 0 && a.size == 0 {
			return fmt.Sprintf("bound the size: at most %d bytes are left at this offset", size-a.p.C)
		}
		most := size - max(a.size, 1) - a.off
		if pc := x.loop(); pc >= 0 {
			return fmt.Sprintf("lower the bound of the loop at %s: an iteration reaches offset %d, and %d is the last that fits", x.place(pc), a.p.C, most)
		}
		return fmt.Sprintf("the region has %d bytes: use a larger type for it, or an offset of at most %d", size, most)
	}
	return x.hintIndex(a, size)
}

// loop returns where the loop begins that moved the offset; −1 if none did.
func (x *explainer) loop() prog.PC {
	for _, i := range slices.Backward(x.made) {
		pc := x.path[i].pc
		b := slices.IndexFunc(x.g.blocks, func(b block) bool { return b.start <= pc && pc < b.end })
		if c := x.p.Insns[pc].Op.Class(); c != isa.ALU && c != isa.ALU64 || len(x.g.blocks[b].loops) == 0 {
			continue
		}
		if in := x.p.Insns[pc]; in.Op.ALUOp() == isa.Add && in.Op.Source() == isa.K {
			return pc // a counter
		}
	}
	return -1
}

// hintPacket is the advice for an access beyond the proven packet.
func (x *explainer) hintPacket(a accessed) string {
	end := a.off + a.size
	advice := fmt.Sprintf("compare r%d+%d against data_end before %s, and leave if it is greater", a.reg, end, x.here())
	if a.size == 0 {
		advice = fmt.Sprintf("compare r%d plus the size against data_end before %s, and leave if it is greater", a.reg, x.here())
	}
	if a.p.V != state.Zero {
		if n := x.s.Num(a.p); n.SMax() > maxOffset || n.SMin() < -maxOffset {
			return "bound the offset that is added to the packet pointer, as in `off &= 0xffff`, then " + advice
		}
		return advice + ": earlier comparisons were of other offsets"
	}
	if pc := x.lastCheck(); pc >= 0 {
		return advice + fmt.Sprintf(": the comparison at %s proves %d bytes, not %d", x.place(pc), x.s.Num(state.Reg{Kind: state.Scalar, V: state.PacketLen}).SMin(), a.p.C+end)
	}
	return advice
}

// hintIndex is the advice for a variable offset into a region of size bytes.
func (x *explainer) hintIndex(a accessed, size int64) string {
	scale, rest := int64(1), a.p.C
	if d := x.s.Vals[a.p.V].Def; d.Op == state.OpALU64 && d.B == state.Zero {
		switch {
		case d.ALU == isa.Lsh && d.BC > 0 && d.BC < 32:
			scale = 1 << d.BC
			rest += d.AC << d.BC
		case d.ALU == isa.Mul && d.BC > 0 && d.BC < 1<<31:
			scale = d.BC
			rest += d.AC * d.BC
		}
	}
	room := size - a.off - max(a.size, 1) - rest
	if room < 0 {
		return fmt.Sprintf("the region has %d bytes, which not even the first element fits", size)
	}
	most := room / scale
	what := "the offset"
	if scale > 1 || len(x.made) > 1 {
		what = "the index"
	}
	if most&(most+1) == 0 && most > 0 {
		return fmt.Sprintf("mask %s before %s, as in `i &= %d`, or leave if it is above %d", what, x.here(), most, most)
	}
	return fmt.Sprintf("compare %s before %s, as in `if (i > %d) return`: make it unsigned, or compare it with 0 as well", what, x.here(), most)
}

func (x *explainer) hintPointer() string {
	if x.in.Op.Mode() == isa.ATOMIC && x.in.Op.Class() == isa.STX {
		return "do atomic operations in map values or on the stack"
	}
	if a, ok := x.access(); ok && a.p.Kind == state.MapPtr {
		return "look the element up: a map is read and written with bpf_map_lookup_elem and bpf_map_update_elem"
	}
	return "use one instruction per kind of memory: load through each pointer in a branch of its own"
}

// hintContext names the field that an access of the context misses.
func (x *explainer) hintContext() string {
	a, ok := x.access()
	t := x.p.Type
	if !ok || a.p.Kind != state.Ctx || a.p.C != 0 || a.p.V != state.Zero {
		return "use the context pointer as the program got it, with constant offsets"
	}
	f := t.Ctx.At(uint32(a.off))
	switch {
	case a.off < 0 || f == nil:
		return fmt.Sprintf("struct %s has no field there for %s programs: read one that it has", t.Ctx.Name, t.Name)
	case f.Kind != hook.FieldScalar && f.Kind != hook.FieldBytes && x.in.Op.Class() == isa.LDX:
		return fmt.Sprintf("load %s whole: %d bytes at offset %d", f.Name, f.Size, f.Off)
	case x.in.Op.Class() != isa.LDX:
		return fmt.Sprintf("%s programs may not write %s this way: see which fields of struct %s they may", t.Name, f.Name, t.Ctx.Name)
	}
	return fmt.Sprintf("load %s as it is declared: %d bytes at offset %d", f.Name, f.Size, f.Off)
}

func (x *explainer) hintArgument() string {
	if x.arg == 0 {
		return "pass what the function asks for"
	}
	if pc := x.moved(); pc >= 0 {
		return fmt.Sprintf("load the packet pointer again after the call of %s at %s, which may move the packet", x.callName(pc), x.place(pc))
	}
	r := x.s.Reg(uint8(x.arg))
	if r.Kind == state.Scalar && !r.IsConst() && x.e.Values != nil {
		if n := x.s.Num(r); n.SMin() < 0 || n.UMax() > 1<<28 {
			return fmt.Sprintf("bound argument %d before %s, as in `if (n > MAX) return`; make it unsigned, or compare it with 0 as well", x.arg, x.here())
		}
	}
	return fmt.Sprintf("pass as argument %d of %s what it asks for", x.arg, x.callName(x.e.PC))
}

func (x *explainer) hintUnreleased() string {
	o := x.s.OpenRef()
	if o == 0 {
		return "release it on every path"
	}
	site := prog.PC(x.s.Objs[o].Site)
	with := "its releasing function"
	if x.s.Objs[o].Kind == state.RingBufMem {
		with = "bpf_ringbuf_submit or bpf_ringbuf_discard"
	}
	return fmt.Sprintf("end what %s at %s began with %s before %s, on every path", x.callName(site), x.place(site), with, x.here())
}

func (x *explainer) hintReturn() string {
	want := x.p.Type.Return
	if len(x.s.Frames) > 1 {
		return "return 0 to go on, or 1 to stop"
	}
	return fmt.Sprintf("return %d to %d: assign the result of every path from constants, or compare it before %s", want.Min, want.Max, x.here())
}
