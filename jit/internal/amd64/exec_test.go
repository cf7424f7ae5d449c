package amd64

import (
	"os"
	"os/exec"
	"testing"
)

func writeFile(t *testing.T, name string, p []byte) {
	t.Helper()
	if err := os.WriteFile(name, p, 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s", name, err, out)
	}
	return string(out)
}
