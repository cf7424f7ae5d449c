package elf_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/prog"
)

// TestCorpus opens every object below the directories in SKEP_CORPUS and
// reports what does not open, and which programs cannot be linked.
func TestCorpus(t *testing.T) {
	dirs := os.Getenv("SKEP_CORPUS")
	if dirs == "" {
		t.Skip("SKEP_CORPUS names no directories with objects")
	}
	for _, dir := range filepath.SplitList(dirs) {
		var objects, opened, programs, broken int
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".o") && !strings.HasSuffix(path, ".elf") {
				return err
			}
			objects++
			obj, err := elf.Open(path)
			if err != nil {
				t.Logf("refused: %v", err)
				return nil
			}
			opened++
			for _, p := range obj.Programs {
				programs++
				if err := reachable(p); err != nil {
					broken++
					t.Logf("program %s: %v", p.Name, err)
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

// reachable returns the first error of a program and the functions it reaches.
func reachable(p *prog.Spec) error {
	if p.Err != nil {
		return p.Err
	}
	seen := map[*prog.Func]bool{}
	var visit func(f *prog.Func) error
	visit = func(f *prog.Func) error {
		if seen[f] {
			return nil
		}
		seen[f] = true
		if f.Err != nil {
			return f.Err
		}
		for _, r := range f.Refs {
			if r.Func != nil {
				if err := visit(r.Func); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return visit(p.Func)
}
