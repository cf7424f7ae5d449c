package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/prog"
)

func newAsm(s streams) *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "asm [FILE]",
		Short: "Turn text into instructions",
		Long: `Assembles the text in FILE, or on standard input: one instruction per line, in
the form that skep disasm, the kernel and llvm-objdump print. Labels end in a
colon; a comment begins with ; or // or a blank and #.

Prints each 8-byte slot in hexadecimal on a line of its own, which skep
conformance reads. With -o, writes the bytes to a file, which skep disasm
reads. With --json, one object: {"slots", "hex"}.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage{fmt.Errorf("at most one file can be assembled, not %d", len(args)), cmd.CommandPath()}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name, text, err := readInput(s, args)
			if err != nil {
				return err
			}
			insns, err := prog.Assemble(string(text))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := prog.Check(insns); err != nil {
				return refused{fmt.Errorf("%s: %w", name, err)}
			}
			raw := prog.Encode(insns)
			if out != "" {
				if err := os.WriteFile(out, raw, 0o666); err != nil {
					return err
				}
				if !asJSON {
					return nil
				}
			}
			if asJSON {
				return writeJSON(s.out, struct {
					Slots int    `json:"slots"`
					Hex   string `json:"hex"`
				}{len(insns), hex.EncodeToString(raw)})
			}
			for ; len(raw) > 0; raw = raw[8:] {
				fmt.Fprintf(s.out, "% x\n", raw[:8])
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the bytes to `FILE.bin` instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readInput reads the file that args name, or standard input.
func readInput(s streams, args []string) (name string, data []byte, err error) {
	if len(args) == 0 || args[0] == "-" {
		data, err = readAll("standard input", s.in)
		return "standard input", data, err
	}
	data, err = readFile(args[0])
	return args[0], data, err
}
