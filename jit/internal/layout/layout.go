// Package layout holds what the back ends, the engine and its host agree on: the
// frames of machine code, and what a back end makes of a program.
//
// Each activation of a function has a frame in the memory of the run's
// rt.Context. The register Frame of package rt holds the program's R10, the end
// of the stack; what the compiler needs lies behind it. A callee's frame
// follows its caller's.
//
//	Frame−512 ┌──────────────────────────┐ ◄ lowest stack byte
//	          │ BPF stack                │
//	Frame     ├──────────────────────────┤ ◄ R10
//	   +0     │ where the function       │
//	          │   returns to             │  not used by the main program
//	   +8     │ may_goto's budget        │
//	  +16     │ R6 to R9 while the       │
//	          │   function calls another │
//	  +48     │ scratch                  │
//	  +64     │ a loop that calls a      │
//	          │   function: iteration,   │
//	          │   end, value, argument   │
//	  +96     │ where per-CPU arrays are │
//	 +112     ├──────────────────────────┤
//	          │ stack of a callee …      │
//
// A call leaves nothing in registers but Frame, Ctx and the meter; the caller
// has put what it still needs into its own frame.
package layout

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
)

// Offsets from Frame, and sizes, in bytes.
const (
	Return  = 0
	Loops   = 8
	Saved   = 16 // R6 to R9
	Scratch = 48
	LoopAt  = 64 // the iteration, which is also the key of for_each_map_elem
	LoopEnd = 72
	LoopVal = 80
	LoopArg = 88
	Bases   = 96 // opt.Func.Bases

	Stack = 512
	Size  = Stack + Bases + 8*opt.MaxBases // of a frame

	// All is the memory of a run's frames.
	All = opt.MaxFrames * Size
)

// MaxLoops is how often may_goto lets an activation go on (kernel,
// BPF_MAX_LOOPS).
const MaxLoops = 8 << 20

// FuncHandle is what a register holds that a program has loaded with the
// address of its function at PC: FuncHandle | PC. MapHandle | i is its map i.
// No address equals either. The checked interpreter has the same.
const (
	MapHandle  = 0xeb9f_0001_0000_0000
	FuncHandle = 0xeb9f_0002_0000_0000
)

// Ran is what the host answers to a tail call whose target it has run itself:
// the result is Context.R0. No code is at this address.
const Ran = 1

// A Target is what a back end makes code for, besides the program.
type Target struct {
	Features rt.Features
	// Random: random numbers may come from the rt.Context's generator.
	Random bool
}

// A Reloc is a place in the code that depends on what a program is bound to.
type Reloc struct {
	Off emit.Off // of the instructions that load the constant
	Map int32    // index of the map
	Add uint32   // offset into its first value
}

// A Result is what a back end makes of a program. It does not alias the back
// end's buffers.
type Result struct {
	Code   []byte
	Main   emit.Off         // where the host enters, and tail calls that it carries out
	Tail   emit.Off         // where tail calls of code enter, with R1 in place
	Bodies map[int]emit.Off // by function: where callbacks of the host enter; nil if there are none
	Relocs []Reloc
	PCs    emit.PCMap
}
