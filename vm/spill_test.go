package vm_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// TestSpills compares the engines on programs that store registers in their stack
// and load them again, in whole and in part, on several paths, in loops, and, in
// some programs, through pointers, by functions that get one, and atomically: where
// a store or a load is left out that is needed, a register or a slot differs in the
// end. SKEP_DIFF_PROGS says how many programs, SKEP_DIFF_SEED where to begin.
func TestSpills(t *testing.T) {
	n := envInt(t, "SKEP_DIFF_PROGS", 1500)
	if testing.Short() {
		n = min(n, 300)
	}
	first := envInt(t, "SKEP_DIFF_SEED", 1)
	out := [2]int{} // instructions that were left out, without and with pointers
	for i := range n {
		text, pointers := spills(rand.New(rand.NewPCG(uint64(first+i), 4)))
		p, err := prog.FromInsns("p", packetType, assemble(t, text), []*maps.Spec{idiomMap()})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", first+i, err, text)
		}
		if i < 300 {
			out[pointers] += leftOut(t, p)
		}
		want := uint64(0)
		for k, e := range append([]vm.Engine{vm.Checked}, usable(t)...) {
			c, err := vm.LoadProgram(p, vm.Options{Engine: e})
			if err != nil {
				t.Fatalf("seed %d: %s: %v\n%s", first+i, e, err, text)
			}
			r0, err := c.Program("p").Run(nil)
			c.Close()
			switch {
			case err != nil:
				t.Fatalf("seed %d: %s: %v\n%s", first+i, e, err, text)
			case k == 0:
				want = r0
			case r0 != want:
				t.Fatalf("seed %d: %s %#x, checked %#x\n%s", first+i, e, r0, want, text)
			}
		}
	}
	t.Logf("left out in the first programs: %d without pointers, %d with", out[0], out[1])
	if out[0] == 0 || out[1] == 0 {
		t.Error("nothing is left out")
	}
}

// leftOut returns how many instructions of p the optimiser leaves out.
func leftOut(t *testing.T, p *prog.Program) (n int) {
	v, _, err := verifier.Verify(t.Context(), p, verifier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := opt.Prepare(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pc, in := range o.Insns {
		if in != p.Insns[pc] {
			n++
		}
	}
	return n
}

// spills returns a program that r stands for, and 1 if its stack has pointers to it.
func spills(r *rand.Rand) (text string, pointers int) {
	const slots = 6 // so few that accesses meet
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	pointers = r.IntN(2)
	regs := 9 - pointers // R9 counts, R8 is for pointers
	if r.IntN(2) == 0 {
		regs = 4 // registers often hold what they store
	}
	reg := func() int { return r.IntN(regs) }
	at := func() int { return -8 * (1 + r.IntN(slots)) }
	for k := range 9 {
		line("r%d = %#x ll", k, r.Uint64())
	}
	for k := range slots {
		line("*(u64 *)(r10 %d) = r%d", -8*(k+1), k)
	}
	labels := 0
	open := 0 // instructions up to the label that a jump leads to
	step := func() {
		if open > 0 {
			if open--; open == 0 {
				line("l%d:", labels)
			}
		}
		part, size := 0, 64
		if r.IntN(2) == 0 {
			part, size = 4*r.IntN(2), 32
		}
		switch r.IntN(16) {
		case 0, 1, 2, 3:
			line("*(u%d *)(r10 %d) = r%d", size, at()+part, reg())
		case 4, 5, 6, 7:
			line("r%d = *(u%d *)(r10 %d)", reg(), size, at()+part)
		case 8:
			line("r%d = r%d", reg(), reg())
		case 9:
			line("w%d = w%d", reg(), reg())
		case 10:
			line("r%d %s %d", reg(), []string{"+=", "*=", "^=", "&="}[r.IntN(4)], r.Int32())
		case 11:
			switch k := r.IntN(3); r.IntN(4) {
			case 0:
				line("r%d = *(s%d *)(r10 %d)", reg(), 8<<k, at())
			case 1:
				line("r%d = *(u%d *)(r10 %d)", reg(), 8<<(k%2), at()+2*r.IntN(4))
			case 2:
				line("*(u%d *)(r10 %d) = r%d", 8<<(k%2), at()+2*r.IntN(4), reg())
			default:
				line("*(u%d *)(r10 %d) = %d", 16<<k, at(), r.Int32())
			}
		case 12:
			if open == 0 {
				labels++
				open = 2 + r.IntN(6)
				line("if r%d %s r%d goto l%d", reg(), []string{">", "s<", "==", "&"}[r.IntN(4)], reg(), labels)
			}
		case 13:
			line("r%d += r%d", reg(), reg())
		default:
			if pointers == 0 {
				break
			}
			switch r.IntN(4) {
			case 0:
				line("r8 = r10\nr8 += %d\n*(u64 *)(r8 +0) = r%d\nr8 = 5", at(), reg())
			case 1:
				line("r8 = r10\nr8 += %d\nr%d = *(u64 *)(r8 +0)\nr8 = 5", at(), reg())
			case 2:
				line("lock *(u64 *)(r10 %d) += r%d", at(), reg())
			default:
				line("r2 = r%d\nr1 = r10\nr1 += %d\ncall f", reg(), at())
				for k := 1; k <= 5; k++ {
					line("r%d = %d", k, k*r.IntN(1000))
				}
			}
		}
	}
	loop := r.IntN(2) == 0
	if line("r9 = 0"); loop {
		line("again:")
	}
	for range 5 + r.IntN(30) {
		step()
	}
	for open > 0 {
		step()
	}
	if loop {
		line("r9 += 1\nif r9 < 3 goto again")
	}
	for k := 1; k < 10; k++ {
		line("r0 *= 31\nr0 += r%d", k)
	}
	for k := range slots {
		if r.IntN(3) > 0 {
			line("r1 = *(u64 *)(r10 %d)\nr0 *= 31\nr0 += r1", -8*(k+1))
		}
	}
	line("exit")
	if strings.Contains(b.String(), "call f") {
		line("f:\nr0 = *(u64 *)(r1 +0)\n*(u64 *)(r10 -8) = r2\nr0 += r2\nr3 = *(u64 *)(r10 -8)\n*(u64 *)(r1 +0) = r3\nexit")
	}
	return b.String(), pointers
}
