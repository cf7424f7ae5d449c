package vm

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/prog"
)

// perfMap returns the lines that tell Linux perf what the machine code of the
// collection's programs is, once it is sealed: address and size in hexadecimal,
// without 0x, and a name (linux, tools/perf/Documentation/jit-interface.txt).
// Each function of a program has a line for each piece of its code.
func (c *Collection) perfMap() []byte {
	var lines []byte
	for _, p := range c.Programs() {
		if p.native == nil {
			continue
		}
		var start, end int
		function := -1
		flush := func() {
			if end > start && function >= 0 {
				lines = fmt.Appendf(lines, "%x %x %s\n", p.native.addr+uintptr(start), end-start, perfName(p.prog, function))
			}
		}
		for s := range p.native.code.Stretches {
			if f := p.prog.FuncAt(s.PC); f != function || s.Start != end {
				flush()
				function, start = f, s.Start
			}
			end = s.End
		}
		flush()
	}
	return lines
}

// perfName returns what function f is called, on one line whatever the names are.
func perfName(p *prog.Program, f int) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, "bpf:"+p.Name+":"+p.Funcs[f].Name)
}
