package elf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

const dir = "../testdata/elf/"

func open(t *testing.T, name string, opts ...elf.Options) *prog.Object {
	t.Helper()
	obj, err := elf.Open(dir+name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func programOf(t *testing.T, obj *prog.Object, name string) *prog.Spec {
	t.Helper()
	for _, p := range obj.Programs {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("%s: no program %s", obj.File, name)
	return nil
}

func mapOf(t *testing.T, obj *prog.Object, name string) *maps.Spec {
	t.Helper()
	for _, m := range obj.Maps {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("%s: no map %s", obj.File, name)
	return nil
}

// TestXDP checks everything in an ordinary object against its C source.
func TestXDP(t *testing.T) {
	obj := open(t, "xdp.o")
	if obj.License != "Dual MIT/GPL" {
		t.Errorf("license %q", obj.License)
	}
	var names []string
	for _, p := range obj.Programs {
		names = append(names, p.Section+" "+p.Name)
	}
	if d := cmp.Diff([]string{"xdp filter"}, names); d != "" {
		t.Error("programs", d)
	}

	flows := mapOf(t, obj, "flows")
	if flows.Type != maps.Hash || flows.KeySize != 8 || flows.ValueSize != 32 || flows.MaxEntries != 1024 || flows.Flags != maps.NoPrealloc {
		t.Errorf("flows: %+v", flows)
	}
	if flows.Value.Name != "flow" || flows.Value.Kind != btf.Struct || flows.Value.Members[1].Name != "bytes" {
		t.Errorf("flows.Value: %+v", flows.Value)
	}
	type section struct {
		Flags  maps.Flags
		Frozen bool
		Value  string
	}
	got := map[string]section{}
	for _, m := range obj.Maps {
		if m != flows {
			got[m.Name] = section{m.Flags, m.Frozen, string(m.Contents[0].Value)}
		}
	}
	want := map[string]section{
		".rodata": {maps.ReadOnlyProg, true, "\x0a\x00\x00\x00hello\x00"},
		".data":   {0, false, "\x07\x00\x00\x00\x00\x00\x00\x00"},
		".bss":    {0, false, "\x00\x00\x00\x00\x00\x00\x00\x00"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("data sections", d)
	}

	vars := map[string]string{}
	for _, v := range obj.Variables {
		vars[v.Name] = v.Map.Name
	}
	if d := cmp.Diff(map[string]string{"limit": ".rodata", "text": ".rodata", "drops": ".data", "total": ".bss"}, vars); d != "" {
		t.Error("variables", d)
	}

	f := programOf(t, obj, "filter").Func
	var calls []string
	for _, r := range f.Refs {
		if r.Kind == prog.RefCall {
			calls = append(calls, r.Func.Name)
		}
	}
	if d := cmp.Diff([]string{"account", "verdict"}, calls); d != "" {
		t.Error("calls", d)
	}
	if f.Type == nil || f.Type.Name != "filter" || !f.Global {
		t.Errorf("type of filter: %+v", f.Type)
	}
	if l := f.Lines[0]; l.File != "./xdp.c" || l.Num != 49 || !strings.HasPrefix(l.Text, "\t__u8 *data =") {
		t.Errorf("first line: %+v", l)
	}
}
