package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHugeFiles gives each way to read a file whole one of 8 GiB, of which the
// commands take no more than they can use.
func TestHugeFiles(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge")
	f, err := os.Create(huge)
	if err == nil {
		err = f.Truncate(8 << 30)
		f.Close()
	}
	if err != nil {
		t.Skipf("no file with a hole in it: %v", err)
	}
	const object = "../../examples/xdp-firewall/filter.o"
	for _, args := range [][]string{
		{"disasm", huge},
		{"inspect", huge},
		{"verify", huge},
		{"asm", huge},
		{"run", object, "--packet", "@" + huge},
		{"run", object, "--map", "blocked_prefixes=" + huge},
		{"run", object, "--hook", huge},
	} {
		var out strings.Builder
		code := execute(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &out})
		if code != exitUsage || !strings.Contains(out.String(), "larger than 64 MiB") {
			t.Errorf("skep %s: exit code %d, %q", strings.Join(args, " "), code, out.String())
		}
	}
}
