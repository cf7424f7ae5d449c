package bpftest

import (
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

// TestBorder checks that a mutant differs from its program in one instruction,
// that most link, and that every kind of change comes up.
func TestBorder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	kinds := map[string]int{}
	linked, n := 0, 0
	for seed := range uint64(60) {
		g := Generate("sched_cls", seed, Everything("sched_cls"))
		for range 40 {
			out, what := Border(g.Insns, r)
			kinds[what]++
			n++
			if len(out) != len(g.Insns) {
				t.Fatalf("seed %d: %s: %d slots became %d", seed, what, len(g.Insns), len(out))
			}
			var changed []int
			for pc := range out {
				if out[pc] != g.Insns[pc] {
					changed = append(changed, pc)
				}
			}
			if len(changed) != 1 {
				t.Fatalf("seed %d: %s: slots %v changed", seed, what, changed)
			}
			if _, err := prog.FromInsns("mutant", linux.SchedCls, out, g.Maps); err == nil {
				linked++
			}
		}
	}
	if linked < n*7/10 {
		t.Errorf("%d of %d mutants link", linked, n)
	}
	for _, what := range []string{
		"dropped", "destination", "source", "operands exchanged", "map", "constant", "size of an access", "offset of an access",
		"sign extension of a load", "width of an operation", "operation", "sign extension of a move", "sign of a division",
		"width of a byte swap", "comparison", "width of a comparison", "target of a jump", "check always taken",
		"constant of a comparison", "helper",
	} {
		if kinds[what] == 0 {
			t.Errorf("no mutant of kind %q", what)
		}
	}
}

// TestC compiles generated units: clang takes them without a word, at every
// level of the instruction set, and the same seed gives the same text.
func TestC(t *testing.T) {
	if first, again := C(7, 5), C(7, 5); first != again || first == C(8, 5) {
		t.Error("the text does not follow from the seed")
	}
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("no clang-19 in PATH")
	}
	for i, cpu := range []string{"v1", "v2", "v3", "v4"} {
		cmd := exec.Command(clang, "-O2", "-g", "-target", "bpfel", "-mcpu="+cpu, "-Wno-everything", "-mllvm", "-bpf-stack-size=4096",
			"-c", "-x", "c", "-", "-o", filepath.Join(t.TempDir(), "c.o"))
		cmd.Stdin = strings.NewReader(C(uint64(100+i), 20))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("cpu %s: %v\n%s", cpu, err, out)
		}
	}
}

// TestFrame finds frames of all sorts, also with a program's constants in them.
func TestFrame(t *testing.T) {
	insns, err := prog.Assemble("r0 = 0\nif r1 == 0xdd86 goto +0\nexit")
	if err != nil {
		t.Fatal(err)
	}
	words := Constants(insns)
	if !slices.Contains(words, 0xdd86) || !slices.Contains(words, 0xdd87) || !slices.Contains(words, 0xdd85) {
		t.Fatalf("constants %x", words)
	}
	r := rand.New(rand.NewPCG(1, 1))
	short, long, v4 := 0, 0, 0
	for range 1000 {
		b := Frame(r, words)
		if len(b) < 14 {
			short++
		} else if b[12] == 8 && b[13] == 0 {
			v4++
		}
		if len(b) > 100 {
			long++
		}
	}
	if short == 0 || long == 0 || v4 < 50 {
		t.Errorf("%d short, %d long, %d of IPv4", short, long, v4)
	}
}
