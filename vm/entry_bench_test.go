package vm_test

import (
	"testing"
	"time"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/vm"
)

// BenchmarkEntry measures what a run costs besides its instructions: a bare
// entry of machine code, a lease, and whole runs of programs, turn by turn. It
// reports the least of many rounds.
func BenchmarkEntry(b *testing.B) {
	needCompiler(b)
	const rounds = 4096
	stub := bareStub(b)
	pkt := make([]byte, 64)
	run := func(text string) func() {
		p := load(b, linux.XDP, text, vm.Options{Engine: vm.JIT}, sum64()).Program("p")
		return func() {
			if _, err := p.Run(pkt); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, bb := range []struct {
		name string
		f    func()
	}{
		{"lease", func() { vcpu.Lease().Release() }},
		{"trivial", run("r0 = 2\nexit")},
		{"packet", run("r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = 1\nr3 = r1\nr3 += 14\nif r3 > r2 goto +1\nr0 = *(u8 *)(r1 +13)\nexit")},
		{"helper", run("call 8\nexit")},
		{"loop", run("r0 = 0\nr0 += 1\nif r0 < 10 goto -2\nexit")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var bare, with time.Duration
			for b.Loop() {
				least(&bare, rounds, stub)
				least(&with, rounds, bb.f)
			}
			ns := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / rounds }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ns(with), "ns/run")
			b.ReportMetric(ns(bare), "ns/stub")
			b.ReportMetric(ns(with)/ns(bare), "stubs/run")
		})
	}
}

// least runs f n times and keeps the least time.
func least(best *time.Duration, n int, f func()) {
	start := time.Now()
	for range n {
		f()
	}
	if d := time.Since(start); *best == 0 || d < *best {
		*best = d
	}
}
