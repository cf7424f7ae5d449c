package vm_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
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
		p := load(b, linux.XDP, text, vm.Options{Engine: vm.JIT, Helpers: map[helpers.ID]*helpers.Func{
			1000: {Name: "plain", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 1 }},
		}}, sum64()).Program("p")
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
		{"helper", run("call 1000\nr0 = 1\nexit")},
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

// BenchmarkTwo measures how much more two goroutines do than one, of runs and of
// a loop that shares nothing, turn by turn. It reports the best of many rounds.
func BenchmarkTwo(b *testing.B) {
	needCompiler(b)
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("one processor")
	}
	const rounds = 50_000
	p := load(b, linux.XDP, "r0 = 2\nexit", vm.Options{Engine: vm.JIT}).Program("p")
	runs := func() {
		pkt := make([]byte, 64)
		for range rounds {
			if _, err := p.Run(pkt); err != nil {
				b.Error(err)
			}
		}
	}
	spins := func() {
		x := uint64(1)
		for range rounds * 8 {
			x = x*6364136223846793005 + 1442695040888963407
		}
		sink.Store(x)
	}
	// The same instructions as a run's dearest, on memory that nobody shares.
	locks := func() {
		var own struct {
			_ [128]byte
			x atomic.Uint64
			_ [128]byte
		}
		for range rounds {
			own.x.CompareAndSwap(0, 0)
			for range 6 {
				own.x.Load()
			}
		}
	}
	stubs := make(chan func(), 2)
	for range 2 {
		stubs <- bareStub(b)
	}
	enters := func() {
		stub := <-stubs
		for range rounds {
			stub()
		}
		stubs <- stub
	}
	var one, two [4]time.Duration
	for b.Loop() {
		for i, f := range []func(){runs, spins, enters, locks} {
			least(&one[i], 1, f)
			least(&two[i], 1, func() {
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(f)
				}
				wg.Wait()
			})
		}
	}
	scale := func(i int) float64 { return 2 * float64(one[i]) / float64(two[i]) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(scale(0), "runs-scale")
	b.ReportMetric(scale(1), "spins-scale")
	b.ReportMetric(scale(2), "stubs-scale")
	b.ReportMetric(scale(3), "locks-scale")
	b.ReportMetric(scale(0)/scale(1), "ratio")
}

var sink atomic.Uint64

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
