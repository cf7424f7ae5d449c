package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/prog"
)

func newDisasm(s streams) *cobra.Command {
	var flags objectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "disasm FILE",
		Short: "Print the instructions of an object's programs, with their C lines",
		Long: `Prints linked programs, subprograms included, in the kernel's text form, with
the C lines they come from. FILE is an object, or raw instructions as skep asm
-o writes them. A program that cannot be linked is reported; the exit code is
then 1.

With --json, one object per instruction: {"program", "function", "pc", "hex",
"text", "file", "line", "source"}; pc counts 8-byte slots in the program.`,
		Args: oneObject,
		RunE: func(_ *cobra.Command, args []string) error {
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
	return cmd
}

// linkAll links the programs of an object, or the one that --program names.
// Those that can be linked are returned, with an error that names the others.
func linkAll(flags *objectFlags, name string) ([]*prog.Program, error) {
	raw, err := isRaw(name)
	if err != nil {
		return nil, err
	}
	if raw != nil {
		insns, err := prog.Decode(raw)
		if err != nil {
			return nil, refused{fmt.Errorf("%s: %w", name, err)}
		}
		p, err := prog.FromInsns("main", nil, insns, nil)
		if err != nil {
			return nil, refused{fmt.Errorf("%s: %w", name, err)}
		}
		return []*prog.Program{p}, nil
	}
	obj, err := flags.open(name)
	if err != nil {
		return nil, err
	}
	var programs []*prog.Program
	var failed error
	for _, s := range obj.Programs {
		if flags.program != "" && s.Name != flags.program {
			continue
		}
		p, err := obj.Link(s)
		switch {
		case err == nil:
			programs = append(programs, p)
		case failed == nil:
			failed = err
		default:
			failed = fmt.Errorf("%w\n%w", failed, err)
		}
	}
	if failed != nil {
		return programs, refused{failed}
	}
	if len(programs) == 0 {
		return nil, fmt.Errorf("%s holds no program", name)
	}
	return programs, nil
}

// isRaw returns the contents of a file that is no ELF file but a whole number
// of slots; nil for any other.
func isRaw(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
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
	raw := prog.Encode(p.Insns)
	for _, f := range p.Funcs {
		for pc := f.Entry; pc < f.End; pc++ {
			next := pc + 1
			if p.Insns[pc].IsWide() {
				next++
			}
			line := p.LineAt(pc)
			err := writeJSON(w, insnInfo{
				Program: p.Name, Function: f.Name, PC: pc, Hex: hex.EncodeToString(raw[pc*8 : next*8]),
				Text: p.Text(pc), File: line.File, Line: line.Num, Source: line.Text,
			})
			if err != nil {
				return err
			}
			pc = next - 1
		}
	}
	return nil
}
