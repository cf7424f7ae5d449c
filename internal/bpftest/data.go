// Package bpftest holds what tests of programs share: conformance vectors in
// .data files, and a generator of random programs that verify.
package bpftest

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/prog"
)

// A Case is one conformance vector: a program, what it is given, and what must
// come of it.
//
// Unless Type says otherwise, R1 holds the address of Mem's bytes, which the
// program may read and write, and the result is all of R0. A file holds one
// case or, each after a line "-- case NAME", several:
//
//	-- case add-wraps
//	-- asm
//	r0 = -1
//	r0 += 1
//	exit
//	-- result rfc
//	0x0
//
// "-- raw" with slots in hexadecimal takes the place of "-- asm" where text
// cannot say it; "-- mem" gives memory in hexadecimal; "-- error" the text that
// the linker's refusal contains; "-- type" a program type, whose packet Mem
// then is; "-- kernel refuses: LOG" quotes the log with which Linux does not load
// the program, "-- kernel accepts: REASON" says why it loads one that the linker
// refuses. A result's line names its source: rfc (RFC 9669) or kernel (what Linux 6.18
// computed).
type Case struct {
	Name   string // file without its extension, and the case's name
	File   string
	Line   int // of the first section
	Type   string
	Insns  []prog.Insn
	Mem    []byte
	Error  string // the linker refuses, with a message that contains this
	Result uint64
	Source string // "rfc" or "kernel"
	// KernelRefuses is part of the log with which Linux refuses the program; ""
	// if it loads it.
	KernelRefuses string
	// KernelAccepts is why Linux loads a program that the linker refuses.
	KernelAccepts string

	resultLine int // line of the result's number, from 1; 0 if it is missing
}

// Load reads every .data file in dir.
func Load(dir string) ([]Case, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.data"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no .data files in %s", dir)
	}
	var all []Case
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		cases, err := Parse(f, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

// A section is the lines below "-- NAME WORDS".
type section struct {
	name, words string
	line        int
	body        []string
}

// Parse reads the cases of one file. An error names file and line.
func Parse(file, text string) ([]Case, error) {
	base := strings.TrimSuffix(filepath.Base(file), ".data")
	var sections []section
	for i, line := range strings.Split(text, "\n") {
		head, ok := strings.CutPrefix(line, "-- ")
		switch {
		case ok:
			name, words, _ := strings.Cut(head, " ")
			sections = append(sections, section{name: name, words: strings.TrimSpace(words), line: i + 1})
		case len(sections) > 0:
			s := &sections[len(sections)-1]
			s.body = append(s.body, line)
		}
	}
	var cases []Case
	var c *Case
	for _, s := range sections {
		if s.name == "case" || c == nil {
			cases = append(cases, Case{Name: base, File: file, Line: s.line})
			c = &cases[len(cases)-1]
		}
		if err := c.read(base, s); err != nil {
			return nil, fmt.Errorf("%s:%d: -- %s: %w", file, s.line, s.name, err)
		}
	}
	names := map[string]bool{}
	for i := range cases {
		c := &cases[i]
		switch {
		case names[c.Name]:
			return nil, fmt.Errorf("%s:%d: a second case %s", file, c.Line, c.Name)
		case len(c.Insns) == 0:
			return nil, fmt.Errorf("%s:%d: %s has no program", file, c.Line, c.Name)
		case c.resultLine == 0 && c.Error == "":
			return nil, fmt.Errorf("%s:%d: %s has neither result nor error", file, c.Line, c.Name)
		}
		names[c.Name] = true
	}
	return cases, nil
}

// read takes in one section.
func (c *Case) read(base string, s section) (err error) {
	text := strings.Join(s.body, "\n")
	line := strings.TrimSpace(text)
	switch s.name {
	case "case":
		c.Name = base + "/" + s.words
	case "asm":
		c.Insns, err = prog.Assemble(text)
	case "raw":
		var raw []byte
		if raw, err = parseHex(text); err == nil {
			c.Insns, err = prog.Decode(raw)
		}
	case "mem":
		c.Mem, err = parseHex(text)
	case "type":
		c.Type = line
	case "error":
		c.Error = line
	case "kernel":
		verb, reason, _ := strings.Cut(s.words, ": ")
		switch {
		case verb == "refuses" && reason != "":
			c.KernelRefuses = reason
		case verb == "accepts" && reason != "":
			c.KernelAccepts = reason
		default:
			return fmt.Errorf("%q is neither \"refuses: LOG\" nor \"accepts: REASON\"", s.words)
		}
	case "result":
		if s.words != "rfc" && s.words != "kernel" {
			return fmt.Errorf("source %q is neither rfc nor kernel", s.words)
		}
		c.Source = s.words
		c.resultLine = s.line + 1
		c.Result, err = strconv.ParseUint(line, 0, 64)
	default:
		return fmt.Errorf("no such section")
	}
	return err
}

// parseHex reads hexadecimal bytes with any white space between, and comments.
func parseHex(text string) ([]byte, error) {
	var digits strings.Builder
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	return hex.DecodeString(digits.String())
}

// Program links the case for an engine. A case without a type becomes one of
// MemType, with the helpers in set.
func (c *Case) Program(p hook.Platform, set *helpers.Set) (*prog.Program, error) {
	t := MemType(uint32(len(c.Mem)), set)
	if c.Type != "" {
		if t = p.Type(c.Type); t == nil {
			return nil, fmt.Errorf("%s: no program type %s", c.Name, c.Type)
		}
	}
	return prog.FromInsns(c.Name, t, c.Insns, nil)
}

// MemType is the type of programs whose context is plain memory of size bytes.
func MemType(size uint32, set *helpers.Set) *hook.Type {
	t := &hook.Type{
		Name:    "mem",
		Ctx:     hook.Ctx{Name: "mem", Size: size, HostSize: size},
		Input:   hook.InputContext,
		Return:  hook.AnyReturn,
		Helpers: set,
	}
	if size > 0 {
		t.Ctx.Fields = []hook.Field{{Name: "bytes", Size: size, Kind: hook.FieldBytes, HostSize: size, Read: 15, Write: 15}}
	}
	return t
}
