package maps_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// TestFinder has Finders say what LookupElem does, of maps in which keys come and go:
// full ones, in which keys lie far from where they belong, and one with a home.
func TestFinder(t *testing.T) {
	for _, spec := range []*maps.Spec{
		{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 300},
		{Type: maps.Hash, KeySize: 8, ValueSize: 40, MaxEntries: 5000},
		{Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 16},
		{Type: maps.PerCPUHash, KeySize: 4, ValueSize: 16, MaxEntries: 300},
		{Type: maps.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1000},
	} {
		t.Run(fmt.Sprintf("%v/%d/%d", spec.Type, spec.KeySize, spec.MaxEntries), func(t *testing.T) {
			spec.Name = "m"
			m, err := maps.New(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			f := maps.FinderOf(m)
			if f == nil {
				t.Fatal("no finder")
			}
			if f.PerCPU() != (spec.Type == maps.PerCPUHash && maps.NumCPU() > 1) {
				t.Fatalf("PerCPU %v", f.PerCPU())
			}
			r := rand.New(rand.NewPCG(1, uint64(spec.MaxEntries)))
			_, memory := mem.Alloc(1)
			key, value := memory[:spec.KeySize], make([]byte, spec.ValueSize)
			found := 0
			for range 40_000 {
				clear(memory)
				binary.LittleEndian.PutUint32(key, r.Uint32N(spec.MaxEntries*5/4))
				switch r.IntN(5) {
				case 0, 1:
					m.UpdateElem(0, key, value, maps.Any) // or full
				case 2:
					m.DeleteElem(0, key) // or not there
				}
				cpu := 0
				if f.PerCPU() {
					cpu = r.IntN(maps.NumCPU())
				}
				lease := vcpu.Lease()
				want := mem.Addr(m.LookupElem(cpu, key))
				got := f.Find(cpu, mem.Addr(key))
				lease.Release()
				if got != want {
					t.Fatalf("key %x on CPU %d: %#x, LookupElem says %#x", key, cpu, got, want)
				}
				if want != 0 {
					found++
				}
			}
			if found < 1000 {
				t.Errorf("%d keys were found", found)
			}
		})
	}
	for _, spec := range []*maps.Spec{
		{Type: maps.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 300},
		{Type: maps.Hash, KeySize: 16, ValueSize: 8, MaxEntries: 300},
		{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 300},
	} {
		spec.Name = "m"
		m, err := maps.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if maps.FinderOf(m) != nil {
			t.Errorf("%v with keys of %d bytes has a finder", spec.Type, spec.KeySize)
		}
		m.Close()
	}
}
