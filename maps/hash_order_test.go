package maps

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLookupsWhileEntriesAreReused has Go code look keys up while others replace
// and delete them so fast that entries hold one key after the other. Every word
// of a value says whose it is: no lookup may see another key's, or miss a key
// that is there throughout.
func TestLookupsWhileEntriesAreReused(t *testing.T) {
	rounds := 300000
	if testing.Short() {
		rounds = 40000
	}
	for _, tc := range []struct {
		words int
		home  bool
	}{{1, false}, {5, false}, {1, true}} {
		words := tc.words
		m := newHash8(t, 64, uint32(words*8))
		if tc.home {
			m = newHomed8(t)
		}
		value := func(k, version uint64) []byte {
			var v []byte
			for range words {
				v = binary.NativeEndian.AppendUint64(v, k<<32|version)
			}
			return v
		}
		const always, some = 8, 24 // keys that are replaced; keys that come and go
		for k := range uint64(always) {
			m.Update(u64(k), value(k, 0), Any)
		}
		var stop atomic.Bool
		var readers, writers sync.WaitGroup
		for g := range uint64(3) {
			readers.Go(func() {
				r := rand.New(rand.NewPCG(g, 5))
				v := make([]byte, words*8)
				for !stop.Load() {
					k := r.Uint64N(some)
					if m.Lookup(u64(k), v) != nil {
						if k < always {
							t.Errorf("key %d, which is there throughout, was not found", k)
							return
						}
						continue
					}
					first := binary.NativeEndian.Uint64(v)
					for i := range words {
						if w := binary.NativeEndian.Uint64(v[i*8:]); w != first || w>>32 != k {
							t.Errorf("word %d of key %d is %#x, the first %#x", i, k, w, first)
							return
						}
					}
				}
			})
		}
		for g := range uint64(2) {
			writers.Go(func() {
				r := rand.New(rand.NewPCG(g, 6))
				for i := range uint64(rounds) {
					if k := r.Uint64N(some); k >= always && r.IntN(2) == 0 {
						m.Delete(u64(k))
					} else if err := m.Update(u64(k), value(k, i), Any); err != nil {
						t.Errorf("update: %v", err)
						return
					}
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		readers.Wait()
	}
}
