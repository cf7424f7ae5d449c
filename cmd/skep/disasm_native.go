package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// nativeFlags are those of disasm --native.
type nativeFlags struct {
	on   bool
	arch string
}

func (n *nativeFlags) target() (jit.Target, error) {
	arch := n.arch
	if arch == "" {
		arch = runtime.GOARCH
	}
	t, err := jit.TargetFor(arch)
	if err != nil {
		return t, fmt.Errorf("%w; --arch takes amd64 and arm64", err)
	}
	return t, nil
}

// A nativeProgram is what --native --json prints of a program.
type nativeProgram struct {
	Object       string       `json:"object"`
	Program      string       `json:"program"`
	Type         string       `json:"type"`
	Arch         string       `json:"arch"`
	Size         int          `json:"size"`
	Entry        int          `json:"entry"`
	Instructions []nativeInsn `json:"instructions"`
	Error        string       `json:"error"`

	prog *prog.Program
}

type nativeInsn struct {
	insnInfo
	Native []nativeCode `json:"native"`
}

type nativeCode struct {
	Offset int    `json:"offset"`
	Hex    string `json:"hex"`
	Text   string `json:"text"`
}

// disasmNative prints the machine code of the programs of the files. The error
// names those that have none.
func disasmNative(ctx context.Context, w io.Writer, flags *objectFlags, native *nativeFlags, asJSON bool, names []string) error {
	target, err := native.target()
	if err != nil {
		return err
	}
	var failed []error
	first := true
	for _, name := range names {
		obj, programs, err := linkEach(flags, name)
		if err != nil {
			return err
		}
		layouts := mapLayouts(obj)
		for _, l := range programs {
			n := &nativeProgram{Object: name, Program: l.name, Arch: target.Arch, Instructions: []nativeInsn{}, prog: l.prog}
			err := l.err
			if err == nil {
				err = n.compile(ctx, target, layouts)
			}
			if err != nil {
				n.Error = err.Error()
				failed = append(failed, err)
			}
			switch {
			case asJSON:
				err = writeJSON(w, n)
			case err == nil:
				if !first {
					fmt.Fprintln(w)
				}
				first = false
				err = n.print(w)
			default:
				err = nil // it is said at the end
			}
			if err != nil {
				return err
			}
		}
	}
	if len(failed) > 0 {
		return refused{errors.Join(failed...)}
	}
	return nil
}

// mapLayouts returns where the maps of obj would keep their values, by name. It
// makes each for a moment; of one that cannot be made nothing is known.
func mapLayouts(obj *prog.Object) map[string]*maps.Layout {
	layouts := map[string]*maps.Layout{}
	for _, s := range obj.Maps {
		spec := *s
		spec.Contents = nil
		c, err := vm.Load(&prog.Object{Maps: []*maps.Spec{&spec}}, vm.Options{})
		if err != nil {
			continue
		}
		layouts[s.Name] = maps.LayoutOf(c.Map(s.Name))
		c.Close()
	}
	return layouts
}

// compile proves the program safe and makes its machine code.
func (n *nativeProgram) compile(ctx context.Context, t jit.Target, layouts map[string]*maps.Layout) error {
	p := n.prog
	if p.Type == nil {
		return fmt.Errorf("%s: %s has no program type; give one with --type", n.Object, p.Name)
	}
	n.Type = p.Type.Name
	v, _, err := verifier.Verify(ctx, p, verifier.Options{MaxPacket: vm.MaxPacket})
	if err != nil {
		return fmt.Errorf("%s: %w", n.Object, err)
	}
	t.Maps = nil
	for _, s := range p.Maps {
		t.Maps = append(t.Maps, layouts[s.Name])
	}
	code, err := jit.Compile(v, t)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Object, err)
	}
	n.Size = code.Size()
	n.Entry, _ = code.Main()
	n.disassemble(code)
	return nil
}

// disassemble fills in the instructions, each with all code that was made of it.
func (n *nativeProgram) disassemble(code *jit.Code) {
	text := code.Link(func(int) uint64 { return 0 })
	native := map[prog.PC][]nativeCode{}
	for s := range code.Stretches {
		for _, m := range disasmMachine(n.Arch, text[s.Start:s.End], s.Start) {
			line := nativeCode{m.off, m.hex(n.Arch), m.text}
			if pc, ok := code.PC(m.target); ok && m.target >= 0 && pc != s.PC {
				line.Text += fmt.Sprintf("  # pc %d", pc)
			}
			native[s.PC] = append(native[s.PC], line)
		}
	}
	for in := range insnInfos(n.prog) {
		code := native[in.PC]
		if code == nil {
			code = []nativeCode{}
		}
		n.Instructions = append(n.Instructions, nativeInsn{in, code})
	}
}

// print writes, below the C lines, bytecode on the left and the machine code
// that was made of it on the right.
func (n *nativeProgram) print(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s: %s (%s): %d bytes for %s, entered at %#x\n", n.Object, n.Program, n.Type, n.Size, n.Arch, n.Entry)
	lines, function := n.prog.Lines, ""
	for _, in := range n.Instructions {
		if in.Function != function {
			function = in.Function
			fmt.Fprintf(b, "\n%s:\n", function)
		}
		for len(lines) > 0 && lines[0].PC <= in.PC {
			if l := lines[0]; l.PC == in.PC {
				fmt.Fprintf(b, "; %s // %s:%d\n", l.Text, l.File, l.Num)
			}
			lines = lines[1:]
		}
		left := fmt.Sprintf("%4d: (%s) %s", in.PC, in.Hex[:2], in.Text)
		if len(in.Native) == 0 {
			fmt.Fprintln(b, left)
		}
		end := -1
		for _, m := range in.Native {
			if end >= 0 && m.Offset != end {
				fmt.Fprintf(b, "%-48s …\n", "")
			}
			end = m.Offset + len(m.Hex)/2
			fmt.Fprintf(b, "%-48s %5x: %-20s %s\n", left, m.Offset, m.Hex, m.Text)
			left = ""
		}
	}
	return b.Flush()
}
