package vm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestRingBufTaken runs programs that reserve and output while another producer is
// about to write a header: they wait until it has, and go on behind its record.
func TestRingBufTaken(t *testing.T) {
	for name, text := range map[string]string{
		"reserve": `
			r1 = map[0]
			r2 = 16
			r3 = 0
			call 131
			if r0 == 0 goto out
			r1 = r0
			r2 = 0
			call 132
			r0 = 1
		out:
			exit`,
		"output": `
			*(u64 *)(r10 -16) = 1
			*(u64 *)(r10 -8) = 2
			r1 = map[0]
			r2 = r10
			r2 += -16
			r3 = 16
			r4 = 0
			call 130
			r0 += 1
			exit`,
	} {
		for _, e := range faultEngines {
			t.Run(fmt.Sprintf("%s, engine %q", name, e), func(t *testing.T) {
				c := load(t, packetType, text, vm.Options{Engine: e}, &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096})
				ring := mem.At(maps.LayoutOf(c.Map("ring")).Base, 8*(maps.RingData+1))
				store := func(i int, v uint64) { mem.StoreRelease(ring[8*i:][:8], v) }
				store(maps.RingProd, 1<<maps.RingTaken)
				done := make(chan uint64)
				go func() {
					r0, err := c.Program("p").Run(make([]byte, 16))
					if err != nil {
						t.Error(err)
					}
					done <- r0
				}()
				select {
				case <-done:
					t.Fatal("two have the position at the same time")
				case <-time.After(5 * time.Millisecond):
				}
				store(maps.RingData, 24) // an open record
				store(maps.RingProd, 32)
				select {
				case r0 := <-done:
					if got := mem.LoadAcquire(ring[8*maps.RingProd:][:8]); r0 != 1 || got != 32+24 {
						t.Errorf("result %d, position %d", r0, got)
					}
				case <-time.After(time.Minute):
					t.Fatal("the program does not go on")
				}
			})
		}
	}
}
