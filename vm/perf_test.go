package vm_test

import (
	"context"
	"testing"
	"time"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestPerfArraySize: a perf event array that says no size has a place for each CPU
// (libbpf, map_set_def_max_entries), and its reader gets what programs write.
func TestPerfArraySize(t *testing.T) {
	for _, e := range usable(t) {
		c := load(t, linux.XDP, "*(u64 *)(r10 -8) = 77\nr2 = map[0]\nr3 = 0xffffffff ll\nr4 = r10\nr4 += -8\nr5 = 8\ncall 25\nexit", vm.Options{Engine: e},
			&maps.Spec{Name: "events", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4})
		if n := c.Map("events").Spec().MaxEntries; n != uint32(maps.NumCPU()) {
			t.Fatalf("%s: %d places for %d CPUs", e, n, maps.NumCPU())
		}
		rd, err := maps.NewPerfReader(c.Map("events"), 4096)
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		if r0, err := c.Program("p").Run(make([]byte, 64)); r0 != 0 || err != nil {
			t.Fatalf("%s: %d, %v", e, int64(r0), err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if rec, err := rd.Read(ctx); err != nil || len(rec.Data) < 8 || rec.Data[0] != 77 {
			t.Errorf("%s: %x, %v", e, rec.Data, err)
		}
	}
}
