package elf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	ciliumbtf "github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

func link(t *testing.T, obj *prog.Object, name string) *prog.Program {
	t.Helper()
	p, err := obj.Link(programOf(t, obj, name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refs lists what a function refers to, in order.
func refs(f *prog.Func) []string {
	kinds := []string{"call", "func", "map", "value", "extern", "const"}
	var out []string
	for _, r := range f.Refs {
		s := kinds[r.Kind] + " " + r.Name
		switch r.Kind {
		case prog.RefMapValue:
			s = fmt.Sprintf("value %s+%d", r.Map.Name, r.Off)
		case prog.RefConst:
			s += fmt.Sprintf(" %#x", r.Const)
		}
		if r.Weak {
			s += " weak"
		}
		out = append(out, s)
	}
	return out
}

func TestPrograms(t *testing.T) {
	obj := open(t, "subprogs.o")
	var got []string
	for _, p := range obj.Programs {
		typ := "none"
		if p.Type != nil {
			typ = p.Type.Name
		}
		got = append(got, fmt.Sprintf("%s %s %s", p.Section, p.Name, typ))
	}
	// local is called by third, so it is a subprogram; tail is named by the
	// program array alone.
	want := []string{
		"xdp first xdp", "xdp second xdp", "xdp third xdp", "xdp tail xdp", "xdp caller xdp",
		"2/1 untyped none", "?tc optional sched_cls",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, want := range map[string][]string{
		"first": {"call thrice"}, "second": {"func count"}, "third": {"call local"}, "caller": {"map progs"},
	} {
		if d := cmp.Diff(want, refs(programOf(t, obj, name).Func)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	var entries []string
	for _, e := range mapOf(t, obj, "progs").Contents {
		entries = append(entries, fmt.Sprintf("%x %s", e.Key, e.Program))
	}
	if d := cmp.Diff([]string{"01000000 first", "03000000 tail"}, entries); d != "" {
		t.Error("initial values", d)
	}
	var funcs []string
	for _, f := range link(t, obj, "third").Funcs {
		funcs = append(funcs, f.Name)
	}
	if d := cmp.Diff([]string{"third", "local", "twice"}, funcs); d != "" {
		t.Error("functions of third", d)
	}
}

// TestTextOnly checks that functions in .text are programs if nothing else
// is, and that calls of undefined functions are left to the host.
func TestTextOnly(t *testing.T) {
	obj := open(t, "text.o")
	var got []string
	for _, p := range obj.Programs {
		got = append(got, p.Name)
	}
	if d := cmp.Diff([]string{"func", "other"}, got); d != "" {
		t.Error(d)
	}
	want := []string{"extern memset", "extern memcpy", "call helper", "extern memcmp"}
	if d := cmp.Diff(want, refs(programOf(t, obj, "func").Func)); d != "" {
		t.Error(d)
	}
}

func TestMaps(t *testing.T) {
	type want struct {
		Type            maps.Type
		Key, Value, Max uint32
		Flags           maps.Flags
		Extra           uint64
		Inner, Pinning  string
		Contents        string
	}
	get := func(m *maps.Spec) want {
		w := want{m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, m.Extra, "", m.Pinning, ""}
		if m.Inner != nil {
			w.Inner = fmt.Sprint(m.Inner.Name, m.Inner.Type, m.Inner.KeySize, m.Inner.ValueSize, m.Inner.MaxEntries, uint32(m.Inner.Flags))
		}
		for _, e := range m.Contents {
			w.Contents += fmt.Sprintf("%x=%s ", e.Key, e.Map.Name)
		}
		return w
	}
	for object, wants := range map[string]map[string]want{
		"maps.o": {
			"one":       {Type: maps.Array, Key: 4, Value: 8, Max: 3},
			"outer":     {Type: maps.ArrayOfMaps, Key: 4, Value: 4, Max: 5, Inner: "outer.inner" + fmt.Sprint(maps.Array, 4, 8, 3, 0), Contents: "00000000=two 04000000=one "},
			"anonymous": {Type: maps.HashOfMaps, Key: 4, Value: 4, Max: 2, Inner: "anonymous.inner" + fmt.Sprint(maps.Hash, 12, 20, 9, 1)},
			"pinned":    {Type: maps.LRUHash, Key: 4, Value: 8, Max: 16, Flags: maps.NUMANode, Pinning: "/sys/fs/bpf/pinned"},
			"bloom":     {Type: maps.BloomFilter, Value: 4, Max: 100, Extra: 0x500000003},
			"events":    {Type: maps.RingBuf, Max: 1 << 16},
		},
		"legacy.o": {
			"array":  {Type: maps.Array, Key: 4, Value: 8, Max: 7},
			"nested": {Type: maps.ArrayOfMaps, Key: 4, Value: 4, Max: 2, Inner: "hash" + fmt.Sprint(maps.Hash, 16, 32, 64, 1)},
			"hash":   {Type: maps.Hash, Key: 16, Value: 32, Max: 64, Flags: maps.NoPrealloc},
			"brief":  {Type: maps.PerCPUArray, Key: 4, Value: 16, Max: 3},
		},
		"iproute2.o": {
			"inner": {Type: maps.Hash, Key: 4, Value: 8, Max: 10, Flags: maps.NoPrealloc},
			"outer": {Type: maps.ArrayOfMaps, Key: 4, Value: 4, Max: 2, Pinning: "/sys/fs/bpf/tc/globals/outer", Inner: "inner" + fmt.Sprint(maps.Hash, 4, 8, 10, 1)},
			"jumps": {Type: maps.ProgArray, Key: 4, Value: 4, Max: 8, Pinning: "/sys/fs/bpf/tc/jumps"},
		},
	} {
		obj := open(t, object)
		for name, w := range wants {
			if d := cmp.Diff(w, get(mapOf(t, obj, name))); d != "" {
				t.Errorf("%s: %s: %s", object, name, d)
			}
		}
	}
}

// windows is a platform with that name and no types.
type windows struct{}

func (windows) Name() string                        { return "windows" }
func (windows) Types() []*hook.Type                 { return nil }
func (windows) Type(string) *hook.Type              { return nil }
func (windows) Section(string) (hook.Section, bool) { return hook.Section{}, false }

// TestWindowsMaps checks the 32-byte definitions of eBPF for Windows, whose
// map types have numbers of their own, on a hand-made section.
func TestWindowsMaps(t *testing.T) {
	obj := open(t, "windows.o", elf.Options{Platform: windows{}})
	in, out := mapOf(t, obj, "inner"), mapOf(t, obj, "outer")
	if in.Type != maps.LRUHash || in.KeySize != 4 || in.ValueSize != 8 || in.MaxEntries != 10 {
		t.Errorf("inner: %+v", in)
	}
	if out.Type != maps.ArrayOfMaps || out.Inner != in || out.Pinning == "" {
		t.Errorf("outer: %+v", out)
	}
}

func TestData(t *testing.T) {
	obj := open(t, "data.o")
	type variable struct {
		Map       string
		Off, Size uint32
		ReadOnly  bool
		Type      string
	}
	got := map[string]variable{}
	for _, v := range obj.Variables {
		value := v.Map.Contents[0].Value[v.Off : v.Off+v.Size]
		got[v.Name] = variable{v.Map.Name, v.Off, v.Size, v.ReadOnly, string(v.Type.AppendC(nil, value))}
	}
	want := map[string]variable{
		"zero":     {".bss", 0, 4, false, "0"},
		"one":      {".data", 0, 4, false, "1"},
		"hidden":   {".data", 16, 4, false, "4660"},
		"pointer":  {".data", 8, 8, false, "0x0"},
		"fixed":    {".rodata", 0, 8, true, "{.a = 5, .b = 120}"},
		"words":    {".rodata", 8, 16, true, "{0x0, 0x6}"},
		"pairs":    {".data.pairs", 0, 24, false, "{{.a = 1, .b = 97}, {.a = 2, .b = 98}, {.a = 3, .b = 99}}"},
		"big":      {".rodata.big", 0, 8, true, "1234605616436508552"},
		"counters": {".bss.counters", 0, 32, false, "{0, 0, 0, 0}"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	notes := strings.Join(obj.Notes, "\n")
	if !strings.Contains(notes, "section .data: 1 pointers") || !strings.Contains(notes, "section .rodata: 2 pointers") {
		t.Errorf("notes: %s", notes)
	}
	data := mapOf(t, obj, ".data.pairs")
	if got := string(data.Value.AppendJSON(nil, data.Contents[0].Value)); got != `{"pairs":[{"a":1,"b":97},{"a":2,"b":98},{"a":3,"b":99}]}` {
		t.Errorf("section as JSON: %s", got)
	}
}

func TestKconfig(t *testing.T) {
	obj := open(t, "kconfig.o", elf.Options{Kconfig: map[string]string{
		"LINUX_KERNEL_VERSION": "0x60c01", "LINUX_HAS_SYSCALL_WRAPPER": "1", "CONFIG_BPF": "y", "CONFIG_VETH": "m",
		"CONFIG_LETTER": "n", "CONFIG_NAME": `"longer than it"`, "CONFIG_BIG": "18446744073709551615",
		"CONFIG_NEGATIVE": "-2",
	}})
	m := mapOf(t, obj, ".kconfig")
	if !m.Frozen || m.Flags != maps.ReadOnlyProg {
		t.Errorf("flags %v, frozen %v", m.Flags, m.Frozen)
	}
	want := `{"LINUX_KERNEL_VERSION":396289,"LINUX_HAS_SYSCALL_WRAPPER":true,"CONFIG_BPF":true,"CONFIG_VETH":"TRI_MODULE",` +
		`"CONFIG_LETTER":110,"CONFIG_NAME":"longer ","CONFIG_BIG":18446744073709551615,"CONFIG_NEGATIVE":-2,"CONFIG_ABSENT":0,"CONFIG_NEEDED":0}`
	var a, b map[string]any
	unmarshal(t, want, &a)
	unmarshal(t, string(m.Value.AppendJSON(nil, m.Contents[0].Value)), &b)
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	link(t, obj, "version")
	link(t, obj, "all")
	_, err := obj.Link(programOf(t, obj, "needs"))
	if err == nil || !strings.Contains(err.Error(), "CONFIG_NEEDED") {
		t.Errorf("CONFIG_NEEDED has no value: %v", err)
	}
}

// TestKconfigDefaults: what Kconfig leaves out has the documented value, and what it
// gives counts.
func TestKconfigDefaults(t *testing.T) {
	for _, tc := range []struct {
		config map[string]string
		want   string
	}{
		{nil, `{"LINUX_KERNEL_VERSION":397824,"LINUX_HAS_SYSCALL_WRAPPER":true,"CONFIG_BPF":true}`},
		{map[string]string{"LINUX_KERNEL_VERSION": "0x60c01", "CONFIG_BPF": "n"}, `{"LINUX_KERNEL_VERSION":396289,"LINUX_HAS_SYSCALL_WRAPPER":true,"CONFIG_BPF":false}`},
	} {
		obj := open(t, "kconfig.o", elf.Options{Kconfig: tc.config})
		link(t, obj, "version")
		m := mapOf(t, obj, ".kconfig")
		var want, got map[string]any
		unmarshal(t, tc.want, &want)
		unmarshal(t, string(m.Value.AppendJSON(nil, m.Contents[0].Value)), &got)
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%v: %s is %v, want %v", tc.config, name, got[name], v)
			}
		}
	}
	if got := elf.KconfigDefaults()["CONFIG_HZ"]; got != "250" {
		t.Errorf("CONFIG_HZ is %q", got)
	}
}

func TestKconfigValues(t *testing.T) {
	for _, tc := range []struct{ name, value string }{
		{"CONFIG_BPF", "m"}, {"CONFIG_BPF", "7"}, {"CONFIG_NEGATIVE", "40000"}, {"CONFIG_NEGATIVE", "-40000"},
		{"CONFIG_BIG", "-1"}, {"CONFIG_BIG", `"text"`}, {"CONFIG_NAME", "5"}, {"CONFIG_VETH", "2"}, {"CONFIG_BIG", "y"},
		{"CONFIG_LETTER", "300"}, {"CONFIG_NEGATIVE", "word"},
	} {
		config := map[string]string{
			"CONFIG_BPF": "y", "CONFIG_VETH": "n", "CONFIG_LETTER": "y", "CONFIG_NAME": `"n"`, "CONFIG_BIG": "1", "CONFIG_NEGATIVE": "1",
		}
		obj := open(t, "kconfig.o", elf.Options{Kconfig: config})
		link(t, obj, "all")
		config[tc.name] = tc.value
		obj = open(t, "kconfig.o", elf.Options{Kconfig: config})
		if _, err := obj.Link(programOf(t, obj, "all")); err == nil || !strings.Contains(err.Error(), tc.name) {
			t.Errorf("%s=%s: %v", tc.name, tc.value, err)
		}
	}
}

func TestReadKconfig(t *testing.T) {
	got, err := elf.ReadKconfig(strings.NewReader("# comment\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x=y\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"CONFIG_A": "y", "CONFIG_C": `"x=y"`}, got); d != "" {
		t.Error(d)
	}
	if _, err := elf.ReadKconfig(strings.NewReader("CONFIG_A\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("no value: %v", err)
	}
	if _, err := elf.ReadKconfig(strings.NewReader("CONFIG_A=y\nCONFIG_B=" + strings.Repeat("x", 1<<17))); err == nil || err.Error() != "kconfig line 2: longer than 65536 bytes" {
		t.Errorf("a long line: %v", err)
	}
}

func TestKsyms(t *testing.T) {
	obj := open(t, "ksyms.o", elf.Options{Ksyms: map[string]uint64{"untyped": 0xffffffff81000000, "typed": 0x1234}})
	got := map[string]bool{}
	for _, r := range refs(programOf(t, obj, "addresses").Func) {
		got[r] = true
	}
	want := map[string]bool{
		"const untyped 0xffffffff81000000": true, "const typed 0x1234": true, "const maybe 0x0": true, "const maybe_typed 0x0": true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	link(t, obj, "addresses")
	if _, err := obj.Link(programOf(t, obj, "strong")); err == nil || !strings.Contains(err.Error(), "ksym missing has no address") {
		t.Errorf("strong ksym without an address: %v", err)
	}
	calls := programOf(t, obj, "calls").Func
	if d := cmp.Diff([]string{"extern maybe_kfunc weak", "extern maybe_kfunc weak", "extern kfunc"}, refs(calls)); d != "" {
		t.Error(d)
	}
	if p := calls.Refs[2].Type.Elem.Members; len(p) != 2 || p[0].Type.Kind != btf.Int || p[1].Type.Elem.Name != "rq" {
		t.Errorf("prototype of kfunc: %+v", p)
	}
}

func TestStructOps(t *testing.T) {
	want := []*prog.StructOps{
		{Name: "table", TypeName: "ops", Programs: map[string]string{"init": "my_init", "exit": "my_exit"}},
		{Name: "linked", TypeName: "ops", Programs: map[string]string{"exit": "my_exit"}},
	}
	if d := cmp.Diff(want, open(t, "structops.o").StructOps); d != "" {
		t.Error(d)
	}
	alone := []*prog.StructOps{{Name: "minimal", TypeName: "ops", Programs: map[string]string{}}}
	if d := cmp.Diff(alone, open(t, "scheduler.o").StructOps); d != "" {
		t.Error(d)
	}
}

// TestCORE compares with the layout of core_target.o that bpftool and the C
// rules for bit-fields give.
func TestCORE(t *testing.T) {
	target, err := ciliumbtf.LoadSpec(dir + "core_target.o")
	if err != nil {
		t.Fatal(err)
	}
	obj := open(t, "core.o", elf.Options{BTF: target})
	for name, want := range map[string]uint64{
		"x_off": 12, "array_off": 24, "y_size": 4, "y_exists": 1, "gone_exists": 0, "z_lshift": 64 - 16 - 5,
		"w_rshift": 64 - 9, "y_signed": 1, "present_exists": 1, "absent_exists": 0, "present_size": 40,
		"typedef_exists": 1, "local_id": 1, "blue_value": 7, "huge_value": 0x123456789ab, "green_exists": 2, "poisoned": 77,
	} {
		if got := constant(t, link(t, obj, name)); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if in := link(t, obj, "byte_off").Insns[0]; in.Op.Class() != isa.LDX || in.Off != 8 {
		t.Errorf("byte_off: %+v", in)
	}

	obj = open(t, "core.o")
	link(t, obj, "plain")
	link(t, obj, "local_id")
	_, err = obj.Link(programOf(t, obj, "y_size"))
	if err == nil || !strings.Contains(err.Error(), "needs target BTF: pass --btf or set Options.BTF") {
		t.Errorf("no target: %v", err)
	}
}

// constant returns what a program that computes on constants returns.
func constant(t *testing.T, p *prog.Program) uint64 {
	t.Helper()
	var r [11]uint64
	for pc := 0; pc < len(p.Insns); pc++ {
		in := p.Insns[pc]
		arg := uint64(int64(in.Imm))
		if in.Op.Source() == isa.X {
			arg = r[in.Src]
		}
		jump := in.Op.Class() == isa.JMP || in.Op.Class() == isa.JMP32
		switch class := in.Op.Class(); {
		case in.IsWide():
			r[in.Dst] = uint64(uint32(in.Imm)) | uint64(uint32(p.Insns[pc+1].Imm))<<32
			pc++
		case class == isa.ALU || class == isa.ALU64:
			switch in.Op.ALUOp() {
			case isa.Mov:
				r[in.Dst] = arg
			case isa.Add:
				r[in.Dst] += arg
			case isa.Lsh:
				r[in.Dst] <<= arg
			default:
				t.Fatalf("%s: slot %d: %+v", p.Name, pc, in)
			}
			if class == isa.ALU {
				r[in.Dst] = uint64(uint32(r[in.Dst]))
			}
		case jump && in.Op.JmpOp() == isa.Exit:
			return r[0]
		case jump && in.Op.JmpOp() == isa.JNe:
			if r[in.Dst] != arg {
				pc += int(in.Off)
			}
		case jump && in.Op.JmpOp() == isa.JEq:
			if r[in.Dst] == arg {
				pc += int(in.Off)
			}
		default:
			t.Fatalf("%s: slot %d: %+v", p.Name, pc, in)
		}
	}
	t.Fatalf("%s: no exit", p.Name)
	return 0
}

// TestVersions links what each version of the instruction set gives.
func TestVersions(t *testing.T) {
	for _, v := range []string{"v1", "v2", "v3", "v4"} {
		link(t, open(t, "isa_"+v+".o"), "use")
	}
}

func TestWithoutSymbolsOrTypes(t *testing.T) {
	obj := open(t, "nobtf.o")
	p := link(t, obj, "use")
	if len(p.Maps) != 4 || p.Maps[3].Name != "brief" || p.Lines != nil {
		t.Errorf("%d maps, %d lines", len(p.Maps), len(p.Lines))
	}
	obj = open(t, "stripped.o")
	if p := link(t, obj, "socket"); p.Type == nil || p.Type.Name != "socket_filter" {
		t.Errorf("type of a program without a symbol: %v", p.Type)
	}
}

func TestBigEndian(t *testing.T) {
	_, err := elf.Open(dir + "bigendian.o")
	var e *elf.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "big-endian") || e.File != dir+"bigendian.o" {
		t.Errorf("%v", err)
	}
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
