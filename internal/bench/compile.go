//go:build linux && amd64

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// What it costs to make machine code, and to load a program.

// A shape is a program of about n instructions. seed is a constant in it, so that no
// two loads are of the same content.
type shape struct {
	name string
	maps []*maps.Spec
	text func(n, seed int) string
}

var shapes = []shape{
	{"straight: additions, shifts, products", nil, func(n, seed int) string {
		return fmt.Sprintf("r0 = %d\nr1 = 2\nr2 = 3\nr3 = 4\n", seed) +
			strings.Repeat("r0 += r1\nr1 ^= r0\nw2 *= 7\nr3 = r2\nr3 >>= 3\nr0 |= r3\nw1 += 77\n", n/7) + "exit"
	}},
	{"branches on bytes of the packet", nil, func(n, seed int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "r8 = %d\nr6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr1 = r6\nr1 += 64\nif r1 <= r7 goto +2\nr0 = 1\nexit\n", seed)
		for i := range n / 3 {
			fmt.Fprintf(&b, "r1 = *(u8 *)(r6 +%d)\nif r1 != %d goto +1\nr8 = %d\n", i%60, i%250, i)
		}
		return b.String() + "r0 = r8\nexit"
	}},
	{"loops, one after the other", nil, func(n, seed int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "r0 = %d\n", seed)
		for i := range n / 7 {
			fmt.Fprintf(&b, "r1 = %d\nr0 += r1\nr0 ^= %d\nr1 += -1\nif r1 > 0 goto -4\nr2 = r0\nr0 |= r2\n", 2+i%2, i)
		}
		return b.String() + "exit"
	}},
	{"blocks that jump backwards, to one another", nil, func(n, seed int) string {
		return fmt.Sprintf("r0 = %d\ngotol +%d\nr0 += 1\nexit\n", seed, n/2*2) + strings.Repeat("r0 += 3\ngoto -4\n", n/2-1) + "r0 += 3\ngoto -4"
	}},
	{"registers that are spilled", nil, func(n, seed int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "call 7\nr0 ^= %d\n*(u64 *)(r10 -8) = r0\ncall 7\n*(u64 *)(r10 -16) = r0\n", seed)
		for i := range n / 5 {
			fmt.Fprintf(&b, "r1 = *(u64 *)(r10 -%d)\nr2 = *(u64 *)(r10 -%d)\nif r1 == r2 goto +1\nr1 += 3\n*(u64 *)(r10 -%d) = r1\n", 8+8*(i%2), 16-8*(i%2), 16-8*(i%2))
		}
		return b.String() + "r0 = 0\nexit"
	}},
	{"lookups in an array", lookedUp(maps.Array), lookups},
	{"lookups in a hash", lookedUp(maps.Hash), lookups},
}

func lookedUp(t maps.Type) []*maps.Spec {
	return []*maps.Spec{{Name: "m", Type: t, KeySize: 4, ValueSize: 8, MaxEntries: 64}}
}

func lookups(n, seed int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "r6 = %d\n", seed)
	for i := range n / 9 {
		fmt.Fprintf(&b, "*(u32 *)(r10 -4) = %d\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n", i%64)
	}
	return b.String() + "r0 = 2\nexit"
}

func (s *shape) program(n, seed int) (*prog.Program, error) {
	insns, err := prog.Assemble(s.text(n, seed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return prog.FromInsns("p", linux.XDP, insns, s.maps)
}

// A compilation is a program whose compilation is measured.
type compilation struct {
	v      *verifier.Verified
	target jit.Target
	insns  int
	best   time.Duration
}

func newCompilation(p *prog.Program) (*compilation, error) {
	v, _, err := verifier.Verify(context.Background(), p, verifier.Options{AllowUnbounded: true})
	if err != nil {
		return nil, err
	}
	c := &compilation{v: v, insns: len(p.Insns)}
	if c.target, err = jit.Host(); err != nil {
		return nil, err
	}
	for _, s := range p.Maps {
		m, err := maps.New(s) // for as long as the process lives
		if err != nil {
			return nil, err
		}
		c.target.Maps = append(c.target.Maps, maps.LayoutOf(m))
	}
	return c, nil
}

// turn compiles a few times, one after the other.
func (c *compilation) turn() error {
	for range 10 {
		begun := time.Now()
		if _, err := jit.Compile(c.v, c.target); err != nil {
			return err
		}
		if d := time.Since(begun); c.best == 0 || d < c.best {
			c.best = d
		}
	}
	return nil
}

func (c *compilation) perInsn() float64 { return float64(c.best.Nanoseconds()) / float64(c.insns) }

// compileReport returns docs/compile.md.
func compileReport(dir string, rounds int) (string, error) {
	var b strings.Builder
	cpu, kernel := oracle.Machine()
	fmt.Fprintf(&b, "# Compiling and loading\n\nWritten by `make bench`; internal/bench says how. %s, Linux %s%s.\n\n## Machine code\n\n"+
		"Nanoseconds per instruction to make machine code of a verified program, by its length: least of %d.\n\n", cpu, kernel, priority(), rounds*10)
	if err := compileTable(&b, rounds); err != nil {
		return "", err
	}
	if err := compileObjects(&b, dir, rounds); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "\n## Loading\n\nMicroseconds to verify, to compile and to seal a program of 4,000 instructions, and for the kernel to load it, each load\n"+
		"of another content, turn by turn: least of %d.\n\n", rounds)
	if err := loadTable(&b, rounds); err != nil {
		return "", err
	}
	return b.String(), nil
}

func compileTable(b *strings.Builder, rounds int) error {
	sizes := []int{50, 100, 1000, 4000, 40_000}
	b.WriteString("| program |")
	for _, n := range sizes {
		fmt.Fprintf(b, " %d |", n)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(sizes)) + "\n")
	for i := range shapes {
		fmt.Fprintf(b, "| %s |", shapes[i].name)
		for _, n := range sizes {
			p, err := shapes[i].program(n, 1)
			if err != nil {
				return err
			}
			c, err := newCompilation(p)
			if err != nil {
				return fmt.Errorf("%s: %w", shapes[i].name, err)
			}
			for range rounds {
				if err := c.turn(); err != nil {
					return err
				}
			}
			fmt.Fprintf(b, " %.0f |", c.perInsn())
		}
		b.WriteString("\n")
	}
	return nil
}

// compileObjects measures the programs that clang made of C, those of at least 50
// instructions.
func compileObjects(b *strings.Builder, dir string, rounds int) error {
	var total time.Duration
	insns, n, worst, name := 0, 0, 0.0, ""
	for _, x := range benchmarks {
		obj, err := elf.Open(filepath.Join(dir, x.object+".o"))
		if err != nil {
			return err
		}
		for _, s := range obj.Programs {
			p, err := obj.Link(s)
			if err != nil {
				return err
			}
			if len(p.Insns) < 50 {
				continue
			}
			c, err := newCompilation(p)
			if err != nil {
				return fmt.Errorf("%s: %w", x.object, err)
			}
			for range rounds {
				if err := c.turn(); err != nil {
					return fmt.Errorf("%s: %w", x.object, err)
				}
			}
			total += c.best
			insns += c.insns
			n++
			if each := c.perInsn(); each > worst {
				worst, name = each, s.Name
			}
		}
	}
	fmt.Fprintf(b, "\nThe %d programs of [bench.md](bench.md) that have 50 instructions or more, %d in all: %.0f, and %.0f at most (%s).\n",
		n, insns, float64(total.Nanoseconds())/float64(insns), worst, name)
	return nil
}

func loadTable(b *strings.Builder, rounds int) error {
	if err := oracle.Available(); err != nil {
		return err
	}
	b.WriteString("| program | instructions | skep | kernel | skep/kernel |\n|---|--:|--:|--:|--:|\n")
	for i := range shapes {
		s := &shapes[i]
		var ms []*oracle.Map
		for _, spec := range s.maps {
			m, err := oracle.NewMap(spec, nil)
			if err != nil {
				return err
			}
			defer m.Close()
			ms = append(ms, m)
		}
		var ours, theirs time.Duration
		insns, refused := 0, ""
		for round := range rounds {
			p, err := s.program(4000, round+2)
			if err != nil {
				return err
			}
			insns = len(p.Insns)
			begun := time.Now()
			c, err := vm.LoadProgram(p, vm.Options{Engine: vm.JIT})
			d := time.Since(begun)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			c.Close()
			if round == 0 || d < ours {
				ours = d
			}
			begun = time.Now()
			k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: p.Insns, Maps: ms, NoLog: true})
			d = time.Since(begun)
			if err != nil {
				refused = strings.TrimSpace(fmt.Sprintf("refused: %v %s", err, lastLine(log)))
				continue
			}
			k.Close()
			if theirs == 0 || d < theirs {
				theirs = d
			}
		}
		if refused != "" {
			fmt.Fprintf(b, "| %s | %d | %d | %s | – |\n", s.name, insns, ours.Microseconds(), refused)
			continue
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d | %.2f |\n", s.name, insns, ours.Microseconds(), theirs.Microseconds(), float64(ours)/float64(theirs))
	}
	return nil
}
