package vm

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/prog"
)

// A Fault is the reason why a run was ended, and where. errors.Is finds
// ErrMaxInsns in it, and the error that a helper ended the run with.
type Fault struct {
	Program string // the one that was running: not the run's first after a tail call
	Func    string // its function
	PC      prog.PC
	Insn    string    // text of the instruction
	Line    prog.Line // C source; zero if the object has no line info
	Addr    uint64    // of a failed access, else 0
	Region  string    // what lies at or near Addr, and where in it, else ""
	Reason  string
	Err     error // the cause, if there is one besides the program
}

// Error returns, for example:
//
//	xdp_drop+12: filter.c:34: r0 = *(u8 *)(r1 +14): load of 1 bytes at 0xc000012340 (packet+14 of 14): not all of it is memory that the program may use
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s+%d: ", f.Program, f.PC)
	if f.Line.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", f.Line.File, f.Line.Num)
	}
	if f.Insn != "" {
		fmt.Fprintf(&b, "%s: ", f.Insn)
	}
	b.WriteString(f.Reason)
	return b.String()
}

func (f *Fault) Unwrap() error { return f.Err }

// fault says for people what c found.
func (s *slot) fault(c *checked.Fault) *Fault {
	f := &Fault{
		Program: c.Prog.Name, PC: c.PC, Line: c.Prog.LineAt(c.PC), Insn: c.Prog.Text(c.PC),
		Addr: c.Addr, Region: c.Region, Reason: c.Reason, Err: c.Err,
	}
	if i := c.Prog.FuncAt(c.PC); i >= 0 {
		f.Func = c.Prog.Funcs[i].Name
	}
	if c.Err == checked.ErrBudget || c.Err == ErrMaxInsns {
		f.Err, f.Reason = ErrMaxInsns, ErrMaxInsns.Error()
		if n := s.limit(); n != 0 {
			f.Reason = fmt.Sprintf("%v: %d", ErrMaxInsns, n)
		}
	}
	return f
}

// limit returns how many instructions the run may execute, or 0 if that cannot be
// told: a quick run knows its own program's limit, and not which program it began
// with before a tail call.
func (s *slot) limit() uint64 {
	switch {
	case s.prog != nil:
		return s.run.MaxInsns
	case len(s.native.kept) == 0:
		if p := s.native.running(); p != nil {
			return p.maxInsns
		}
	}
	return 0
}

// bindError adds the place to an error of binding.
func bindError(p *prog.Program, e *checked.BindError) error {
	pe := &prog.Error{File: p.File, Program: p.Name, PC: e.PC, Insn: p.Insns[e.PC], HasInsn: true, Line: p.LineAt(e.PC), Msg: e.Msg}
	if i := p.FuncAt(e.PC); i >= 0 {
		pe.Func, pe.PC = p.Funcs[i].Name, e.PC-p.Funcs[i].Entry
	}
	return pe
}
