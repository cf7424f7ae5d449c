package prog

import (
	"bufio"
	"fmt"
	"io"
)

// DisasmOptions says what Disasm prints beside the instructions.
type DisasmOptions struct {
	NoLines bool // leave out the C source lines
}

// Disasm writes the program as bpftool does: each function's name, then its
// instructions with slot and opcode, below the C lines they come from. Names
// follow what they name after a "#". Assemble reads the result, back to what
// FromInsns takes, unless the program calls functions of the host by name.
//
//	xdp_main:
//	; if (data + 14 > data_end) // filter.c:12
//	   4: (2d) if r4 > r3 goto pc+7
func (p *Program) Disasm(w io.Writer, o DisasmOptions) error {
	b := bufio.NewWriter(w)
	lines := p.Lines
	for i, f := range p.Funcs {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(b, "%s:\n", f.Name)
		for pc := f.Entry; pc < f.End; pc++ {
			for len(lines) > 0 && lines[0].PC <= pc {
				if !o.NoLines && lines[0].PC == pc {
					fmt.Fprintf(b, "; %s // %s:%d\n", lines[0].Text, lines[0].File, lines[0].Num)
				}
				lines = lines[1:]
			}
			in := p.Insns[pc]
			fmt.Fprintf(b, "%4d: (%02x) %s\n", pc, uint8(in.Op), p.Text(pc))
			if in.IsWide() {
				pc++
			}
		}
	}
	return b.Flush()
}
