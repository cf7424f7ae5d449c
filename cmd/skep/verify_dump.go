package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// dumps are the values of --dump.
var dumps = []string{"invariants", "cfg", "path", "dot"}

// checkDumps refuses values of --dump that mean nothing.
func checkDumps(names []string) error {
	for _, n := range names {
		if !slices.Contains(dumps, n) {
			return fmt.Errorf("--dump: unknown dump %q; there are %s", n, strings.Join(dumps, ", "))
		}
	}
	return nil
}

// maxInvariants bounds the invariants that are kept of one instruction.
const maxInvariants = 8

// invariants collects what the verifier knows before each instruction.
type invariants struct {
	texts [][]string // by PC, distinct, in order of appearance
	more  []int      // by PC: visits whose invariants were not kept
}

func newInvariants(p *prog.Program) *invariants {
	return &invariants{texts: make([][]string, len(p.Insns)), more: make([]int, len(p.Insns))}
}

func (i *invariants) observe(pc prog.PC, s fmt.Stringer) {
	if len(i.texts[pc]) == maxInvariants {
		i.more[pc]++
		return
	}
	if t := s.String(); !slices.Contains(i.texts[pc], t) {
		i.texts[pc] = append(i.texts[pc], t)
	}
}

// print writes the instructions of p, below their C lines, with the invariants
// before each.
func (i *invariants) print(w io.Writer, p *prog.Program) {
	for fn, f := range p.Funcs {
		fmt.Fprintf(w, "%s:\n", f.Name)
		last := prog.Line{}
		for pc := f.Entry; pc < p.Funcs[fn].End; pc++ {
			if l := p.LineAt(pc); l.Num != 0 && (l.Num != last.Num || l.File != last.File) {
				fmt.Fprintf(w, "; %s // %s:%d\n", strings.TrimSpace(l.Text), l.File, l.Num)
				last = l
			}
			for _, t := range i.texts[pc] {
				for _, line := range strings.Split(strings.TrimRight(t, "\n"), "\n") {
					fmt.Fprintf(w, "        %s\n", line)
				}
			}
			if i.more[pc] > 0 {
				fmt.Fprintf(w, "        … and of %s more\n", plural(i.more[pc], "visit", "visits"))
			}
			fmt.Fprintf(w, "%4d: %s\n", pc, p.Text(pc))
			if p.Insns[pc].IsWide() {
				pc++
			}
		}
	}
}

// printGraph writes the blocks of p as text.
func printGraph(w io.Writer, p *prog.Program) {
	blocks, fn := verifier.Blocks(p), -1
	for i, b := range blocks {
		if b.Func != fn {
			fn = b.Func
			fmt.Fprintf(w, "%s:\n", p.Funcs[fn].Name)
		}
		fmt.Fprintf(w, "  block %d: %d to %d", i, b.Start, lastInsn(p, b))
		if line := p.LineAt(b.Start); line.Num != 0 {
			fmt.Fprintf(w, " (%s:%d)", line.File, line.Num)
		}
		if len(b.Succs) > 0 {
			fmt.Fprintf(w, " -> %s", numbers(b.Succs))
		}
		if len(b.Loops) > 0 {
			fmt.Fprintf(w, "; in loop of %s", numbers(b.Loops))
		}
		fmt.Fprintln(w)
	}
}

func numbers(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, fmt.Sprint(n))
	}
	return strings.Join(words, ", ")
}

// lastInsn returns where the last instruction of b begins.
func lastInsn(p *prog.Program, b verifier.Block) prog.PC {
	last := b.Start
	for pc := b.Start; pc < b.End; pc++ {
		last = pc
		if p.Insns[pc].IsWide() {
			pc++
		}
	}
	return last
}

// printDOT writes the blocks of p as a graph for Graphviz: functions are
// clusters, blocks hold their instructions, heads of loops have double borders.
func printDOT(w io.Writer, p *prog.Program) {
	blocks := verifier.Blocks(p)
	fmt.Fprintf(w, "digraph %s {\n\tnode [shape=box, fontname=monospace];\n", dotQuote(p.Name))
	for fn, f := range p.Funcs {
		fmt.Fprintf(w, "\tsubgraph cluster_%d {\n\t\tlabel=%s;\n", fn, dotQuote(f.Name))
		for i, b := range blocks {
			if b.Func != fn {
				continue
			}
			var text strings.Builder
			line := 0
			for pc := b.Start; pc < b.End; pc++ {
				if l := p.LineAt(pc); l.Num != 0 && l.Num != line {
					line = l.Num
					fmt.Fprintf(&text, "; %s\n", strings.TrimSpace(l.Text))
				}
				fmt.Fprintf(&text, "%d: %s\n", pc, p.Text(pc))
				if p.Insns[pc].IsWide() {
					pc++
				}
			}
			peripheries := ""
			if len(b.Loops) > 0 && b.Loops[len(b.Loops)-1] == i {
				peripheries = ", peripheries=2"
			}
			fmt.Fprintf(w, "\t\tb%d [label=%s%s];\n", i, dotQuote(text.String()), peripheries)
		}
		fmt.Fprint(w, "\t}\n")
	}
	for i, b := range blocks {
		for k, s := range b.Succs {
			label := ""
			if len(b.Succs) == 2 {
				label = [...]string{" [label=\"not taken\"]", " [label=\"taken\"]"}[k]
			}
			fmt.Fprintf(w, "\tb%d -> b%d%s;\n", i, s, label)
		}
	}
	fmt.Fprint(w, "}\n")
}

// dotQuote returns s as a DOT string; lines are aligned at their left.
func dotQuote(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\l`).Replace(s)
	return `"` + s + `"`
}
