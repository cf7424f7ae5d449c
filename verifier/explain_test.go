package verifier_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/verifier"
)

var update = flag.Bool("update", false, "rewrite the texts in testdata/verifier/explain")

const rejections = "../testdata/verifier/explain"

// TestExplain compares what is said about representative mistakes in C with
// the texts beside their sources. The first five lines must name the place in
// C and what would fix it.
func TestExplain(t *testing.T) {
	objects, err := filepath.Glob(rejections + "/*.o")
	if err != nil || len(objects) < 10 {
		t.Fatalf("%d objects: %v", len(objects), err)
	}
	for _, name := range objects {
		base := strings.TrimSuffix(filepath.Base(name), ".o")
		t.Run(base, func(t *testing.T) {
			obj, err := elf.Open(name, elf.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := obj.Link(obj.Programs[0])
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = verifier.Verify(context.Background(), p, verifier.Options{})
			var e *verifier.Error
			if !errors.As(err, &e) {
				t.Fatalf("not rejected: %v", err)
			}
			got := e.Explain()
			lines := strings.Split(got, "\n")
			head := strings.Join(lines[:min(5, len(lines))], "\n")
			if !strings.Contains(head, base+".c:") || !strings.Contains(head, "\n  fix: ") || !strings.Contains(head, e.Line.Text[strings.LastIndexAny(e.Line.Text, "\t")+1:]) {
				t.Errorf("the first five lines lack the place, the source line or the fix:\n%s", head)
			}
			golden := filepath.Join(rejections, base+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s says\n%s\nnow\n%s", golden, want, got)
			}
		})
	}
}
