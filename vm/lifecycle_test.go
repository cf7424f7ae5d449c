package vm_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestLifecycle loads, runs and closes 10,000 times, half of the runs ending
// with a fault, and finds no memory and no goroutine left behind.
func TestLifecycle(t *testing.T) {
	cycles := 10_000
	if testing.Short() {
		cycles = 1000
	}
	ms := []*maps.Spec{
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16},
		{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 32},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
	}
	const text = `
r6 = r1
*(u32 *)(r10 -4) = 1
*(u64 *)(r10 -16) = 1
r1 = map[1]
r2 = r10
r2 += -4
r3 = r10
r3 += -16
r4 = 0
call 2
r1 = map[2]
r2 = 8
r3 = 0
call 131
if r0 == 0 goto +9
r1 = *(u32 *)(r6 +12)
if r1 == 1 goto +1
*(u64 *)(r0 +8) = 1
r1 = r0
r2 = 0
call 132
r2 = map[0]
r0 = 0
exit`
	cycle := func(t *testing.T, i int) {
		t.Helper()
		c := load(t, packetType, text, unproven, ms...)
		_, err := c.Program("p").Do(context.Background(), make([]byte, 64), vm.RunOptions{Fields: map[string]uint64{"ro": uint64(i % 2)}})
		var f *vm.Fault
		if (i%2 == 0) != errors.As(err, &f) {
			t.Fatalf("cycle %d: %v", i, err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	measure := func() (heap uint64, goroutines int) {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc, runtime.NumGoroutine()
	}
	t.Run("warm", func(t *testing.T) {
		for i := range 100 {
			cycle(t, i)
		}
	})
	heap, goroutines := measure()
	// Clean-ups of a test live as long as the test, so cycles come in subtests.
	for range cycles / 100 {
		t.Run("cycles", func(t *testing.T) {
			for i := range 100 {
				cycle(t, i)
			}
		})
	}
	after, now := measure()
	if now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
	if after > heap+1<<20 {
		t.Errorf("%d bytes of heap, %d before", after, heap)
	}
	t.Logf("%d cycles: heap %d → %d bytes", cycles, heap, after)
}
