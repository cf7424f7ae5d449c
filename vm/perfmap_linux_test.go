package vm_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

var perfText = lines("r1 = 3", "call pc+3", "r6 = r0", "r0 += r6", "exit", "r0 = r1", "r0 *= 7", "exit")

// TestPerfMap holds the lines for perf against what the kernel says of this
// process's memory: the code of each function is executable, no piece is named
// twice, and together they are one program.
func TestPerfMap(t *testing.T) {
	name := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	if _, err := os.Lstat(name); err == nil {
		t.Skipf("%s is there already", name)
	}
	t.Cleanup(func() { os.Remove(name) })
	plain := load(t, packetType, perfText, vm.Options{})
	if e, why := plain.Program("p").Engine(); e != vm.JIT {
		t.Skipf("no machine code: %s", why)
	}
	if _, err := os.Lstat(name); err == nil {
		t.Fatal("there is a map that nobody asked for")
	}
	coll := load(t, packetType, perfText, vm.Options{PerfMap: true})
	if got, err := coll.Program("p").Run(nil); err != nil || got != 42 {
		t.Fatalf("got %d, %v, want 42", got, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	pieces := perfLines(t, name)
	var low, high, total uint64
	seen := map[string]bool{}
	for _, p := range pieces {
		if !executable(t, p.start, p.size) {
			t.Errorf("%+v is not executable memory", p)
		}
		if low == 0 || p.start < low {
			low = p.start
		}
		high = max(high, p.start+p.size)
		total += p.size
		seen[p.name] = true
	}
	if total != high-low || total == 0 {
		t.Errorf("%d bytes in pieces from %#x to %#x", total, low, high)
	}
	if !seen["bpf:p:p"] || !seen["bpf:p:subprog_1"] || len(seen) != 2 {
		t.Errorf("functions %v", seen)
	}

	// A second collection is appended; its odd name stays on one line.
	odd, err := prog.FromInsns("a b\nc", packetType, assemble(t, "r0 = 1\nexit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := vm.LoadProgram(odd, vm.Options{PerfMap: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	more := perfLines(t, name)
	if len(more) != len(pieces)+1 || more[len(pieces)].name != "bpf:a_b_c:a_b_c" {
		t.Errorf("%d lines after %d, the last %+v", len(more), len(pieces), more[len(more)-1])
	}
}

// TestPerfMapRefused: a link in place of the map is not followed, and Load says so.
func TestPerfMapRefused(t *testing.T) {
	name := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	victim := t.TempDir() + "/victim"
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, name); err != nil {
		t.Skipf("no link: %v", err)
	}
	t.Cleanup(func() { os.Remove(name) })
	p, err := prog.FromInsns("p", packetType, assemble(t, "r0 = 1\nexit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := vm.LoadProgram(p, vm.Options{PerfMap: true})
	if err == nil {
		e, why := c.Program("p").Engine()
		c.Close()
		if e != vm.JIT {
			t.Skipf("no machine code: %s", why)
		}
		t.Error("a link was followed")
	} else if !strings.Contains(err.Error(), "perf map") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(victim); err != nil || len(b) > 0 {
		t.Errorf("%q was written through the link, %v", b, err)
	}
}

type perfLine struct {
	start, size uint64
	name        string
}

func perfLines(t *testing.T, name string) (lines []perfLine) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var l perfLine
		if _, err := fmt.Sscanf(line, "%x %x %s\n", &l.start, &l.size, &l.name); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// executable reports whether size bytes from start on are executable, as the
// kernel says.
func executable(t *testing.T, start, size uint64) bool {
	t.Helper()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatal(err)
		}
		if from <= start && start+size <= to {
			return strings.HasPrefix(mode, "r-x")
		}
	}
	return false
}
