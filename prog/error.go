package prog

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/internal/isa"
)

// An Error is why a program could not be linked or decoded, and where.
type Error struct {
	File    string // object; "" if unknown
	Program string // program being linked; "" if unknown
	Func    string // function that holds PC
	PC      PC     // in slots from the start of Func
	Insn    Insn   // the slot at PC
	HasInsn bool   // PC and Insn mean something
	Line    Line   // C source of PC; zero if unknown
	Msg     string
	Err     error // cause, or nil
}

// Error returns, for example:
//
//	filter.o: program xdp_main: parse+12: filter.c:34: goto pc+9: jump to slot 22, outside the function's 0 to 20
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	if e.Program != "" {
		fmt.Fprintf(&b, "program %s: ", e.Program)
	}
	switch {
	case e.HasInsn && e.Func != "":
		fmt.Fprintf(&b, "%s+%d: ", e.Func, e.PC)
	case e.HasInsn:
		fmt.Fprintf(&b, "slot %d: ", e.PC)
	case e.Func != "" && e.Func != e.Program:
		fmt.Fprintf(&b, "function %s: ", e.Func)
	}
	if e.Line.Num != 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.Line.File, e.Line.Num)
	}
	if f, err := isa.Find(e.Insn.Op, uint8(e.Insn.Dst), uint8(e.Insn.Src), e.Insn.Off, e.Insn.Imm); e.HasInsn && err == nil && f.Op != isa.Wide {
		fmt.Fprintf(&b, "%s: ", Format(e.Insn, Insn{}))
	}
	b.WriteString(e.Msg)
	if e.Err != nil {
		if e.Msg != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
