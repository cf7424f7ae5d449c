package verifier

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// An Error is the reason why Verify does not accept a program, and where.
// Explain prints all of it for people.
type Error struct {
	Code Code
	Prog string
	Func string    // function that holds PC
	PC   prog.PC   // in slots from the start of the program
	Insn string    // text of the instruction
	Line prog.Line // C source of PC; zero if the object has no line info
	Msg  string    // the failed check, with the values that failed it

	Values []Value // what the operands of the instruction hold
	Causes []Cause // the instructions that made the refused value, in order
	Hint   string  // what would fix it; empty if nothing can be said
	Path   []Step  // the decisions that lead there, in order

	definite bool // another exploration of the program would refuse it as well
}

// A Value says what one register holds.
type Value struct{ Place, Text string }

// A Cause is an instruction whose result a check refused, or that made an
// operand of one.
type Cause struct {
	PC   prog.PC
	Insn string
	Line prog.Line
}

// A Step is one decision on the path to an error. Steps that repeat are there
// once, in order, with the same Times.
type Step struct {
	PC    prog.PC
	Line  prog.Line
	Insn  string
	Note  string // "taken", "not taken", "called", "returned"
	Times int
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
	for i, a := range args {
		if n, ok := a.(scalar.Scalar); ok {
			args[i] = n.Words()
		}
	}
	e := &Error{Code: code, Prog: v.p.Name, PC: pc, Msg: fmt.Sprintf(format, args...), Line: v.p.LineAt(pc)}
	if f := v.p.FuncAt(pc); f >= 0 {
		e.Func = v.p.Funcs[f].Name
		var second prog.Insn
		if v.p.Insns[pc].IsWide() {
			second = v.p.Insns[pc+1]
		}
		e.Insn = prog.Format(v.p.Insns[pc], second)
	}
	e.Path = v.steps(trace)
	e.Hint = v.generalHint(e)
	return e
}
