package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// A tracer prints each instruction of a run, with the C line above those that
// begin one, and the registers that the instruction changed.
//
//	; if (data + 14 > data_end) // filter.c:12
//	firewall+4: (2d) if r4 > r3 goto pc+7
//	firewall+5: (bf) r2 = r1                    r2=0xc000012340
type tracer struct {
	w       io.Writer
	pending string // the instruction that runs now
	before  [11]uint64
	line    prog.Line
}

// begin forgets an earlier run.
func (t *tracer) begin() { *t = tracer{w: t.w} }

// observe is called before each instruction.
func (t *tracer) observe(p *vm.Program, pc int, regs *[16]uint64) {
	t.flush(regs[:len(t.before)])
	copy(t.before[:], regs[:])
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
}

// flush prints the instruction that has run, after which registers hold now.
func (t *tracer) flush(now []uint64) {
	if t.pending == "" {
		return
	}
	var changed []string
	for i, v := range now {
		if v != t.before[i] {
			changed = append(changed, fmt.Sprintf("r%d=%#x", i, v))
		}
	}
	if len(changed) > 0 {
		fmt.Fprintf(t.w, "%-50s %s\n", t.pending, strings.Join(changed, " "))
	} else {
		fmt.Fprintln(t.w, t.pending)
	}
	t.pending = ""
}

// end prints the last instruction: the one that returned r0, or faulted.
func (t *tracer) end(r0 uint64, err error) {
	if t.pending == "" {
		return
	}
	if err == nil {
		fmt.Fprintf(t.w, "%-50s r0=%#x\n", t.pending, r0)
	} else {
		fmt.Fprintln(t.w, t.pending)
	}
	t.pending = ""
}
