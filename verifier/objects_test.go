package verifier_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/verifier"
)

// verdicts verifies every program of testdata/verifier's objects whose names
// match pattern, and hands each verdict to check.
func verdicts(t *testing.T, pattern string, check func(t *testing.T, s verifier.Stats, err error)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "verifier", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no objects (%v)", pattern, err)
	}
	for _, f := range files {
		obj, err := elf.Open(f, elf.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range obj.Programs {
			t.Run(filepath.Base(f)+"/"+s.Name, func(t *testing.T) {
				p, err := obj.Link(s)
				if err != nil {
					t.Fatal(err)
				}
				_, stats, err := verifier.Verify(context.Background(), p, verifier.Options{})
				check(t, stats, err)
			})
		}
	}
}

func accepted(t *testing.T, s verifier.Stats, err error) {
	if err != nil {
		t.Errorf("a safe program is rejected: %v", err)
	} else if s.WorstCase <= 0 {
		t.Errorf("worst case %d", s.WorstCase)
	}
}

func TestSafe(t *testing.T) { verdicts(t, "safe_*.o", accepted) }
func TestLoops(t *testing.T) {
	verdicts(t, "loops_v?.o", accepted)
	verdicts(t, "nested_v?.o", accepted)
}

func TestUnsafe(t *testing.T) {
	verdicts(t, "unsafe_*.o", func(t *testing.T, _ verifier.Stats, err error) {
		if err == nil {
			t.Error("an unsafe program is accepted")
		}
	})
}
