package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

func newConformance(s streams) *cobra.Command {
	var engine, program string
	var isELF, debug bool
	cmd := &cobra.Command{
		Use:   "conformance [MEMORY-HEX]",
		Short: "Run raw instructions, as a plugin of bpf_conformance",
		Long: `Runs the instructions whose bytes stand in hexadecimal on standard input, or
after --program, and prints R0 in hexadecimal: the protocol of bpf_conformance's
plugins, whose runner calls this through a script of one line:

  exec skep conformance "$@" --engine jit

R1 points to the memory that MEMORY-HEX holds and R2 is its size; both are 0
without it. With --elf, the input is an object: its only program runs in the
same way, or, if its section is xdp, as an XDP program on that memory.

--engine jit refuses a program that it cannot run; auto goes on to the checked
interpreter. skep asm prints what this reads.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage{fmt.Errorf("at most one memory can be given, not %d", len(args)), cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := vm.ParseEngine(engine)
			if err != nil {
				return usage{err, cmd.CommandPath()}
			}
			memory, err := parseHex(strings.Join(args, ""))
			if err != nil {
				return fmt.Errorf("memory: %w", err)
			}
			if !cmd.Flags().Changed("program") {
				if program, err = readProgram(s.in); err != nil {
					return err
				}
			}
			code, err := parseHex(program)
			if err != nil {
				return fmt.Errorf("program: %w", err)
			}
			obj, err := conformanceObject(code, memory, isELF)
			if err != nil {
				return refused{err}
			}
			if debug {
				if err := debugProgram(s.err, obj); err != nil {
					return refused{err}
				}
			}
			r0, err := runConformance(obj, e, memory)
			if err != nil {
				return refused{inUsersTerms(err, obj.Programs[0], len(memory))}
			}
			fmt.Fprintf(s.out, "%x\n", r0)
			return nil
		},
	}
	cmd.Flags().StringVar(&engine, "engine", "auto", "`ENGINE` that runs the program: auto, jit, interp or checked")
	cmd.Flags().StringVar(&program, "program", "", "the program, instead of standard input: `HEX`")
	cmd.Flags().BoolVar(&isELF, "elf", false, "the program is an ELF object")
	cmd.Flags().BoolVar(&debug, "debug", false, "print the program to standard error")
	return cmd
}

// maxProgramText bounds the text of a program: a million slots, 3 characters
// for each byte.
const maxProgramText = 24 << 20

// readProgram reads the program's text: all of it, since skep asm prints a
// line for each slot.
func readProgram(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(r), maxProgramText+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxProgramText {
		return "", fmt.Errorf("program: more than %d characters", maxProgramText)
	}
	return string(b), nil
}

// conformance is the type of programs whose R1 and R2 their first instructions
// replace by the memory and its size.
var conformance = &hook.Type{
	Name:    "conformance",
	Ctx:     hook.NewCtx("nothing", 0),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helpers.Base(),
}

// conformanceObject returns an object with one program, which has memory in the
// value of a map, or as its packet.
func conformanceObject(code, memory []byte, isELF bool) (*prog.Object, error) {
	obj := &prog.Object{File: "program"}
	if isELF {
		var err error
		if obj, err = elf.Load(bytes.NewReader(code), "program", elf.Options{}); err != nil {
			return nil, err
		}
	} else {
		main, err := splitProgram(code)
		if err != nil {
			return nil, err
		}
		obj.Programs = []*prog.Spec{{Name: "main", Func: main}}
	}
	spec, err := choose(obj, "")
	if err != nil {
		return nil, err
	}
	if isELF && len(spec.Func.Refs) == 0 {
		// Without relocations it is raw code, in which calls may lead to
		// places that have no symbol: the runner writes such objects.
		if spec.Func, err = splitProgram(prog.Encode(spec.Func.Insns)); err != nil {
			return nil, err
		}
		spec.Err = nil
	}
	if spec.Type != nil { // section xdp
		return obj, nil
	}
	spec.Type = conformance
	insns := prologue(len(memory))
	prepend(spec.Func, insns)
	if len(memory) > 0 {
		m := &maps.Spec{
			Name: "memory", Type: maps.Array, KeySize: 4, ValueSize: uint32(len(memory)), MaxEntries: 1,
			Contents: []maps.Entry{{Key: make([]byte, 4), Value: memory}},
		}
		obj.Maps = append(obj.Maps, m)
		spec.Func.Refs = append([]prog.Ref{{Kind: prog.RefMapValue, Map: m}}, spec.Func.Refs...)
	}
	return obj, nil
}

// inUsersTerms takes the prologue out of the place that err names.
func inUsersTerms(err error, p *prog.Spec, memory int) error {
	if p.Type != conformance {
		return err
	}
	n := prog.PC(len(prologue(memory)))
	var fault *vm.Fault
	var link *prog.Error
	var refusal *verifier.Error
	switch {
	case errors.As(err, &fault):
		at := *fault
		at.PC -= n
		return &at
	case errors.As(err, &refusal):
		at := *refusal
		at.PC -= n
		return &at
	case errors.As(err, &link) && link.HasInsn && link.Func == p.Func.Name:
		at := *link
		at.PC -= n
		return &at
	}
	return err
}

// prologue returns the instructions that load R1 and R2 with the address of the
// memory, to which the first refers, and its size.
func prologue(size int) []prog.Insn {
	const movK = isa.Op(isa.ALU64) | isa.Op(isa.Mov)
	if size == 0 {
		return []prog.Insn{{Op: movK, Dst: prog.R1}, {Op: movK, Dst: prog.R2}}
	}
	return []prog.Insn{
		{Op: isa.Wide, Dst: prog.R1, Src: isa.PseudoMapValue}, {},
		{Op: movK, Dst: prog.R2, Imm: int32(size)},
	}
}

// prepend puts insns before f's first instruction.
func prepend(f *prog.Func, insns []prog.Insn) {
	n := prog.PC(len(insns))
	f.Insns = append(insns, f.Insns...)
	for i := range f.Refs {
		f.Refs[i].PC += n
	}
	for i := range f.Lines {
		f.Lines[i].PC += n
	}
}

// splitProgram returns the main function of raw code, with references to its
// subprograms.
func splitProgram(code []byte) (*prog.Func, error) {
	insns, err := prog.Decode(code)
	if err != nil {
		return nil, err
	}
	p, err := prog.FromInsns("main", conformance, insns, nil)
	if err != nil {
		return nil, err
	}
	funcs := make([]*prog.Func, len(p.Funcs))
	for i, f := range p.Funcs {
		funcs[i] = &prog.Func{Name: f.Name, Insns: slices.Clone(p.Insns[f.Entry:f.End])}
	}
	for i, f := range p.Funcs {
		for pc := f.Entry; pc < f.End; pc++ {
			ref := prog.Ref{PC: pc - f.Entry}
			switch in := p.Insns[pc]; {
			case in.IsCall(isa.CallSub):
				ref.Kind, ref.Func = prog.RefCall, funcs[p.FuncAt(pc+1+prog.PC(in.Imm))]
			case in.IsWide():
				if in.Src == isa.PseudoFunc {
					ref.Kind, ref.Func = prog.RefFunc, funcs[p.FuncAt(prog.PC(in.Imm))]
				}
				pc++
			}
			if ref.Func != nil {
				funcs[i].Refs = append(funcs[i].Refs, ref)
			}
		}
	}
	return funcs[0], nil
}

func debugProgram(w io.Writer, obj *prog.Object) error {
	p, err := obj.Link(obj.Programs[0])
	if err != nil {
		return err
	}
	return p.Disasm(w, prog.DisasmOptions{})
}

func runConformance(obj *prog.Object, e vm.Engine, memory []byte) (uint64, error) {
	coll, err := vm.Load(obj, vm.Options{
		Engine: e, Verify: vm.VerifyOptional, // what cannot be proven is a test of the checked interpreter
		Rules: verifier.Options{AllowUnbounded: true},
	})
	if err != nil {
		return 0, err
	}
	defer coll.Close()
	p := coll.Programs()[0]
	if p.Type() == conformance {
		memory = nil // it is in a map
	}
	return p.Run(memory)
}
