package vm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// filter returns the text of an XDP program of about n instructions: checks of
// the packet's bytes, arithmetic on them, and counters in a map, as a compiler
// makes them of a long list of rules. seed is a constant in it.
func filter(n, seed int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr8 = %d\nr1 = r6\nr1 += 64\nif r1 <= r7 goto +2\nr0 = 1\nexit\n", seed)
	for i, rules := 0, n/24; i < rules; i++ {
		fmt.Fprintf(&b, "r1 = *(u16 *)(r6 +%d)\nr2 = *(u8 *)(r6 +%d)\nr1 = be16 r1\nr3 = r1\nr3 <<= 3\nr3 ^= r2\nr3 += %d\nr8 ^= r3\nr4 = r8\nr4 >>= 7\nr8 += r4\nw5 = w8\nw5 *= 31\nr8 |= r5\n",
			i%60, i%61, i)
		fmt.Fprintf(&b, "if r2 != %d goto +9\n*(u32 *)(r10 -4) = %d\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n", i%256, i%64)
	}
	b.WriteString("r0 = 2\nexit")
	return b.String()
}

func filterMap() *maps.Spec {
	return &maps.Spec{Name: "hits", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 64}
}

func filterProgram(b testing.TB, n, seed int) *prog.Program {
	p, err := prog.FromInsns("filter", linux.XDP, assemble(b, filter(n, seed)), []*maps.Spec{filterMap()})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkCompile is what machine code costs to make, without the proof, by
// the length of the program.
func BenchmarkCompile(b *testing.B) {
	host, err := jit.Host()
	if err != nil {
		b.Skip(err)
	}
	for _, n := range []int{100, 1000, 4000, 40_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := filterProgram(b, n, 1)
			v, _, err := verifier.Verify(b.Context(), p, verifier.Options{})
			if err != nil {
				b.Fatal(err)
			}
			m, err := maps.New(filterMap())
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			host.Maps = []*maps.Layout{maps.LayoutOf(m)}
			var best time.Duration
			for b.Loop() {
				least(&best, 1, func() {
					if _, err := jit.Compile(v, host); err != nil {
						b.Fatal(err)
					}
				})
			}
			b.ReportMetric(float64(best.Nanoseconds())/float64(len(p.Insns)), "ns/insn")
		})
	}
}

// BenchmarkLoad compares what it takes to load a program of 4,000 instructions,
// proof and machine code included, here and in the kernel, turn by turn. Each
// load is of another content.
func BenchmarkLoad(b *testing.B) {
	needCompiler(b)
	oracle.Skip(b)
	km, err := oracle.NewMap(filterMap(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer km.Close()
	var ours, kernel time.Duration
	seed, insns := 1, 0
	for b.Loop() {
		seed++
		p := filterProgram(b, 4000, seed)
		insns = len(p.Insns)
		least(&ours, 1, func() {
			c, err := vm.LoadProgram(p, vm.Options{Engine: vm.JIT})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
		})
		least(&kernel, 1, func() {
			k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: p.Insns, Maps: []*oracle.Map{km}, NoLog: true})
			if err != nil {
				b.Fatalf("the kernel: %v\n%s", err, log)
			}
			k.Close()
		})
	}
	b.ReportMetric(float64(insns), "insns")
	b.ReportMetric(float64(ours.Microseconds()), "µs/load")
	b.ReportMetric(float64(kernel.Microseconds()), "µs/kernel")
	b.ReportMetric(float64(ours)/float64(kernel), "kernels/load")
}
