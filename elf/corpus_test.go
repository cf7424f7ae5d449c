package elf_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/elf"
)

// TestCorpus opens every object below the directories in SKEP_CORPUS and
// reports what does not open, and which programs cannot be linked. CO-RE
// relocations are resolved against the types in SKEP_BTF.
func TestCorpus(t *testing.T) {
	dirs := os.Getenv("SKEP_CORPUS")
	if dirs == "" {
		t.Skip("SKEP_CORPUS names no directories with objects")
	}
	opts := elf.Options{Kconfig: kconfig, Ksyms: ksyms}
	if path := os.Getenv("SKEP_BTF"); path != "" {
		target, err := ciliumbtf.LoadSpec(path)
		if err != nil {
			t.Fatal(err)
		}
		opts.BTF = target
	}
	for _, dir := range filepath.SplitList(dirs) {
		var objects, opened, programs, broken int
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".o") && !strings.HasSuffix(path, ".elf") {
				return err
			}
			objects++
			obj, err := elf.Open(path, opts)
			if err != nil {
				t.Logf("refused: %v", err)
				return nil
			}
			opened++
			for _, p := range obj.Programs {
				programs++
				if _, err := obj.Link(p); err != nil {
					broken++
					t.Logf("not linked: %v", err)
				}
			}
			for _, n := range obj.Notes {
				t.Logf("%s: note: %s", path, n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d objects, %d open; %d programs, %d of them with an error", dir, objects, opened, programs, broken)
	}
}

// TestVerdicts compares the programs found in the objects below SKEP_SAMPLES
// with the list in SKEP_VERDICTS, which another loader made: lines of object,
// section and function, separated by tabs.
func TestVerdicts(t *testing.T) {
	dir, list := os.Getenv("SKEP_SAMPLES"), os.Getenv("SKEP_VERDICTS")
	if dir == "" || list == "" {
		t.Skip("SKEP_SAMPLES and SKEP_VERDICTS name no objects and no list")
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	type program struct{ section, name string }
	want := map[string]map[program]bool{}
	for _, line := range strings.Split(string(text), "\n")[1:] {
		f := strings.Split(line, "\t")
		if len(f) < 3 {
			continue
		}
		if want[f[0]] == nil {
			want[f[0]] = map[program]bool{}
		}
		want[f[0]][program{f[1], f[2]}] = true
	}
	var found, missing, more, absent int
	for object, programs := range want {
		obj, err := elf.Open(filepath.Join(dir, object))
		if errors.Is(err, fs.ErrNotExist) {
			absent += len(programs)
			continue
		}
		if err != nil {
			t.Logf("%s: %d programs missing: %v", object, len(programs), err)
			missing += len(programs)
			continue
		}
		// The list calls a program by its section where the symbol has no type
		// (old LLVM).
		got := map[program]bool{}
		for _, p := range obj.Programs {
			got[program{p.Section, p.Name}] = true
			if programs[program{p.Section, p.Section}] {
				got[program{p.Section, p.Section}] = true
			} else if !programs[program{p.Section, p.Name}] {
				more++
				t.Logf("%s: more: %s %s", object, p.Section, p.Name)
			}
		}
		for p := range programs {
			if got[p] {
				found++
			} else {
				missing++
				t.Logf("%s: missing: %s %s", object, p.section, p.name)
			}
		}
	}
	t.Logf("%d objects: %d programs found, %d missing, %d more; %d are in objects that are not there", len(want), found, missing, more, absent)
}
