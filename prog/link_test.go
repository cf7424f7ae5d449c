package prog_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// code assembles what a function of an object holds.
func code(t *testing.T, text string) []prog.Insn {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return insns
}

var (
	hash   = &maps.Spec{Name: "counters", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	rodata = &maps.Spec{Name: ".rodata", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1}
	hooked = &hook.Type{Name: "testing", Helpers: helpers.NewSet(
		map[helpers.ID]*helpers.Func{1: {Name: "map_lookup_elem"}},
		map[string]*helpers.Func{"bpf_known": {Name: "bpf_known"}},
	)}
)

// sample is an object whose program uses every kind of reference.
func sample(t *testing.T) (*prog.Object, *prog.Spec) {
	t.Helper()
	leaf := &prog.Func{
		Name:  "leaf",
		Insns: code(t, "r0 = r1\nexit"),
		Lines: []prog.Line{{PC: 0, File: "a.c", Num: 30, Text: "return x;"}},
	}
	middle := &prog.Func{
		Name:  "middle",
		Insns: code(t, "call 0\nr1 = 0 ll\ncall 0"),
		Refs: []prog.Ref{
			{PC: 0, Kind: prog.RefCall, Func: leaf},
			{PC: 1, Kind: prog.RefMap, Map: hash},
			{PC: 3, Kind: prog.RefExtern, Name: "bpf_throw"},
		},
	}
	main := &prog.Func{
		Name:   "entry",
		Global: true,
		Insns: code(t, `
			r6 = 0 ll
			r1 = 99 ll
			r2 = 0 ll
			r3 = 0 ll
			r4 = 0 ll
			r5 = 0 ll
			call 1
			call 0
			call 0
			exit`),
		Refs: []prog.Ref{
			{PC: 0, Kind: prog.RefFunc, Func: middle},
			{PC: 2, Kind: prog.RefMapValue, Map: rodata, Off: 12},
			{PC: 4, Kind: prog.RefMap, Map: hash},
			{PC: 6, Kind: prog.RefConst, Name: "CONFIG_HZ", Const: 0x1_0000_00fa},
			{PC: 8, Kind: prog.RefExtern, Name: "bpf_known"},
			{PC: 10, Kind: prog.RefExtern, Name: "bpf_unknown", Weak: true},
			{PC: 13, Kind: prog.RefCall, Func: leaf},
			{PC: 14, Kind: prog.RefExtern, Name: "bpf_known"},
		},
		Lines: []prog.Line{{PC: 12, File: "a.c", Num: 11, Text: "leaf(1);"}, {PC: 0, File: "a.c", Num: 10, Text: "int entry(void *ctx)"}},
	}
	s := &prog.Spec{Name: "entry", Type: hooked, Func: main}
	return &prog.Object{File: "a.o", License: "GPL", Programs: []*prog.Spec{s}, Maps: []*maps.Spec{hash, rodata}}, s
}

func TestLink(t *testing.T) {
	obj, s := sample(t)
	before := append([]prog.Insn{}, s.Func.Insns...)
	p, err := obj.Link(s)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, s.Func.Insns); d != "" {
		t.Errorf("the object changed: %s", d)
	}
	want := []prog.Insn{
		{Op: 0x18, Dst: 6, Src: 4, Imm: 16}, {},
		{Op: 0x18, Dst: 1, Src: 2, Imm: 0}, {Imm: 12},
		{Op: 0x18, Dst: 2, Src: 1, Imm: 1}, {},
		{Op: 0x18, Dst: 3, Imm: 0xfa}, {Imm: 1},
		{Op: 0x18, Dst: 4, Imm: 1}, {},
		{Op: 0x18, Dst: 5, Imm: 0}, {},
		{Op: 0x85, Imm: 1},
		{Op: 0x85, Src: 1, Imm: 7},
		{Op: 0x85, Src: 2, Imm: 0},
		{Op: 0x95},
		{Op: 0x85, Src: 1, Imm: 4}, // middle
		{Op: 0x18, Dst: 1, Src: 1, Imm: 1}, {},
		{Op: 0x85, Src: 2, Imm: 1},
		{Op: 0x95},
		{Op: 0xbf, Src: 1}, // leaf
		{Op: 0x95},
	}
	if d := cmp.Diff(want, p.Insns); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]prog.FuncInfo{
		{Name: "entry", Entry: 0, End: 16, Global: true},
		{Name: "middle", Entry: 16, End: 21},
		{Name: "leaf", Entry: 21, End: 23},
	}, p.Funcs); d != "" {
		t.Error(d)
	}
	if len(p.Maps) != 2 || p.Maps[0] != rodata || p.Maps[1] != hash {
		t.Errorf("maps %v", p.Maps)
	}
	if d := cmp.Diff([]prog.Extern{{Name: "bpf_known"}, {Name: "bpf_throw"}}, p.Externs); d != "" {
		t.Error(d)
	}
	for pc, num := range map[prog.PC]int{0: 10, 11: 10, 12: 11, 15: 11, 16: 0, 20: 0, 21: 30, 22: 30} {
		if got := p.LineAt(pc).Num; got != num {
			t.Errorf("slot %d: line %d, want %d", pc, got, num)
		}
	}
}

// TestDisasm has the names beside the kernel's text, and what it prints can be
// assembled again.
func TestDisasm(t *testing.T) {
	obj, s := sample(t)
	p, err := obj.Link(s)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Disasm(&b, prog.DisasmOptions{}); err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/disasm.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(golden), b.String()); d != "" {
		t.Error(d)
	}
	again, err := prog.Assemble(b.String())
	if err != nil {
		t.Fatal(err)
	}
	raw := append([]prog.Insn{}, p.Insns...)
	raw[0].Imm -= 1 // as FromInsns takes the address of a subprogram: from the next slot
	if d := cmp.Diff(raw, again); d != "" {
		t.Error(d)
	}
}

func TestLinkErrors(t *testing.T) {
	cause := errors.New("extern variable foo is not there")
	ok := func() *prog.Func { return &prog.Func{Name: "f", Insns: code(t, "r0 = 0\nexit")} }
	for _, tc := range []struct {
		name string
		spec func() *prog.Spec
		want string
	}{
		{"unlinkable", func() *prog.Spec { return &prog.Spec{Err: cause, Func: ok()} },
			"a.o: program p: extern variable foo is not there"},
		{"no code", func() *prog.Spec { return &prog.Spec{} }, "a.o: program p: no code"},
		{"bad callee", func() *prog.Spec {
			f := &prog.Func{Name: "f", Insns: code(t, "call 0\nexit"),
				Refs: []prog.Ref{{Kind: prog.RefCall, Func: &prog.Func{Name: "g", Err: cause}}}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: function g: extern variable foo is not there"},
		{"map at a call", func() *prog.Spec {
			f := ok()
			f.Insns = code(t, "call 0\nexit")
			f.Refs = []prog.Ref{{Kind: prog.RefMap, Map: hash}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: call 0: call of map counters, which is no function"},
		{"map at a move", func() *prog.Spec {
			f := ok()
			f.Refs = []prog.Ref{{Kind: prog.RefMap, Map: hash}}
			f.Lines = []prog.Line{{File: "a.c", Num: 3}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: a.c:3: r0 = 0: reference to map counters at an instruction that holds none"},
		{"reference outside", func() *prog.Spec {
			f := ok()
			f.Refs = []prog.Ref{{PC: 2, Kind: prog.RefMap, Map: hash}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: function f: reference at slot 2 of 2"},
		{"two references", func() *prog.Spec {
			f := ok()
			f.Insns = code(t, "call 0\nexit")
			f.Refs = []prog.Ref{{Kind: prog.RefExtern, Name: "x"}, {Kind: prog.RefExtern, Name: "x"}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: call 0: two references at one instruction"},
		{"no relocation", func() *prog.Spec {
			f := ok()
			f.Insns = code(t, "call pc+0\nexit")
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: call pc+0: call of a subprogram that no relocation names"},
		{"strong address", func() *prog.Spec {
			f := ok()
			f.Insns = code(t, "r1 = 0 ll\nexit")
			f.Refs = []prog.Ref{{Kind: prog.RefExtern, Name: "bpf_unknown"}}
			return &prog.Spec{Func: f, Type: hooked}
		}, "a.o: program p: f+0: address of bpf_unknown, which programs of this type do not have"},
		{"reserved bits", func() *prog.Spec {
			f := ok()
			f.Insns[0].Off = 1
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: mov: offset is 1, must be 0"},
		{"half a wide reference", func() *prog.Spec {
			f := ok()
			f.Insns = []prog.Insn{{Op: 0x18}}
			f.Refs = []prog.Ref{{Kind: prog.RefMap, Map: hash}}
			return &prog.Spec{Func: f}
		}, "a.o: program p: f+0: the second slot is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := tc.spec()
			s.Name = "p"
			_, err := (&prog.Object{File: "a.o"}).Link(s)
			var e *prog.Error
			if !errors.As(err, &e) || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
