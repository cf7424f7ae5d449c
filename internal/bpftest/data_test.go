package bpftest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

var platform = linux.Platform

func formOf(in prog.Insn) *isa.Form {
	f, err := isa.Find(in.Op, uint8(in.Dst), uint8(in.Src), in.Off, in.Imm)
	if err != nil {
		return nil // second slot of a wide instruction
	}
	return f
}

func formTexts() []string {
	var all []string
	for i := range isa.Forms() {
		all = append(all, isa.Forms()[i].Text)
	}
	return all
}

func TestParse(t *testing.T) {
	got, err := Parse("dir/f.data", `# a comment
-- case one
-- asm
r0 = 1
exit
-- mem
01 02 # two bytes
03
-- kernel refuses: it does
-- result rfc
0x1
-- case two
-- type
xdp
-- raw
95 00 00 00 01 00 00 00
-- error
imm is 1
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Case{{
		Name: "f/one", File: "dir/f.data", Line: 2,
		Insns:         []prog.Insn{{Op: 0xb7, Imm: 1}, {Op: 0x95}},
		Mem:           []byte{1, 2, 3},
		Result:        1,
		Source:        "rfc",
		KernelRefuses: "it does",
	}, {
		Name: "f/two", File: "dir/f.data", Line: 12, Type: "xdp",
		Insns: []prog.Insn{{Op: 0x95, Imm: 1}},
		Error: "imm is 1",
	}}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Case{})); d != "" {
		t.Error(d)
	}
}

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"-- asm\nfoo\n-- result rfc\n1", "f.data:1: -- asm: line 1: foo: no such instruction"},
		{"-- asm\nexit\n", "f.data:1: f has neither result nor error"},
		{"-- case a\n-- result rfc\n1", "f.data:1: f/a has no program"},
		{"-- case a\n-- asm\nexit\n-- result rfc\n1\n-- case a\n-- asm\nexit\n-- result rfc\n1", "f.data:6: a second case f/a"},
		{"-- asm\nexit\n-- result me\n1", `f.data:3: -- result: source "me" is neither rfc nor kernel`},
		{"-- asm\nexit\n-- outcome\n1", "f.data:3: -- outcome: no such section"},
		{"-- mem\n0\n", "f.data:1: -- mem: encoding/hex: odd length hex string"},
	} {
		if _, err := Parse("f.data", tc.text); err == nil || err.Error() != tc.want {
			t.Errorf("%q: got %v, want %s", tc.text, err, tc.want)
		}
	}
}
