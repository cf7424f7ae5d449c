// Package opt prepares a verified program for the engines that trust the proof:
// the JIT of every architecture, and the fast interpreter.
//
// Prepare gives the linked program together with all that lowering asks about
// an instruction: whether a path leads to it, which field of the context it
// touches, what it calls, which registers live on after it, where the meter is
// charged and where code jumps to. Idioms say what several instructions amount
// to, Info.Load what an operand in memory saves, Func.Pins what spare registers
// are good for; an engine may ignore them all, and Loops, and lower each
// instruction. Passes that rewrite the program belong between the proof and these
// facts, which hold for what the passes leave.
//
// A Program never changes after Prepare, up to Free, and knows nothing of any host.
package opt

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// ErrUnsupported means that a program is safe and yet cannot be compiled.
var ErrUnsupported = errors.New("not supported by the compiler")

// MaxFrames is how many frames one chain of calls may have.
const MaxFrames = 8

// A Program is what back ends lower.
type Program struct {
	*prog.Program
	Info  []Info // by PC; that of a second slot means nothing
	Funcs []Func // as Program.Funcs
	Calls []Call // of the host's functions, without duplicates

	// Bound, if it is not 0, is how many instructions a run executes at most:
	// so few that Info.Charge and Func.Weight need not be taken from the meter.
	Bound int64
	// CallX: the program calls through registers, and not always the same.
	// Func.Depth does not know what.
	CallX bool

	// Heads are where code of loops begins, in order; see Head.
	Heads []Head

	*memory
	subs    bool           // a function is called, or a loop calls one
	own     bool           // Program is a copy
	reloads bool           // a load is through R10
	charged bool           // a loop is charged
	layouts []*maps.Layout // of maps, by index
}

// Info is what is known of one instruction. It has 64 bytes, a cache line.
type Info struct {
	Field  *hook.Field // the context field that the access touches; nil: other memory
	Inline *Inline     // what code can do in place of the call; nil: it calls
	Loop   *Loop       // what the call is, if code can do it itself
	Call   int32       // a call of the host: index into Calls; -1: none, or Inline does without
	Charge int32       // at a loop's head: what each iteration costs; else 0
	Load   prog.PC     // one past the load, Merged, whose memory is an operand in place of its register; 0: none
	Idiom  Idiom       // of which this is the instruction to lower
	Live   Regs        // R0 to R9 that are read after the instruction before they are written
	Unset  Regs        // R1 to R5 that a call leaves undefined and a later one may pass all the same: they become 0
	Dead   bool        // no path leads here
	Target bool        // a jump or call of the program leads here
	End    bool        // a loop of Heads ends before this
	// NonZero: the register that is divided by is never 0.
	NonZero bool
	Merged  bool // part of an idiom that another instruction has
}

// Func is what is known of one function.
type Func struct {
	Unset    Regs  // as Info.Unset, on entry
	Weight   int32 // instructions
	Depth    int   // frames that its chain of direct calls may need, its own included
	Callback bool  // its address is taken
	Stale    int32 // bytes of its stack that it may read without having written them, a multiple of 16
	MayGoto  bool
	blocks   span  // of memory.graph
	loops    bool  // a block leads back
	Pins     []Pin // what registers that it does not use hold from entry to exit
	// Bases are lookups, one of each per-CPU array that the function looks up in
	// in a loop: it finds the first value of the run's CPU on entry.
	Bases []*Inline
}

// A Pin is a constant in a register that the function does not use.
type Pin struct {
	Reg prog.Reg
	PC  prog.PC // of an instruction that loads the constant
}

// A Call is a function of the host that the program calls.
type Call struct {
	Kind CallKind
	Func *helpers.Func // nil: an operation of the engine
	Map  int32         // the only map that it gets, if the Func can be inlined; else -1
}

// A CallKind says what a call of the host does to the run.
type CallKind uint8

const (
	CallPlain    CallKind = iota // returns
	CallCallback                 // enters the program again before it returns
	CallTail                     // tail_call
	CallPacket                   // a legacy packet load
)

// Regs is a set of registers, R0 in bit 0.
type Regs uint16

// Has reports whether r is in the set.
func (s Regs) Has(r prog.Reg) bool { return s>>r&1 != 0 }

func bit(r prog.Reg) Regs { return 1 << r }

// Prepare returns v's program for lowering. Layouts, which may be nil, says
// where the maps that it will be bound to keep their values, by index; nil where
// only the map knows. The error wraps ErrUnsupported.
func Prepare(v *verifier.Verified, layouts []*maps.Layout) (*Program, error) {
	p := &Program{Program: v.Program(), layouts: layouts, memory: memories.Get().(*memory)}
	p.reset(len(p.Insns))
	p.Info = p.info
	p.Funcs = make([]Func, len(p.Program.Funcs))
	for _, pass := range []func(*Program, *verifier.Verified) error{
		(*Program).control, (*Program).heads, (*Program).loops, (*Program).records, (*Program).constants, (*Program).tails,
		(*Program).depth, (*Program).slots, (*Program).blocks, (*Program).charges, (*Program).bound, (*Program).liveness,
		(*Program).pins, (*Program).idioms, (*Program).lookups,
	} {
		if err := pass(p, v); err != nil {
			p.Free()
			return nil, err
		}
	}
	return p, nil
}

// A memory is what programs under way take most of; there is one for each that
// is not yet free.
type memory struct {
	info      []Info
	back      []Head        // jumps backwards: PC is where to, Near and Far where from
	inner     []Head        // those of back to one place are one
	loopHeads []Head        // Program.Heads
	hostCalls []Call        // Program.Calls
	fields    []*hook.Field // that are touched
	sites     []prog.PC     // of calls and loads of map handles that are reached, in order
	flow      []step        // of all functions, in order
	graph     []block       // of all functions, in order, after nowhere
	begin     []int32       // by PC: the block that begins there, if one does
	order     []int32       // of a function's blocks: see order
	way       []int32       // blocks on the way of a walk
	need      []need        // by block
	entered   []uint8       // by block of a function: how many jumps lead there
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// reset makes m ready for a program of n instructions.
func (m *memory) reset(n int) {
	if cap(m.info) < n {
		m.info = make([]Info, n)
		m.begin = make([]int32, n)
	}
	m.info = m.info[:n] // Free has left zeros
	m.begin = m.begin[:n]
	m.back, m.loopHeads, m.hostCalls, m.fields = m.back[:0], m.loopHeads[:0], m.hostCalls[:0], m.fields[:0]
	m.sites, m.flow, m.graph = m.sites[:0], m.flow[:0], m.graph[:0]
}

// Free ends the use of p.Info, whose memory serves another program.
func (p *Program) Free() {
	if p.memory != nil {
		clear(p.info) // of pointers
		clear(p.hostCalls)
		clear(p.fields)
		memories.Put(p.memory)
	}
	p.memory, p.Info, p.Heads = nil, nil, nil
}

// Metered reports whether the program charges the meter anywhere.
func (p *Program) Metered() bool {
	return p.Bound == 0 && (p.charged || len(p.Funcs) > 1)
}

// Fields returns the context fields that the program touches, without
// duplicates.
func (p *Program) Fields() []*hook.Field { return slices.Clone(p.fields) }

// unsupported returns the error of the instruction at pc.
func (p *Program) unsupported(pc prog.PC, format string, args ...any) error {
	return fmt.Errorf("%s+%d: %s: %s: %w", p.Name, pc, p.Text(pc), fmt.Sprintf(format, args...), ErrUnsupported)
}

// none is no instruction.
const none prog.PC = -1

// Next returns the PC of the instruction after the one at pc.
func (p *Program) Next(pc prog.PC) prog.PC {
	if p.Insns[pc].IsWide() {
		return pc + 2
	}
	return pc + 1
}
