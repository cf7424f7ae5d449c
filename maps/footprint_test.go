package maps

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// TestFootprint fills maps of every type, replaces all entries a few times, and
// compares the memory they take with what Footprint says: never more, and not
// far less.
func TestFootprint(t *testing.T) {
	sizes := []uint32{1, 7, 100, 1024, 1500}
	if !testing.Short() {
		sizes = append(sizes, 66000)
	}
	for typ := range constructors {
		for _, n := range sizes {
			for _, v := range []uint32{1, 8, 100} {
				if n > 10000 && v != 8 {
					continue
				}
				s := Spec{Type: typ, KeySize: 8, ValueSize: v, MaxEntries: n}
				switch typ {
				case Array, PerCPUArray:
					s.KeySize = 4
				case ProgArray, PerfEventArray, ArrayOfMaps, CPUMap, DevMap, DevMapHash, XSKMap:
					s.KeySize, s.ValueSize = 4, 4
					s.Inner = &Spec{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
				case HashOfMaps:
					s.ValueSize = 4
					s.Inner = &Spec{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
				case LPMTrie:
					s.Flags = NoPrealloc
				case Queue, Stack, BloomFilter:
					s.KeySize = 0
				case RingBuf, UserRingBuf:
					s.KeySize, s.ValueSize, s.MaxEntries = 0, 0, 4096
				}
				m, err := New(&s)
				if err != nil {
					continue // these sizes are not for this type
				}
				fillUp(t, m)
				z, ok := m.(Sizer)
				if !ok {
					t.Errorf("%v does not say how much memory it takes", typ)
					continue
				}
				got, want := uint64(z.Bytes()), Footprint(&s)
				name := fmt.Sprintf("%v of %d entries, values of %d bytes", typ, s.MaxEntries, s.ValueSize)
				if got > want+4096 {
					t.Errorf("%s: takes %d bytes, Footprint says %d", name, got, want)
				}
				// An LRU map's notes of use are not in Bytes.
				if noted := uint64(4 << 20); want > 4*got+16384 && (m.Spec().Type != LRUHash && m.Spec().Type != LRUPerCPUHash || want > 4*got+2*noted) && got > 0 {
					t.Errorf("%s: takes %d bytes, Footprint says as much as %d", name, got, want)
				}
				m.Close()
			}
		}
	}
}

// fillUp stores as many entries as there can be, three times each.
func fillUp(t *testing.T, m Map) {
	t.Helper()
	s := m.Spec()
	value := make([]byte, s.HostValueSize())
	inner, err := New(&Spec{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for i := range s.MaxEntries {
			key := make([]byte, s.KeySize)
			if s.KeySize >= 4 {
				binary.NativeEndian.PutUint32(key[s.KeySize-4:], i)
			}
			if s.Type == LPMTrie { // prefixes that fork everywhere
				binary.NativeEndian.PutUint32(key, 32)
				binary.BigEndian.PutUint32(key[4:], i*2654435761)
			}
			if h, ok := m.(MapHolder); ok {
				err = h.StoreMap(key, inner, Any)
			} else {
				err = m.Update(key, value, Any)
			}
			if err != nil {
				break // full, or nothing can be stored
			}
		}
	}
}
