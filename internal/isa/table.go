package isa

import (
	"fmt"
	"strconv"
	"strings"
)

// A Group is a conformance group (RFC 9669, section 2.4).
type Group uint8

const (
	GroupBase32 Group = iota
	GroupBase64
	GroupAtomic32
	GroupAtomic64
	GroupDivMul32
	GroupDivMul64
	GroupPacket
	GroupKernel // not in the RFC: what the Linux kernel and compilers added
)

func (g Group) String() string {
	return [...]string{"base32", "base64", "atomic32", "atomic64", "divmul32", "divmul64", "packet", "kernel"}[g]
}

// A Use says what an instruction does with the register in a field.
type Use uint8

const (
	Unused Use = 0 // the field names no register
	Read   Use = 1
	Write  Use = 2
)

// A Form is one valid instruction: an opcode and the fields that tell it from
// others of the same opcode.
type Form struct {
	Op    Op
	Name  string
	Group Group
	// Text is the kernel's text form (kernel/bpf/disasm.c), with fields in
	// braces: {dst} {src} register numbers; {off} and {rel} the offset and the
	// immediate as signed distances; {imm} and {hex} the immediate as a signed
	// decimal and as 32 bits in hexadecimal; {next} the immediate of the
	// second slot, without a sign; {imm64} both immediates of a wide instruction.
	Text     string
	Dst, Src Use // besides these, calls, atomics and packet loads use fixed registers

	dst, src, off, imm, next field
}

// A field is what one field of a form may hold: any value, or just one.
type field struct {
	any bool
	n   int32
}

var anyValue = field{any: true}

func only(n int32) field { return field{n: n} }

func (f field) has(n int32) bool { return f.any || f.n == n }

// Fixed returns the value of a field of f that admits only one; ok is false if
// it admits any. The fields are "dst", "src", "off", "imm" and "next".
func (f *Form) Fixed(name string) (n int32, ok bool) {
	v := f.field(name)
	return v.n, !v.any
}

func (f *Form) field(name string) field {
	switch name {
	case "dst":
		return f.dst
	case "src":
		return f.src
	case "off":
		return f.off
	case "imm":
		return f.imm
	case "next":
		return f.next
	}
	panic("BUG: no instruction field " + name)
}

// Forms returns every valid instruction form. The result must not be changed.
func Forms() []Form { return forms }

// numRegs is how many registers programs have: R0 to R10.
const numRegs = 11

// Find returns the form of an instruction slot, or an error that names the
// field that makes it invalid. A wide instruction's second slot is not looked
// at; CheckNext does that.
func Find(op Op, dst, src uint8, off int16, imm int32) (*Form, error) {
	for _, f := range byOp[op] {
		if f.dst.has(int32(dst)) && f.src.has(int32(src)) && f.off.has(int32(off)) && f.imm.has(imm) {
			if err := f.checkRegs(dst, src); err != nil {
				return nil, err
			}
			return f, nil
		}
	}
	return nil, why(op, dst, src, off, imm)
}

// why returns the error of a slot that no form describes: the first field that
// leaves no form, and what it might hold.
func why(op Op, dst, src uint8, off int16, imm int32) error {
	cand := byOp[op]
	if len(cand) == 0 {
		return fmt.Errorf("opcode %#02x is no instruction", uint8(op))
	}
	values := [...]struct {
		name, text string
		n          int32
	}{
		{"dst", "dst", int32(dst)},
		{"src", "src", int32(src)},
		{"off", "offset", int32(off)},
		{"imm", "imm", imm},
	}
	for _, v := range values {
		var left []*Form
		for _, f := range cand {
			if f.field(v.name).has(v.n) {
				left = append(left, f)
			}
		}
		if len(left) == 0 {
			return fmt.Errorf("%s: %s is %d, must be %s", names(cand), v.text, v.n, choices(cand, v.name))
		}
		cand = left
	}
	panic(fmt.Sprintf("BUG: opcode %#02x has a form that was not found", uint8(op)))
}

// checkRegs reports a register number that does not exist, or a write to R10.
func (f *Form) checkRegs(dst, src uint8) error {
	if f.Dst != Unused && dst >= numRegs {
		return fmt.Errorf("%s: dst is %d, must be a register, 0 to 10", f.Name, dst)
	}
	if f.Src != Unused && src >= numRegs {
		return fmt.Errorf("%s: src is %d, must be a register, 0 to 10", f.Name, src)
	}
	if f.Dst&Write != 0 && dst == numRegs-1 {
		return fmt.Errorf("%s: dst is 10, the frame pointer, which is read-only", f.Name)
	}
	if f.Src&Write != 0 && src == numRegs-1 {
		return fmt.Errorf("%s: src is 10, the frame pointer, which is read-only", f.Name)
	}
	return nil
}

// CheckNext reports what is wrong with the second slot of a wide instruction
// of form f.
func (f *Form) CheckNext(op Op, dst, src uint8, off int16, imm int32) error {
	switch {
	case op != 0 || dst != 0 || src != 0 || off != 0:
		return fmt.Errorf("%s: second slot has opcode %#02x, dst %d, src %d, offset %d, must be 0", f.Name, uint8(op), dst, src, off)
	case !f.next.has(imm):
		return fmt.Errorf("%s: second imm is %d, must be %d", f.Name, imm, f.next.n)
	}
	return nil
}

// names lists the distinct names of forms of one opcode.
func names(cand []*Form) string {
	var s []string
	seen := map[string]bool{}
	for _, f := range cand {
		if !seen[f.Name] {
			seen[f.Name] = true
			s = append(s, f.Name)
		}
	}
	return strings.Join(s, "/")
}

// choices lists the values that forms admit in a field.
func choices(cand []*Form, name string) string {
	var s []string
	seen := map[int32]bool{}
	for _, f := range cand {
		if n := f.field(name).n; !seen[n] {
			seen[n] = true
			s = append(s, strconv.Itoa(int(n)))
		}
	}
	return strings.Join(s, " or ")
}

// forms is the table, and byOp its rows by opcode. Both are filled once, from
// the rows below, when the package is loaded.
var (
	forms = table()
	byOp  = index(forms)
)

func index(forms []Form) (by [256][]*Form) {
	for i := range forms {
		f := &forms[i]
		by[f.Op] = append(by[f.Op], f)
	}
	return by
}
