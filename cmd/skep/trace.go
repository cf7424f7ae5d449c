package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A tracer prints each instruction of a run, with the C line above those that
// begin one, and the register that the instruction wrote.
//
//	; if (data + 14 > data_end) // filter.c:12
//	firewall+4: (2d) if r4 > r3 goto pc+7
//	firewall+5: (bf) r2 = r1                    r2=0xc000012340
type tracer struct {
	w       io.Writer
	pending string // the instruction that runs now
	writes  int    // the register that it writes; -1: none
	line    prog.Line
}

// begin forgets an earlier run.
func (t *tracer) begin() { *t = tracer{w: t.w} }

// observe is called before each instruction.
func (t *tracer) observe(p *vm.Program, pc int, regs *[16]uint64) {
	t.flush(regs[:])
	linked, at := p.Linked(), prog.PC(pc)
	if line := linked.LineAt(at); line.Num != 0 && (line.Num != t.line.Num || line.File != t.line.File) {
		fmt.Fprintf(t.w, "; %s // %s:%d\n", strings.TrimSpace(line.Text), line.File, line.Num)
		t.line = line
	}
	name, off := p.Name(), at
	if i := linked.FuncAt(at); i >= 0 {
		name, off = linked.Funcs[i].Name, at-linked.Funcs[i].Entry
	}
	t.pending = fmt.Sprintf("%s+%d: (%02x) %s", name, off, uint8(linked.Insns[at].Op), linked.Text(at))
	t.writes = writtenBy(linked.Insns[at])
}

// writtenBy returns the register that in writes; -1 if it writes none.
func writtenBy(in prog.Insn) int {
	switch op := in.Op; op.Class() {
	case isa.ALU, isa.ALU64, isa.LDX:
		return int(in.Dst)
	case isa.LD:
		if in.IsWide() {
			return int(in.Dst)
		}
		return int(prog.R0)
	case isa.JMP:
		if op.JmpOp() == isa.Call {
			return int(prog.R0)
		}
	case isa.STX:
		switch {
		case op.Mode() != isa.ATOMIC, in.Imm == isa.StoreRelease:
		case in.Imm == isa.LoadAcquire:
			return int(in.Dst)
		case in.Imm == isa.AtomicCmpXchg:
			return int(prog.R0)
		case in.Imm&isa.AtomicFetch != 0:
			return int(in.Src)
		}
	}
	return -1
}

// flush prints the instruction that has run, after which registers hold regs.
func (t *tracer) flush(regs []uint64) {
	switch {
	case t.pending == "":
	case t.writes >= 0:
		fmt.Fprintf(t.w, "%-50s r%d=%#x\n", t.pending, t.writes, regs[t.writes])
	default:
		fmt.Fprintln(t.w, t.pending)
	}
	t.pending = ""
}

// end prints the last instruction: the one that returned r0, or faulted.
func (t *tracer) end(r0 uint64, err error) {
	t.writes = -1
	if err == nil {
		t.writes = int(prog.R0)
	}
	t.flush([]uint64{r0})
}
