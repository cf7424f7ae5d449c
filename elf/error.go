package elf

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/prog"
)

// An Error says what is wrong with an object, and where.
type Error struct {
	File    string  // "" in a Func's Err: whoever links it adds the file
	Section string  // "" if the fault is in no section
	Symbol  string  // function, map or variable; "" if none is known
	PC      prog.PC // slot in the function Symbol, or in Section; −1 if no instruction is meant
	Err     error
}

// Error returns, for example:
//
//	filter.o: section xdp: main+12: call of log: no such function
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Section != "" {
		fmt.Fprintf(&b, "section %s: ", e.Section)
	}
	switch {
	case e.PC >= 0 && e.Symbol != "":
		fmt.Fprintf(&b, "%s+%d: ", e.Symbol, e.PC)
	case e.PC >= 0:
		fmt.Fprintf(&b, "instruction %d: ", e.PC)
	case e.Symbol != "":
		b.WriteString(e.Symbol + ": ")
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the reason alone.
func (e *Error) Unwrap() error { return e.Err }

// errorf makes an Error about a section, and a symbol unless it is "".
func (l *loader) errorf(section, symbol, format string, args ...any) *Error {
	return &Error{File: l.obj.File, Section: section, Symbol: symbol, PC: -1, Err: fmt.Errorf(format, args...)}
}
