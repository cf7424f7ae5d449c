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
	"github.com/skepvm/skep/internal/isa"
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
	// ZeroStack: the program may read stack bytes that it has not written.
	ZeroStack bool

	// Heads are where code of loops begins, in order; see Head.
	Heads []Head

	memory  *memory
	flow    []step         // of all functions, in order
	subs    bool           // a function is called, or a loop calls one
	own     bool           // Program is a copy
	reloads bool           // a load is through R10
	back    []Head         // jumps backwards: PC is where to, Near and Far where from
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
	MayGoto  bool
	flow     int   // index in Program.flow of its first instruction
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
	if m := p.memory; cap(m.info) < len(p.Insns) {
		m.info = make([]Info, len(p.Insns))
	}
	p.memory.info = p.memory.info[:len(p.Insns)] // Free has left zeros
	p.Info = p.memory.info
	p.Funcs = make([]Func, len(p.Program.Funcs))
	for _, pass := range []func(*Program, *verifier.Verified) error{
		(*Program).accesses, (*Program).inline, (*Program).control, (*Program).charges, (*Program).heads, (*Program).loops, (*Program).records, (*Program).constants, (*Program).tails, (*Program).bound,
		(*Program).depth, (*Program).slots, (*Program).liveness, (*Program).pins, (*Program).idioms, (*Program).lookups,
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
	info []Info
	flow []step
	live []Regs
	need []need
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// Free ends the use of p.Info, whose memory serves another program.
func (p *Program) Free() {
	if p.memory != nil {
		clear(p.memory.info) // of pointers
		memories.Put(p.memory)
	}
	p.memory, p.Info, p.flow = nil, nil, nil
}

// Metered reports whether the program charges the meter anywhere.
func (p *Program) Metered() bool {
	if p.Bound != 0 || len(p.Funcs) > 1 {
		return p.Bound == 0
	}
	for i := range p.Info {
		if p.Info[i].Charge > 0 {
			return true
		}
	}
	return false
}

// Fields returns the context fields that the program touches, without
// duplicates.
func (p *Program) Fields() []*hook.Field {
	var fs []*hook.Field
	for i := range p.Info {
		if f := p.Info[i].Field; f != nil && !slices.Contains(fs, f) {
			fs = append(fs, f)
		}
	}
	return fs
}

// unsupported returns the error of the instruction at pc.
func (p *Program) unsupported(pc prog.PC, format string, args ...any) error {
	return fmt.Errorf("%s+%d: %s: %s: %w", p.Name, pc, p.Text(pc), fmt.Sprintf(format, args...), ErrUnsupported)
}

// Next returns the PC of the instruction after the one at pc.
func (p *Program) Next(pc prog.PC) prog.PC {
	if p.Insns[pc].IsWide() {
		return pc + 2
	}
	return pc + 1
}

// direct replaces the instruction at pc, if it calls through a register and always
// the same, by a direct call.
func (p *Program) direct(v *verifier.Verified, pc prog.PC) {
	if p.Insns[pc].Op != isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X) || !v.Reached(pc) {
		return
	}
	d := v.Fact(pc).Direct
	if d.Op == 0 {
		return
	}
	p.replace(pc, d)
}

// accesses finds which loads and stores touch the context, and what calls
// through registers call. Requires nothing.
func (p *Program) accesses(v *verifier.Verified) error {
	p.ZeroStack = v.ReadsUninitStack()
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		in, i := p.Insns[pc], &p.Info[pc]
		i.Call, i.Dead = -1, !v.Reached(pc)
		switch in.Op.Class() {
		case isa.LDX:
			p.reloads = p.reloads || in.Src == prog.R10
		case isa.ST, isa.STX:
		case isa.ALU, isa.ALU64:
			if op := in.Op.ALUOp(); (op == isa.Div || op == isa.Mod) && in.Op.Source() == isa.X {
				i.NonZero = v.Fact(pc).NonZero
			}
			continue
		case isa.JMP:
			p.direct(v, pc)
			continue
		default:
			continue
		}
		f := v.Fact(pc)
		switch {
		case f.Region&verifier.RegionCtx == 0:
			continue
		case f.Region != verifier.RegionCtx:
			return p.unsupported(pc, "the address is the context's on one path and another on another")
		case in.Op.Class() == isa.STX && in.Op.Mode() == isa.ATOMIC:
			return p.unsupported(pc, "an atomic operation on the context")
		case in.Off < 0 || f.Field == nil || f.Min != int64(in.Off) || f.Max != f.Min ||
			uint32(in.Off)+uint32(in.Op.Size().Bytes()) > f.Field.Off+f.Field.Size:
			return p.unsupported(pc, "no field of the context is there")
		}
		i.Field = f.Field
	}
	return nil
}
