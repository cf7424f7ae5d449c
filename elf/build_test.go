package elf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestObjectsMatchSources builds the test objects again, in another directory,
// and compares them with those committed.
func TestObjectsMatchSources(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles some twenty C files")
	}
	for _, tool := range []string{"make", "clang-19", "llvm-strip-19", "llvm-objcopy-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	tmp := t.TempDir()
	if err := os.CopyFS(tmp, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("make", "-C", tmp, "-B").CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	objects, err := filepath.Glob(filepath.Join(tmp, "*.o"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("no objects: %v", err)
	}
	for _, object := range objects {
		built, err := os.ReadFile(object)
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(dir + filepath.Base(object))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, committed) {
			t.Errorf("%s differs from what its source builds to", filepath.Base(object))
		}
	}
}
