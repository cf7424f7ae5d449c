package elf_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/prog"
)

// TestFromSpecEqualsLoad reads objects with cilium's reader and with ours: the
// linked programs must be the same, instruction for instruction. Where cilium
// refuses an object there is nothing to compare.
func TestFromSpecEqualsLoad(t *testing.T) {
	dirs := append([]string{dir}, filepath.SplitList(os.Getenv("SKEP_CORPUS"))...)
	objects, programs := 0, 0
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".o") && !strings.HasSuffix(path, "-el.elf") {
				return err
			}
			cs, err := ebpf.LoadCollectionSpec(path)
			if err != nil || cs.ByteOrder == binary.BigEndian {
				return nil
			}
			opts := elf.Options{Kconfig: kconfig, Ksyms: ksyms}
			want, err := elf.FromSpec(cs, opts)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
			got, err := elf.Open(path, opts)
			if err != nil {
				t.Errorf("%s: cilium reads it: %v", path, err)
				return nil
			}
			objects++
			for _, w := range want.Programs {
				if w.Name == "static_fn" {
					continue // a static function that others call: to us a subprogram
				}
				if filepath.Base(path) == "exception.o" && w.Name == "handled" {
					continue // cilium's reader leaves out functions that nobody calls
				}
				programs++
				compare(t, path, want, w, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d objects, %d programs", objects, programs)
	if objects == 0 {
		t.Error("no object was compared")
	}
}

var (
	kconfig = map[string]string{
		"LINUX_KERNEL_VERSION": "0x60c00", "CONFIG_HZ": "250", "LINUX_HAS_SYSCALL_WRAPPER": "1",
	}
	ksyms = map[string]uint64{"bpf_init": 0xffff_0001, "bpf_trace_run1": 0x1234}
)

func compare(t *testing.T, path string, want *prog.Object, w *prog.Spec, got *prog.Object) {
	t.Helper()
	for _, g := range got.Programs {
		if g.Name != w.Name || g.Section != w.Section {
			continue
		}
		if g.Type != nil && (w.Type == nil || g.Type.Name != w.Type.Name || g.Sleepable != w.Sleepable) {
			t.Errorf("%s: %s: type %v; from the spec %v", path, w.Name, g.Type, w.Type)
		}
		a, err1 := want.Link(w)
		b, err2 := got.Link(g)
		if err1 != nil || err2 != nil {
			if (err1 == nil) != (err2 == nil) {
				t.Errorf("%s: %s: spec: %v; object: %v", path, w.Name, err1, err2)
			}
			return
		}
		// cilium counts instructions without the gaps that bpftool's linker
		// leaves, and so takes the wrong lines there.
		lines := filepath.Base(path) != "linked-el.elf"
		if d := cmp.Diff(describe(a, lines), describe(b, lines)); d != "" {
			t.Errorf("%s: %s:\n%s", path, w.Name, d)
		}
		return
	}
	t.Errorf("%s: no program %s", path, w.Name)
}

// describe returns what of a linked program does not depend on where it comes
// from: functions in order, and instructions with the names of what they mean.
func describe(p *prog.Program, lines bool) []string {
	var out []string
	for _, f := range p.Funcs {
		out = append(out, fmt.Sprintf("%s %d-%d %v", f.Name, f.Entry, f.End, f.Type != nil))
	}
	for pc, in := range p.Insns {
		text := fmt.Sprint(in)
		switch {
		case in.IsWide() && (in.Src == 1 || in.Src == 2):
			text = fmt.Sprint(in.Dst, " map ", p.Maps[in.Imm].Name, p.Insns[pc+1].Imm)
		case in.IsCall(2):
			text = "call " + p.Externs[in.Imm].Name
		}
		if lines {
			text += fmt.Sprintf(" line %d", p.LineAt(prog.PC(pc)).Num)
		}
		out = append(out, text)
	}
	return out
}
