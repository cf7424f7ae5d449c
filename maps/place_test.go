package maps_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// TestLayoutOf: only maps whose lookup is nothing but finding a value have a
// layout, and none that a host wraps.
func TestLayoutOf(t *testing.T) {
	inner := &maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	for _, tc := range []struct {
		spec maps.Spec
		want maps.LayoutKind
	}{
		{maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3}, maps.LayoutArray},
		{maps.Spec{Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 3}, maps.LayoutArray},
		{maps.Spec{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 3}, maps.LayoutHash},
		{maps.Spec{Type: maps.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 3}, maps.LayoutHash},
		{maps.Spec{Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: inner}, maps.LayoutMaps},
		{maps.Spec{Type: maps.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: inner}, 0},
		{maps.Spec{Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 3}, maps.LayoutProgs},
		{maps.Spec{Type: maps.RingBuf, MaxEntries: 4096}, maps.LayoutRing},
		{maps.Spec{Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 3, Flags: maps.NoPrealloc}, 0},
		{maps.Spec{Type: maps.Queue, ValueSize: 8, MaxEntries: 3}, 0},
	} {
		m, err := maps.New(&tc.spec)
		if err != nil {
			t.Errorf("%v: %v", tc.spec.Type, err)
			continue
		}
		var got maps.LayoutKind
		if l := maps.LayoutOf(m); l != nil {
			got = l.Kind
		}
		if got != tc.want {
			t.Errorf("%v: layout %d, want %d", tc.spec.Type, got, tc.want)
		}
		if l := maps.LayoutOf(struct{ maps.Map }{m}); l != nil {
			t.Errorf("%v, wrapped: layout %d", tc.spec.Type, l.Kind)
		}
		m.Close()
	}
}

// word is the 8 bytes at addr.
func word(addr uint64) uint64 { return binary.NativeEndian.Uint64(mem.At(addr, 8)) }

// directoryFind looks key up as machine code does, in every bucket, and returns
// the addresses of its values; nil if it is not there.
func directoryFind(l *maps.Layout, hash uint64, key []byte) (values []uint64) {
	dir := func(i uint64) uint64 { return word(l.Base + 8*i) }
	seg := hash >> l.SegShift & (1<<l.SegBits - 1)
	table := dir(maps.DirTables + seg)
	tag := uint64(uint32(hash) | 1)
	buckets := uint64(1) << (32 - table&63)
	for b, n := tag>>(table&63), uint64(0); n < buckets; b, n = (b+1)%buckets, n+1 {
		bucket := table&^63 + b*64
		for i := range uint64(7) {
			slot := word(bucket + 8*i)
			if slot>>32 != tag {
				continue
			}
			e := uint64(uint32(slot))
			lz := uint64(0)
			for e<<lz&(1<<31) == 0 {
				lz++
			}
			if string(mem.At(dir(maps.DirKeys+lz)+e*uint64(l.KeyStride), len(key))) == string(key) {
				for cpu := range uint64(l.CPUs) {
					values = append(values, dir(maps.DirValues+lz)+e*uint64(l.ValueStride)+cpu*dir(maps.DirSteps+lz))
				}
				return values
			}
		}
		if word(bucket+8*7) == 0 {
			break
		}
	}
	return nil
}

// TestDirectory: who follows the directory finds what LookupElem finds.
func TestDirectory(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 || unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("machine code exists for little-endian hosts of 64 bits")
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, typ := range []maps.Type{maps.Hash, maps.PerCPUHash} {
		for _, n := range []uint32{1, 50, 3000} {
			m, err := maps.New(&maps.Spec{Name: "m", Type: typ, KeySize: 8, ValueSize: 12, MaxEntries: n, Flags: maps.ZeroSeed})
			if err != nil {
				t.Fatal(err)
			}
			l := maps.LayoutOf(m)
			lease := vcpu.Lease()
			for range 4 * n {
				key := binary.LittleEndian.AppendUint64(nil, r.Uint64N(2*uint64(n)))
				if r.IntN(3) == 0 {
					m.DeleteElem(0, key)
				} else if err := m.UpdateElem(0, key, append(key, 1, 2, 3, 4), maps.Any); err != nil && err != maps.ErrFull {
					t.Fatal(err)
				}
				values := directoryFind(l, maps.ZeroSeedHash(binary.LittleEndian.Uint64(key)), key)
				for cpu := range int(l.CPUs) {
					want := mem.Addr(m.LookupElem(cpu, key))
					var got uint64
					if values != nil {
						got = values[cpu]
					}
					if got != want {
						t.Fatalf("%v of %d: key %x on CPU %d: value at %#x, want %#x", typ, n, key, cpu, got, want)
					}
				}
			}
			lease.Release()
			m.Close()
		}
	}
}
