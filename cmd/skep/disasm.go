package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/prog"
)

func newDisasm(s streams) *cobra.Command {
	var flags objectFlags
	var native nativeFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "disasm FILE",
		Short: "Print the instructions of an object's programs, with their C lines and machine code",
		Long: `Prints linked programs, subprograms included, in the kernel's text form, with
the C lines they come from. FILE is an object, or raw instructions as skep asm
-o writes them. A program that cannot be linked is reported; the exit code is
then 1.

With --json, one object per instruction: {"program", "function", "pc", "hex",
"text", "file", "line", "source"}; pc counts 8-byte slots in the program.

With --native, which takes any number of files, each instruction has beside it
the machine code that vm.JIT makes of it, by its offset in hexadecimal, for this
host or the architecture that --arch names: for another than the host's, with
every extension that code can use. Code that an instruction has elsewhere, such
as how a function is entered, follows a line with "…". Addresses of maps are 0.
Instructions that the disassembler does not know are given as bytes. A program
that the verifier refuses is reported; the exit code is then 1.

With --native --json, one object per program: {"object", "program", "type",
"arch", "size", "entry", "instructions", "error"}; an instruction is as above,
with "native": [{"offset", "hex", "text"}]; of a program without machine code,
error says why.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case native.on && len(args) == 0:
				return usage{errors.New("at least one object file is needed"), cmd.CommandPath()}
			case !native.on && native.arch != "":
				return usage{errors.New("--arch is for --native"), cmd.CommandPath()}
			case native.on:
				return nil
			}
			return oneObject(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if native.on {
				return disasmNative(cmd.Context(), s.out, &flags, &native, asJSON, args)
			}
			programs, err := linkAll(&flags, args[0])
			for i, p := range programs {
				if asJSON {
					if err := disasmJSON(s.out, p); err != nil {
						return err
					}
					continue
				}
				if i > 0 {
					fmt.Fprintln(s.out)
				}
				if err := p.Disasm(s.out, prog.DisasmOptions{}); err != nil {
					return err
				}
			}
			return err
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per instruction")
	cmd.Flags().BoolVar(&native.on, "native", false, "the machine code beside the instructions")
	cmd.Flags().StringVar(&native.arch, "arch", "", "with --native: `ARCH` of the machine code, amd64 or arm64; default: this host's")
	return cmd
}

// A linked program, or why it cannot be linked.
type linked struct {
	name string
	prog *prog.Program
	err  error
}

// linkEach links the programs of an object, or the one that --program names.
func linkEach(flags *objectFlags, name string) (*prog.Object, []linked, error) {
	raw, err := isRaw(name)
	if err != nil {
		return nil, nil, err
	}
	if raw != nil {
		p, err := flags.fromRaw(name, raw)
		return &prog.Object{File: name}, []linked{{"main", p, nil}}, err
	}
	obj, err := flags.open(name)
	if err != nil {
		return nil, nil, err
	}
	var all []linked
	for _, s := range obj.Programs {
		if flags.program != "" && s.Name != flags.program {
			continue
		}
		p, err := obj.Link(s)
		all = append(all, linked{s.Name, p, err})
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("%s holds no program", name)
	}
	return obj, all, nil
}

// fromRaw returns the program of raw instructions, of the type that --type
// names, if any.
func (o *objectFlags) fromRaw(name string, raw []byte) (*prog.Program, error) {
	opts, err := o.options()
	if err != nil {
		return nil, err
	}
	typ, err := o.chosenType(opts.Platform)
	if err != nil {
		return nil, err
	}
	insns, err := prog.Decode(raw)
	if err != nil {
		return nil, refused{fmt.Errorf("%s: %w", name, err)}
	}
	p, err := prog.FromInsns("main", typ, insns, nil)
	if err != nil {
		return nil, refused{fmt.Errorf("%s: %w", name, err)}
	}
	return p, nil
}

// linkAll is linkEach that returns the programs that can be linked, with an
// error that names the others.
func linkAll(flags *objectFlags, name string) ([]*prog.Program, error) {
	_, all, err := linkEach(flags, name)
	if err != nil {
		return nil, err
	}
	var programs []*prog.Program
	var failed []error
	for _, l := range all {
		if l.err != nil {
			failed = append(failed, l.err)
			continue
		}
		programs = append(programs, l.prog)
	}
	if len(failed) > 0 {
		return programs, refused{errors.Join(failed...)}
	}
	return programs, nil
}

// isRaw returns the contents of a file that is no ELF file but a whole number
// of slots; nil for any other.
func isRaw(name string) ([]byte, error) {
	b, err := readFile(name)
	if err != nil || bytes.HasPrefix(b, []byte("\x7fELF")) || len(b) == 0 || len(b)%8 != 0 {
		return nil, err
	}
	return b, nil
}

type insnInfo struct {
	Program  string  `json:"program"`
	Function string  `json:"function"`
	PC       prog.PC `json:"pc"`
	Hex      string  `json:"hex"` // 8 bytes; 16 of a wide instruction
	Text     string  `json:"text"`
	File     string  `json:"file,omitempty"`
	Line     int     `json:"line,omitempty"`
	Source   string  `json:"source,omitempty"`
}

func disasmJSON(w io.Writer, p *prog.Program) error {
	for in := range insnInfos(p) {
		if err := writeJSON(w, in); err != nil {
			return err
		}
	}
	return nil
}

// insnInfos returns the instructions of a program, in order.
func insnInfos(p *prog.Program) iter.Seq[insnInfo] {
	raw := prog.Encode(p.Insns)
	return func(yield func(insnInfo) bool) {
		for _, f := range p.Funcs {
			for pc := f.Entry; pc < f.End; pc++ {
				next := pc + 1
				if p.Insns[pc].IsWide() {
					next++
				}
				line := p.LineAt(pc)
				if !yield(insnInfo{
					Program: p.Name, Function: f.Name, PC: pc, Hex: hex.EncodeToString(raw[pc*8 : next*8]),
					Text: p.Text(pc), File: line.File, Line: line.Num, Source: line.Text,
				}) {
					return
				}
				pc = next - 1
			}
		}
	}
}
