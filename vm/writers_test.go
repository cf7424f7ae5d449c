package vm

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/maps"
)

// TestConcurrentWriters runs accepted programs, watched, while other goroutines
// write hostile bytes into their maps, delete elements and take records from
// their ring buffers. What programs have read may not be what is there now: a
// program must not fault for that, and nothing that was proven of its registers
// and stack may be wrong.
func TestConcurrentWriters(t *testing.T) {
	budget := 3 * time.Second
	if testing.Short() {
		budget = 500 * time.Millisecond
	}
	var writes atomic.Uint64
	programs, runs, steps := 0, 0, uint64(0)
	for seed, start := uint64(1), time.Now(); time.Since(start) < budget; seed++ {
		r := rand.New(rand.NewPCG(seed, 0xc0))
		kind := []string{"xdp", "sched_cls"}[seed%2]
		o := bpftest.Hostile(kind)
		o.Statements = 10 + r.IntN(20)
		o.LongLoops, o.TailCalls = false, false
		g := bpftest.Generate(kind, seed, o)
		d, err := prove(g, g.Insns, r)
		if err != nil {
			continue
		}
		w := newWatcher(r, d)
		stop := writeHostile(d.maps, seed, &writes)
		for range 30 {
			runs++
			if err := w.run(d.h.packet(g.Packet)); err != nil {
				t.Errorf("seed %d: %v\n%s", seed, err, insnText(g.Insns))
				break
			}
			runtime.Gosched()
		}
		stop()
		d.p.coll.Close()
		programs++
		steps += w.steps
	}
	t.Logf("%d programs, %d runs, %d steps, %d writes beside them", programs, runs, steps, writes.Load())
	if programs == 0 || writes.Load() < uint64(runs) {
		t.Error("hardly anything ran, or was written")
	}
}

// writeHostile writes to ms from several goroutines until stop is called.
func writeHostile(ms []maps.Map, seed uint64, writes *atomic.Uint64) (stop func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	for i := range uint64(2) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, i))
			w := &watcher{r: r, proofs: []*watched{{maps: ms, h: newHostility(r, nil)}}}
			a := &activation{watched: w.proofs[0]}
			for !over.Load() {
				for range 16 {
					w.disturb(a)
					writes.Add(1)
				}
				w.drain()
				runtime.Gosched()
			}
		})
	}
	return func() {
		over.Store(true)
		all.Wait()
	}
}
