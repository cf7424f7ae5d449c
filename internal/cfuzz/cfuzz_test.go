package main

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// small returns a campaign in this process, with the engines of this host.
func small(t *testing.T) *campaign {
	c := newCampaign(here{})
	c.log = &strings.Builder{}
	p, err := prog.FromInsns("p", linux.XDP, []prog.Insn{{Op: 0xb7}, {Op: opExit}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := vm.LoadProgram(p, vm.Options{Engine: vm.JIT})
	if err != nil {
		t.Logf("no machine code here: %v", err)
		c.engines = c.engines[1:]
		return c
	}
	j.Close()
	return c
}

func needClang(t *testing.T) {
	if _, err := exec.LookPath(clang); err != nil {
		t.Skipf("no %s in PATH", clang)
	}
}

// done fails t if c found anything, or less than half ran.
func done(t *testing.T, c *campaign) {
	t.Log(c.counts, c.refusals)
	ran, refused := c.counts["here "+c.fastest()], c.counts["here refused"]+c.counts["here "+c.fastest()+" refused"]
	if c.counts["finding"] > 0 {
		t.Errorf("%d findings:\n%s", c.counts["finding"], c.log)
	}
	if ran < refused/3 || ran == 0 {
		t.Errorf("%d programs ran, %d were refused", ran, refused)
	}
}

// TestUnits compares units of C with what this host's processor makes of them.
func TestUnits(t *testing.T) {
	needClang(t)
	c := small(t)
	n := 3
	if testing.Short() {
		n, c.size = 1, 4
	}
	for seed := range n {
		if err := c.unit(uint64(seed)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	done(t, c)
}

// TestDefined runs units on the host with traps where C leaves open what happens,
// but for what the compilers were told (variable language).
func TestDefined(t *testing.T) {
	needClang(t)
	if testing.Short() {
		t.Skip("compiling takes seconds")
	}
	for seed := uint64(100); seed < 104; seed++ {
		flags := []string{"-O0", "-fsanitize=undefined", "-fsanitize-trap=undefined", "-fno-sanitize=shift-base,alignment,signed-integer-overflow"}
		if _, err := expect(t.TempDir(), generate(seed, 10, nil).Source, strings.Join(flags, " "), packets(rand.New(rand.NewPCG(seed, 1)), 7), false); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestCodes(t *testing.T) {
	c := small(t)
	n := 4
	if testing.Short() {
		n = 1
	}
	for seed := range n {
		if err := c.codes(uint64(seed)); err != nil {
			t.Fatal(err)
		}
	}
	done(t, c)
}

func TestMutants(t *testing.T) {
	all, err := objects([]string{filepath.Join("..", "..", "testdata"), filepath.Join("..", "bench")})
	if err != nil {
		t.Fatal(err)
	}
	c := small(t)
	n := 20
	if testing.Short() {
		n = 4
	}
	for seed := range n {
		if err := c.mutants(all, uint64(seed)); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(c.counts, c.refusals)
	if c.counts["finding"] > 0 || c.counts["here "+c.fastest()] < n {
		t.Errorf("%d programs ran, %d findings:\n%s", c.counts["here "+c.fastest()], c.counts["finding"], c.log)
	}
}

// A liar says that engine gives another R0 for programs with a multiplication.
type liar struct{ engine string }

func (l liar) do(q request) ([]outcome, error) {
	all, err := here{}.do(q)
	for i, o := range all {
		var k int
		if q.Batch != nil {
			if _, err := fmt.Sscan(o.Program, &k); err != nil {
				return nil, err
			}
			insns, err := prog.Decode(q.Batch.Variants[k])
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(insns, func(in prog.Insn) bool { return in.Op == opALU64|0x20 }) {
				continue
			}
		}
		for j := range o.Runs {
			if o.Engine == l.engine {
				all[i].Runs[j].R0++
			}
		}
	}
	return all, err
}

// TestNotice has engines that are wrong, which a campaign must notice and make
// small.
func TestNotice(t *testing.T) {
	for _, e := range []string{string(vm.Interp), string(vm.Checked)} {
		c := small(t)
		c.host = liar{e}
		c.out = t.TempDir()
		if err := c.codes(1); err != nil {
			t.Fatal(err)
		}
		if c.counts["finding"] == 0 {
			t.Errorf("%s was wrong, and nobody noticed", e)
		}
		if e == string(vm.Checked) {
			continue
		}
		kept, err := filepath.Glob(filepath.Join(c.out, "finding-*"))
		if err != nil || len(kept) == 0 {
			t.Fatalf("no finding was kept: %v", err)
		}
		b, err := readBatch(kept[0])
		if err != nil {
			t.Fatal(err)
		}
		insns, _, err := c.smallest(b, "here", e)
		if err != nil {
			t.Fatal(err)
		}
		// A multiplication, what its operand comes from, R0, and the end.
		if len(insns) > 12 {
			t.Errorf("%d instructions are left: %v", len(insns), insns)
		}
	}
	if _, err := exec.LookPath(clang); err != nil {
		return
	}
	c := small(t)
	c.host, c.size, c.variants = liar{string(vm.Interp)}, 2, 1
	if err := c.unit(1); err != nil {
		t.Fatal(err)
	}
	if c.counts["finding"] == 0 {
		t.Error("the fast interpreter was wrong on a unit, and nobody noticed")
	}
}

// TestEdit puts moves that change nothing into programs, and takes them out again.
func TestEdit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	idle := prog.Insn{Op: opALU64 | 0xb8}
	for seed := range uint64(40) {
		insns := code(seed)
		e := &edit{insns: slices.Clone(insns)}
		e.decode()
		b := &batch{Inputs: [][]byte{make([]byte, codeValue)}, Engines: []string{string(vm.Checked)}, Variants: [][]byte{prog.Encode(insns)}}
		var at []int
		for range 8 {
			pc := 60 + r.IntN(len(e.insns)-60) // all registers have values
			if e.second(pc) {
				continue
			}
			e.insert(pc, idle, -1)
			at = append(at, pc)
		}
		b.Variants = append(b.Variants, prog.Encode(e.encode()))
		for i := len(at) - 1; i >= 0; i-- {
			e.remove(at[i], 1)
		}
		if got := e.encode(); !slices.Equal(got, insns) {
			t.Fatalf("seed %d: insertions undone leave\n%v, not\n%v", seed, got, insns)
		}
		all, err := b.do()
		if err != nil || len(all) != 2 {
			t.Fatalf("%v %v", all, err)
		}
		if all[0].Refused != all[1].Refused || !equal(all[0], all[1]) {
			t.Errorf("seed %d: %v, and with moves %v", seed, all[0], all[1])
		}
	}
}
