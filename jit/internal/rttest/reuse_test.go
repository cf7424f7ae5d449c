//go:build (linux || darwin || windows) && (amd64 || arm64)

package rttest

import (
	"runtime"
	"sync"
	"testing"

	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/internal/rt"
)

// TestReuse seals ever new code, mostly where other code was before, and runs
// it on another thread: no CPU may still execute the old one.
func TestReuse(t *testing.T) {
	rounds := uint64(3000)
	if testing.Short() {
		rounds = 300
	}
	type job struct {
		code uintptr
		want uint64
	}
	var wg sync.WaitGroup
	addrs := make([]map[uintptr]bool, 2)
	for g := range addrs {
		addrs[g] = map[uintptr]bool{}
		jobs, done := make(chan job), make(chan bool)
		wg.Go(func() {
			runtime.LockOSThread()
			r := newRun()
			for j := range jobs {
				if e := rt.Enter(r, j.code); e != rt.Done || r.Context.R0 != j.want {
					t.Errorf("exit %v, R0 %#x; want %#x", e, r.Context.R0, j.want)
				}
				done <- true
			}
		})
		wg.Go(func() {
			defer close(jobs)
			c := newCoder().(interface {
				coder
				Reset()
			})
			var batch execmem.Batch
			for i := range rounds {
				c.Reset()
				c.constant(uint64(g)<<32 + i)
				batch.Reset()
				batch.Add(c.finish(t))
				block, err := batch.Seal()
				if err != nil {
					t.Error(err)
					return
				}
				addrs[g][block.Addr()] = true
				jobs <- job{block.Addr(), uint64(g)<<32 + i}
				<-done
				if err := block.Free(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(addrs[0]) + len(addrs[1]); uint64(n) > rounds {
		t.Logf("%d addresses for %d blocks: few were used again", n, 2*rounds)
	}
}
