package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/skepvm/skep/internal/vcpu"
)

func newTestLRU(t testing.TB, typ Type, entries uint32) Map {
	t.Helper()
	m, err := New(&Spec{Name: "m", Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func keys(m Map) (n int) {
	key := make([]byte, m.Spec().KeySize)
	var at []byte
	for m.NextKey(at, key) == nil {
		at = append(at[:0], key...)
		n++
	}
	return n
}

// TestLRUEvicts fills maps far beyond their size: every update succeeds, the
// map stays full, and what is looked up all the time stays.
func TestLRUEvicts(t *testing.T) {
	for _, typ := range []Type{LRUHash, LRUPerCPUHash} {
		for _, entries := range []uint32{1, 2, 7, 100, 5000} {
			t.Run(fmt.Sprintf("%v/%d", typ, entries), func(t *testing.T) {
				m := newTestLRU(t, typ, entries)
				c := vcpu.Lease()
				hot := int(entries / 10)
				lost := 0
				for i := range uint64(entries)*8 + 100 {
					key := binary.NativeEndian.AppendUint64(nil, i)
					if err := m.UpdateElem(c.ID(), key, key, Any); err != nil {
						t.Fatalf("update %d: %v", i, err)
					}
					if v := m.LookupElem(c.ID(), key); v == nil || binary.NativeEndian.Uint64(v) != i {
						t.Fatalf("key %d is not there right after it was stored", i)
					}
					for range min(hot, 4) { // four of the hot ones each time
						k := rand.Uint64N(uint64(hot))
						if k < i && m.LookupElem(c.ID(), binary.NativeEndian.AppendUint64(nil, k)) == nil {
							lost++
						}
					}
					if i%64 == 0 { // so that entries can be used again
						c.Release()
						c = vcpu.Lease()
					}
				}
				c.Release()
				if n := keys(m); n != int(entries) {
					t.Errorf("%d keys in a map of %d", n, entries)
				}
				there := 0
				for k := range uint64(hot) {
					if m.Lookup(binary.NativeEndian.AppendUint64(nil, k), make([]byte, m.Spec().HostValueSize())) == nil {
						there++
					}
				}
				if there < hot*9/10 {
					t.Errorf("of %d keys in constant use %d are left (%d look-ups missed)", hot, there, lost)
				}
			})
		}
	}
}

// TestLRUConcurrent: writers of more keys than fit, readers who hold values.
func TestLRUConcurrent(t *testing.T) {
	const entries = 500
	m := newTestLRU(t, LRUHash, entries)
	n := 20000
	if testing.Short() {
		n = 3000
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range n {
				c := vcpu.Lease()
				k := r.Uint64N(entries * 4)
				key := binary.NativeEndian.AppendUint64(nil, k)
				switch r.IntN(6) {
				case 0:
					m.DeleteElem(c.ID(), key)
				case 1, 2, 3:
					if err := m.UpdateElem(c.ID(), key, key, Any); err != nil {
						t.Errorf("update: %v", err)
					}
				default:
					if v := m.LookupElem(c.ID(), key); v != nil && binary.NativeEndian.Uint64(v) != k {
						t.Errorf("key %d has the value of key %d", k, binary.NativeEndian.Uint64(v))
					}
				}
				c.Release()
			}
		})
	}
	wg.Wait()
	if n := keys(m); n > entries {
		t.Errorf("%d keys in a map of %d", n, entries)
	}
}
