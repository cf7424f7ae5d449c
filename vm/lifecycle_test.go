package vm_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

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
	inner := &maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 2}
	ms := []*maps.Spec{
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16},
		{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 32},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
		// The program does not use the rest, Go code does.
		{Name: "cpus", Type: maps.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 8},
		{Name: "lru", Type: maps.LRUHash, KeySize: 4, ValueSize: 4096, MaxEntries: 2},
		{Name: "trie", Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 8, Flags: maps.NoPrealloc},
		{Name: "queue", Type: maps.Queue, ValueSize: 8, MaxEntries: 8},
		{Name: "bloom", Type: maps.BloomFilter, ValueSize: 8, MaxEntries: 8},
		{Name: "outer", Type: maps.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: inner},
		{Name: "events", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
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
		for _, s := range ms[3:8] {
			for n := range byte(3) { // one more than the LRU map holds
				key, value := make([]byte, s.KeySize), make([]byte, s.HostValueSize())
				if s.KeySize > 0 {
					key[0] = n
				}
				if err := c.Map(s.Name).Update(key, value, maps.Any); err != nil {
					t.Fatalf("map %s: %v", s.Name, err)
				}
			}
		}
		in, err := maps.New(inner)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Map("outer").(maps.MapHolder).StoreMap(make([]byte, 4), in, maps.Any); err != nil {
			t.Fatal(err)
		}
		events, err := maps.NewPerfReader(c.Map("events"), 64)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 { // before its map, or after it
			events.Close()
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		events.Close()
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
	// What goroutines of clean-ups let go of is garbage a moment later.
	after, now := measure()
	for end := time.Now().Add(30 * time.Second); (now > goroutines || after > heap+1<<20) && time.Now().Before(end); after, now = measure() {
		time.Sleep(10 * time.Millisecond)
	}
	if now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
	if after > heap+1<<20 {
		t.Errorf("%d bytes of heap, %d before", after, heap)
	}
	t.Logf("%d cycles: heap %d → %d bytes", cycles, heap, after)
}
