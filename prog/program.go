// Package prog holds the linked program, the noun that every other package
// shares, and what leads to it: decoding, linking, and the text forms.
//
// PC counts 64-bit slots; a wide instruction takes two. A Program is immutable
// and refers to map specs, never to maps, so that proving it allocates nothing
// and its code can be shared. The printer (Format, Disasm) and the assembler
// (Assemble) use the kernel's text form and are each other's inverse.
package prog

import (
	"slices"
	"sort"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
)

// A Program is a program with its subprograms in one address space of slots,
// every reference resolved:
//
//	wide, src PseudoMapFD      imm = index into Maps
//	wide, src PseudoMapValue   imm = index into Maps, next imm = byte offset
//	wide, src PseudoFunc       imm = entry PC of a subprogram
//	wide, src 0                a constant
//	call, src CallHelper       imm = helper number
//	call, src CallSub          imm = entry PC − (PC+1)
//	call, src CallKfunc        imm = index into Externs
//
// Every encoding is valid and every reserved field zero; jumps stay inside
// their function and hit the first slot of an instruction; no function falls
// off its end.
type Program struct {
	Name      string
	Type      *hook.Type // nil until the user chose one; engines and the verifier need it
	Attach    string
	Sleepable bool
	License   string
	Insns     []Insn
	Funcs     []FuncInfo // sorted by Entry; Funcs[0] is the main program at PC 0
	Handler   int        // index in Funcs of the function that bpf_throw calls, with what is thrown; its result is the program's. 0: none, what is thrown is
	Maps      []*maps.Spec
	Externs   []Extern
	Lines     []Line // sorted by PC
	File      string // object, for messages
}

// gplCompatible are the licenses under which programs may call helpers that
// are for GPL programs (kernel, license_is_gpl_compatible).
var gplCompatible = []string{"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}

// GPLCompatible reports whether the program's license lets it call helpers
// whose contract says GPL. Nothing enforces that unless the host asks for it.
func (p *Program) GPLCompatible() bool { return slices.Contains(gplCompatible, p.License) }

// FuncInfo is one function of a linked program.
type FuncInfo struct {
	Name   string
	Entry  PC // first slot
	End    PC // after the last slot
	Global bool
	Type   *btf.Type // of kind btf.Func; nil without BTF
}

// ExceptionHandler returns the name of the function that the program asks to
// have called by bpf_throw (a BTF declaration tag, "exception_callback:NAME");
// "" if there is none, so that what is thrown is the program's result. Which
// function that is, Handler says.
func (p *Program) ExceptionHandler() string {
	if len(p.Funcs) == 0 {
		return ""
	}
	name, _ := exceptionHandler(p.Funcs[0].Type)
	return name
}

// exceptionHandler returns the name that a function's tags give, and how many do.
func exceptionHandler(t *btf.Type) (name string, n int) {
	if t == nil {
		return "", 0
	}
	for _, tag := range t.Tags {
		if s, ok := strings.CutPrefix(tag, "exception_callback:"); ok {
			if n++; n == 1 {
				name = s
			}
		}
	}
	return name, n
}

// An Extern is a function of the host that the program calls by name.
type Extern struct {
	Name string
	Type *btf.Type // prototype; nil without BTF
	Weak bool
}

// A Line is where instructions come from, from PC up to the next Line's.
type Line struct {
	PC   PC
	File string
	Num  int    // line number, from 1
	Col  int    // column, from 1; 0 if unknown
	Text string // the source line, if the object holds it
}

// FuncAt returns the index of the function that holds pc, or -1.
func (p *Program) FuncAt(pc PC) int {
	i := sort.Search(len(p.Funcs), func(i int) bool { return pc < p.Funcs[i].End })
	if i == len(p.Funcs) || pc < p.Funcs[i].Entry {
		return -1
	}
	return i
}

// LineAt returns the source line of pc; the zero Line if none is known.
func (p *Program) LineAt(pc PC) Line {
	f := p.FuncAt(pc)
	if f < 0 {
		return Line{}
	}
	lo, hi := 0, len(p.Lines)
	for lo < hi {
		mid := (lo + hi) / 2
		if p.Lines[mid].PC <= pc {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 || p.Lines[lo-1].PC < p.Funcs[f].Entry {
		return Line{}
	}
	return p.Lines[lo-1]
}
