package verifier

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// A Code names the rule that a program breaks. Codes are stable.
type Code string

const (
	Unreadable    Code = "unreadable-register"  // read of a register that holds nothing
	UninitStack   Code = "uninitialized-stack"  // read of stack bytes that were never written
	OutOfBounds   Code = "out-of-bounds"        // access not proven inside its region
	Misaligned    Code = "misaligned"           // access that must be aligned and is not
	NullPointer   Code = "possibly-null"        // use of a pointer that may be null
	NotPointer    Code = "not-a-pointer"        // access through a number
	BadPointer    Code = "wrong-pointer"        // access that this kind of pointer does not allow
	BadArithmetic Code = "pointer-arithmetic"   // arithmetic that this kind of pointer does not allow
	ReadOnly      Code = "read-only"            // store to memory that may not be written
	BadContext    Code = "context-access"       // access that the context does not allow
	BadArgument   Code = "argument"             // argument that the callee does not accept
	UnknownCallee Code = "unknown-function"     // call of a function that this program type may not call
	Leak          Code = "pointer-leak"         // pointer stored where it can be read
	Unreleased    Code = "unreleased-reference" // reference not released on some path
	BadReturn     Code = "return-value"         // R0 outside the range of the hook
	StackDepth    Code = "stack-depth"          // too many frames, or too much stack
	Recursion     Code = "recursion"            // a function that calls itself
	Unreachable   Code = "unreachable-code"     // instructions that no path reaches
	Unbounded     Code = "unbounded-loop"       // loop without a proven bound
	TooLong       Code = "worst-case"           // more instructions than Options.MaxWorstCase
	Unsupported   Code = "unsupported"          // construct that cannot be verified yet
	NoType        Code = "no-program-type"      // the program's type is not known
	Limit         Code = "limit"                // the proof needs more than Options allow
)

// An Error is the reason why Verify does not accept a program, and where.
type Error struct {
	Code Code
	Prog string
	Func string    // function that holds PC
	PC   prog.PC   // in slots from the start of the program
	Insn string    // text of the instruction
	Line prog.Line // C source of PC; zero if the object has no line info
	Msg  string    // the failed check, with the values that failed it
	Path []Step    // the decisions that lead there, in order
}

// A Step is one decision on the path to an error.
type Step struct {
	PC   prog.PC
	Line prog.Line
	Note string // "taken", "not taken", "called", "returned"
}

// Error returns, for example:
//
//	xdp_drop+12: xdp.c:34: r0 = *(u8 *)(r1 +9): packet access at offset 9, size 1; 0 bytes are proven
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s+%d: ", e.Prog, e.PC)
	if e.Line.Num != 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.Line.File, e.Line.Num)
	}
	if e.Insn != "" {
		fmt.Fprintf(&b, "%s: ", e.Insn)
	}
	b.WriteString(e.Msg)
	return b.String()
}

// errorAt builds an Error for pc.
func (v *verifier) errorAt(code Code, pc prog.PC, trace *state.Trace, format string, args ...any) *Error {
	e := &Error{Code: code, Prog: v.p.Name, PC: pc, Msg: fmt.Sprintf(format, args...), Line: v.p.LineAt(pc)}
	if f := v.p.FuncAt(pc); f >= 0 {
		e.Func = v.p.Funcs[f].Name
		var second prog.Insn
		if v.p.Insns[pc].IsWide() {
			second = v.p.Insns[pc+1]
		}
		e.Insn = prog.Format(v.p.Insns[pc], second)
	}
	for t := trace; t != nil; t = t.Prev {
		e.Path = append(e.Path, Step{PC: prog.PC(t.PC), Line: v.p.LineAt(prog.PC(t.PC)), Note: t.Note.String()})
	}
	for i, j := 0, len(e.Path)-1; i < j; i, j = i+1, j-1 {
		e.Path[i], e.Path[j] = e.Path[j], e.Path[i]
	}
	return e
}
