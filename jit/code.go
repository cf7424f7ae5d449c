package jit

import (
	"bytes"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// What runs of compiled programs need of a rt.Context's frames, in bytes.
const (
	// Frames is how many there must be.
	Frames = layout.All
	// FrameSize is how far the frames of a function and its callee are apart.
	FrameSize = layout.Size
	// StackSize is how many bytes of a frame, from its start, are the
	// program's. Context.Frame is the address after them.
	StackSize = layout.Stack
	// LoopKey is where in a frame the key of 4 bytes is that a callback of
	// for_each_map_elem gets.
	LoopKey = layout.Stack + layout.LoopAt
)

// Kinds of calls that a program makes of its host, by which the host chooses
// what stands for them in rt.Run.Helpers. The comments say what is passed to
// those that are no helpers' own.
const (
	CallPlain    = opt.CallPlain
	CallCallback = opt.CallCallback
	// CallTail gets R1 to R3 and 0 in the main program, else another number.
	// It returns 0 to go on here; TailRan if it has run the target, at
	// Context.Frame, with the result in Context.R0; or, in the main program
	// alone, where to go on: the target's Main.
	CallTail = opt.CallTail
	// CallPacket gets the offset, in 32 bits, and the size of a legacy packet
	// load. It returns the value, or a negative number to end the function.
	CallPacket = opt.CallPacket
)

// TailRan is what CallTail returns if the target has run.
const TailRan = layout.Ran

// A Call is a function of the host that a program calls.
type Call = opt.Call

// A Code is a compiled program that is bound to nothing. It never changes and
// may be used by any number of goroutines.
type Code struct {
	program *prog.Program
	result  *layout.Result
	backend *backend
	calls   []Call
	funcs   []opt.Func
	fields  []*hook.Field
	metered bool
	bound   int64 // as opt.Program.Bound
}

func newCode(p *opt.Program, r *layout.Result, b *backend) *Code {
	return &Code{program: p.Program, result: r, backend: b, calls: p.Calls, funcs: p.Funcs, fields: p.Fields(), metered: p.Metered(), bound: p.Bound}
}

// Size returns how many bytes of code there are.
func (c *Code) Size() int { return len(c.result.Code) }

// Calls returns what the code leaves for, by the number that it leaves with.
func (c *Code) Calls() []Call { return c.calls }

// Weight returns how many instructions a run executes at most beyond what its
// meter counts: those of the main program, or all if the code uses no meter.
func (c *Code) Weight() int {
	if c.bound > 0 {
		return int(c.bound)
	}
	return int(c.funcs[0].Weight)
}

// Metered reports whether the code uses Context.Meter; if not, it never yields.
func (c *Code) Metered() bool { return c.metered }

// Fields returns the context fields that the code touches.
func (c *Code) Fields() []*hook.Field { return c.fields }

// Link returns a copy of the code that is bound to maps: base(m) is the address
// of map m's first value or, if the map has a layout, what that says.
func (c *Code) Link(base func(m int) uint64) []byte {
	code := bytes.Clone(c.result.Code)
	for _, r := range c.result.Relocs {
		c.backend.relocate(code, int(r.Off), base(int(r.Map))+uint64(r.Add))
	}
	return code
}

// Main returns where the main program is entered, from the start of the code,
// and how many frames it may need. Context.Arg[0] is its context.
func (c *Code) Main() (off, frames int) { return int(c.result.Main), c.funcs[0].Depth }

// Tail returns where code enters that goes on in this program by a tail call:
// rt.Target says the rest.
func (c *Code) Tail() (off int) { return int(c.result.Tail) }

// Function returns where the function is entered that handle, from a register
// of the program, means, and how many frames it may need; ok is false if it
// means none. Context.Arg is R1 to R5.
func (c *Code) Function(handle uint64) (off, frames int, ok bool) {
	pc := handle ^ layout.FuncHandle
	if pc >= uint64(len(c.program.Insns)) {
		return 0, 0, false
	}
	f := c.program.FuncAt(prog.PC(pc))
	if f < 0 || c.program.Funcs[f].Entry != prog.PC(pc) {
		return 0, 0, false
	}
	at, ok := c.result.Bodies[f]
	return int(at), c.funcs[f].Depth, ok
}

// Handler returns where the function is entered that handles exceptions, if the
// program has one. Context.Arg[0] is what was thrown. It needs no more frames
// than the main program.
func (c *Code) Handler() (off int) { return int(c.result.Bodies[c.program.Handler]) }

// PC returns the instruction that the code at off was made from; ok is false
// where there is none.
func (c *Code) PC(off int) (pc prog.PC, ok bool) {
	p, ok := c.result.PCs.PC(emit.Off(off))
	return prog.PC(p), ok
}

// A Stretch is code between two offsets that was made from one instruction. The
// first instruction of a function also stands for how it is entered.
type Stretch struct {
	Start, End int
	PC         prog.PC
}

// Stretches calls yield for each stretch of the code, in order of offsets, until
// it returns false. An instruction has none if another did its work, and several
// if part of its code lies out of line.
func (c *Code) Stretches(yield func(Stretch) bool) {
	c.result.PCs.All(func(start, end emit.Off, pc emit.PC) bool {
		return yield(Stretch{int(start), int(end), prog.PC(pc)})
	})
}
