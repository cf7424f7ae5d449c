package elf_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestFromInstructions checks encodings against RFC 9669.
func TestFromInstructions(t *testing.T) {
	m := &maps.Spec{Name: "counters", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1}
	obj, err := elf.FromInstructions("main", asm.Instructions{
		asm.LoadMapPtr(asm.R1, 0).WithReference("counters"),
		asm.LoadMapValue(asm.R2, 0, 8).WithReference("counters"),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.FetchAdd.Mem(asm.R0, asm.R1, asm.DWord, 8),
		asm.Xchg.Mem(asm.R0, asm.R1, asm.Word, 4),
		asm.CmpXchg.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.SDiv.Imm(asm.R0, 3),
		asm.SMod.Reg32(asm.R0, asm.R1),
		asm.Mov.Imm(asm.R0, -1),
		asm.LoadImm(asm.R3, math.MinInt64+5, asm.DWord),
		asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference("sub"),
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference("sub"),
		asm.Return().WithSymbol("out"),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("sub"),
		asm.Return(),
	}, elf.Options{}, m)
	if err != nil {
		t.Fatal(err)
	}
	f := obj.Programs[0].Func
	want := []prog.Insn{
		{Op: 0x18, Dst: 1, Src: 1}, {},
		{Op: 0x18, Dst: 2, Src: 2}, {Imm: 8},
		{Op: 0x85, Imm: 1},
		{Op: 0x15, Off: 12}, // to the exit at slot 18
		{Op: 0xdb, Dst: 0, Src: 1, Off: 8, Imm: 0x01},
		{Op: 0xc3, Dst: 0, Src: 1, Off: 4, Imm: 0xe1},
		{Op: 0xdb, Dst: 0, Src: 1, Imm: 0xf1},
		{Op: 0x37, Off: 1, Imm: 3},
		{Op: 0x9c, Src: 1, Off: 1},
		{Op: 0xb7, Imm: -1},
		{Op: 0x18, Dst: 3, Imm: 5}, {Imm: math.MinInt32},
		{Op: 0x85, Src: 1, Imm: -1},
		{Op: 0x18, Dst: 2, Src: 4, Imm: -1}, {Imm: -1},
		{Op: 0x95},
	}
	want[5].Off = int16(len(want) - 1 - 6)
	if d := cmp.Diff(want, f.Insns); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"map counters", "value counters+8", "call sub", "func sub"}, refs(f)); d != "" {
		t.Error(d)
	}
	p := link(t, obj, "main")
	if len(p.Funcs) != 2 || p.Funcs[1].Name != "sub" || p.Funcs[1].End-p.Funcs[1].Entry != 2 {
		t.Errorf("functions %+v", p.Funcs)
	}
}

func TestFromInstructionsErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		insns asm.Instructions
		want  string
	}{
		{"empty", nil, "no instructions"},
		{"unknown map", asm.Instructions{asm.LoadMapPtr(asm.R1, 0).WithReference("m"), asm.Return()}, "no map m"},
		{"map by descriptor", asm.Instructions{asm.LoadMapPtr(asm.R1, 3), asm.Return()}, "without its name"},
		{"unknown label", asm.Instructions{asm.Ja.Label("x"), asm.Return()}, "no label x"},
		{"two labels", asm.Instructions{asm.Return().WithSymbol("x"), asm.Return().WithSymbol("x")}, "symbol x occurs twice"},
		{"no opcode", asm.Instructions{{OpCode: asm.InvalidOpCode}, asm.Return()}, "without an opcode"},
		{"symbol", asm.Instructions{asm.LoadImm(asm.R1, 0, asm.DWord).WithReference("jiffies"), asm.Return()}, "undefined symbol jiffies"},
		{"distance", asm.Instructions{{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: 1 << 30}, asm.Return()}, "no instruction at distance"},
		{"register", asm.Instructions{asm.Mov.Imm(asm.Register(77), 1), asm.Return()}, "registers 77"},
	} {
		obj, err := elf.FromInstructions("p", tc.insns, elf.Options{})
		if err == nil {
			_, err = obj.Link(obj.Programs[0])
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

// TestFromSpecChanges makes the changes that users of bpf2go make before they
// load a collection.
func TestFromSpecChanges(t *testing.T) {
	cs, err := ebpf.LoadCollectionSpec(dir + "xdp.o")
	if err != nil {
		t.Fatal(err)
	}
	if err := cs.Variables["limit"].Set(uint32(77)); err != nil {
		t.Fatal(err)
	}
	cs.Maps["flows"].MaxEntries = 5
	cs.Maps["flows"].Contents = []ebpf.MapKV{{Key: make([]byte, 8), Value: make([]byte, 32)}}
	cs.Programs["filter"].Type = ebpf.SchedCLS
	obj, err := elf.FromSpec(cs, elf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m := mapOf(t, obj, ".rodata"); binary.LittleEndian.Uint32(m.Contents[0].Value) != 77 || !m.Frozen {
		t.Errorf(".rodata: %x, frozen %v", m.Contents[0].Value, m.Frozen)
	}
	if m := mapOf(t, obj, "flows"); m.MaxEntries != 5 || len(m.Contents) != 1 || m.Value.Name != "flow" {
		t.Errorf("flows: %+v", m)
	}
	if p := programOf(t, obj, "filter"); p.Type != linux.Platform.Type("sched_cls") {
		t.Errorf("type %v", p.Type)
	}
	if obj.License != "Dual MIT/GPL" {
		t.Errorf("license %q", obj.License)
	}
	// The spec is the caller's: changing the object must not change it.
	mapOf(t, obj, ".rodata").Contents[0].Value[0] = 1
	var limit uint32
	if err := cs.Variables["limit"].Get(&limit); err != nil || limit != 77 {
		t.Errorf("limit %d in the spec, %v", limit, err)
	}
}

func TestFromSpecErrors(t *testing.T) {
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	for _, tc := range []struct {
		name, want string
		spec       *ebpf.CollectionSpec
	}{
		{"nil", "no CollectionSpec", nil},
		{"nil map", "m: no MapSpec", &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{"m": nil}}},
		{"nil program", "p: no ProgramSpec", &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"p": nil}}},
		{"nil variable", "v: no VariableSpec", &ebpf.CollectionSpec{Variables: map[string]*ebpf.VariableSpec{"v": nil}}},
		{"variable without a map", "no map of this section", &ebpf.CollectionSpec{Variables: map[string]*ebpf.VariableSpec{"v": {SectionName: ".data"}}}},
		{"value size", "value: 1 bytes, not 8", &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{
			"m": {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: uint8(1)}}}}}},
		{"key of no size", "key: ", &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{
			"m": {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: map[int]int{}, Value: uint64(1)}}}}}},
		{"big-endian", "big-endian", &ebpf.CollectionSpec{ByteOrder: binary.BigEndian, Programs: map[string]*ebpf.ProgramSpec{"p": {Instructions: insns}}}},
	} {
		obj, err := elf.FromSpec(tc.spec, elf.Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) || obj != nil {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	inner := &ebpf.MapSpec{Type: ebpf.ArrayOfMaps}
	inner.InnerMap = inner // endless
	if _, err := elf.FromSpec(&ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{"m": inner}}, elf.Options{}); err == nil {
		t.Error("a map of itself")
	}
}
