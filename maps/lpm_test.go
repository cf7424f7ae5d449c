package maps

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

func newTestLPM(t testing.TB, data, entries uint32) *lpmTrie {
	t.Helper()
	m, err := New(&Spec{Name: "m", Type: LPMTrie, KeySize: lpmHeader + data, ValueSize: 8, MaxEntries: entries, Flags: NoPrealloc})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*lpmTrie)
}

// lpmKeyOf returns the key of the first n bits of data.
func lpmKeyOf(n uint32, data []byte) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, n), data...)
}

// TestLPMModel compares tries of many sizes of keys, which are large enough for
// their levels to come, with prefixes in a Go map that are tried one length after
// the other.
func TestLPMModel(t *testing.T) {
	steps := 60000
	if testing.Short() {
		steps = 20000
	}
	for _, data := range []int{1, 3, 4, 8, 9, 16, 20} {
		m := newTestLPM(t, uint32(data), 1<<20)
		type prefix struct {
			bits uint32
			data string
		}
		model := map[prefix]uint64{}
		var stored []prefix
		mask := func(b []byte, n uint32) string {
			b = append([]byte(nil), b...)
			for i := range b {
				if at := uint32(i * 8); n <= at {
					b[i] = 0
				} else if n < at+8 {
					b[i] &^= 0xff >> (n - at)
				}
			}
			return string(b)
		}
		r := rand.New(rand.NewPCG(uint64(data), 3))
		random := func() (uint32, []byte) {
			b := make([]byte, data)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if r.IntN(3) == 0 && len(stored) > 0 { // close to what is there
				copy(b, stored[r.IntN(len(stored))].data)
				b[r.IntN(data)] ^= 1 << r.IntN(8)
			}
			return uint32(r.IntN(data*8 + 1)), b
		}
		c := vcpu.Lease()
		for i := range steps {
			n, b := random()
			p := prefix{n, mask(b, n)}
			if r.IntN(2) == 0 && len(stored) > 0 {
				p = stored[r.IntN(len(stored))]
				n, b = p.bits, []byte(p.data)
			}
			key, value := lpmKeyOf(n, b), uint64(i)
			_, there := model[p]
			switch r.IntN(8) {
			case 0, 1, 2:
				if err := m.Update(key, u64(value), Any); err != nil {
					t.Fatalf("%d bytes, step %d: update: %v", data, i, err)
				}
				if model[p] = value; !there {
					stored = append(stored, p)
				}
			case 3:
				want := error(nil)
				if !there {
					want = errno.ENOENT
				}
				if err := m.Delete(key); !errors.Is(err, want) {
					t.Fatalf("%d bytes, step %d: delete /%d: %v, not %v", data, i, n, err, want)
				}
				delete(model, p)
			default:
				want, found := uint64(0), false
				for l := int(n); l >= 0 && !found; l-- {
					want, found = model[prefix{uint32(l), mask(b, uint32(l))}]
				}
				got := m.LookupElem(0, key)
				if (got != nil) != found || found && binary.NativeEndian.Uint64(got) != want {
					t.Fatalf("%d bytes, step %d: lookup /%d of %x gives %x, not %d, %t", data, i, n, b, got, want, found)
				}
			}
			if i%100 == 0 {
				c.Release()
				c = vcpu.Lease()
			}
		}
		c.Release()
		if n := keys(m); n != len(model) {
			t.Errorf("%d bytes: a walk finds %d prefixes, not %d", data, n, len(model))
		}
		levels := *m.levels.Load()
		if data >= 3 && len(levels) < 2 {
			t.Errorf("%d bytes: only %d levels", data, len(levels))
		}
		for p := range model {
			if err := m.Delete(lpmKeyOf(p.bits, []byte(p.data))); err != nil {
				t.Fatalf("%d bytes: deleting what is there: %v", data, err)
			}
		}
		for _, l := range levels {
			for i, at := range l.first {
				if at != 0 {
					t.Fatalf("%d bytes: the level of %d bits leads from %#x to a node of an empty trie", data, l.bits, i)
				}
			}
		}
	}
}

// TestLPMAlwaysOne has a writer move an address between a long and a short
// prefix, so that there is one at any time; a lookup must find one.
func TestLPMAlwaysOne(t *testing.T) {
	rounds := 20000
	if testing.Short() {
		rounds = 4000
	}
	m := newTestLPM(t, 4, 100000)
	for i := range uint32(5000) { // for levels
		m.Update(lpmKeyOf(32, binary.BigEndian.AppendUint32(nil, 0x0a000000+i*2048)), u64(1), Any)
	}
	long, short := lpmKeyOf(24, []byte{10, 1, 2, 0}), lpmKeyOf(10, []byte{10, 0, 0, 0})
	full := lpmKeyOf(32, []byte{10, 1, 2, 3})
	m.Update(short, u64(10), Any)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			value := make([]byte, 8)
			for !stop.Load() {
				var v []byte
				c := vcpu.Lease()
				if g == 0 {
					if m.Lookup(full, value) == nil {
						v = value
					}
				} else {
					v = m.LookupElem(c.ID(), full)
				}
				if v == nil {
					t.Error("no prefix found, though there is one at any time")
					stop.Store(true)
				} else if n := binary.NativeEndian.Uint64(v); n != 10 && n != 24 {
					t.Errorf("found value %d", n)
					stop.Store(true)
				}
				c.Release()
			}
		})
	}
	for i := range rounds {
		if stop.Load() {
			break
		}
		for _, step := range []func() error{
			func() error { return m.Update(long, u64(24), Any) },
			func() error { return m.Delete(short) },
			func() error { return m.Update(short, u64(10), Any) },
			func() error { return m.Delete(long) },
		} {
			if err := step(); err != nil {
				t.Errorf("round %d: %v", i, err)
				stop.Store(true)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}
