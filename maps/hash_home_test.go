package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// TestHomes fills maps that have a home, changes them at random, and compares them
// with a map of Go's by every way there is to read them. Most keys must be at home
// throughout: that is what it is for.
func TestHomes(t *testing.T) {
	for _, size := range []struct{ key, value uint32 }{{8, 8}, {4, 8}, {8, 3}, {4, 4}} {
		t.Run(fmt.Sprintf("%d,%d", size.key, size.value), func(t *testing.T) {
			const entries = homeMin + 77
			map_, err := New(&Spec{Name: "m", Type: Hash, KeySize: size.key, ValueSize: size.value, MaxEntries: entries})
			if err != nil {
				t.Fatal(err)
			}
			m := map_.(*hash)
			want := map[uint32]uint32{}
			key := func(k uint32) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(k))[:size.key] }
			value := func(v uint32) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v))[:size.value] }
			r := rand.New(rand.NewPCG(uint64(size.key), uint64(size.value)))
			put := func(k uint32) error {
				v := r.Uint32()
				err := m.Update(key(k), value(v), Any)
				if err == nil {
					want[k] = v
				}
				return err
			}
			home := func() (n int) {
				o := m.home.Load()
				for k := range want {
					h := m.hashOf(key(k))
					i, ok := m.find(m.segment(h).table.Load(), key(k), h)
					if _, bit := o.place(i); ok && bit != 0 {
						n++
					}
				}
				return n
			}
			for k := range uint32(entries) {
				if err := put(k); err != nil {
					t.Fatalf("key %d: %v", k, err)
				}
			}
			if err := put(entries); !errors.Is(err, errno.E2BIG) {
				t.Errorf("one key more than fit: %v", err)
			}
			if n := home(); n < entries*985/1000 {
				t.Errorf("of %d keys that came %d are at home", entries, n)
			}
			checkContents(t, m, want, key, value)
			ops := 10 * entries
			if testing.Short() {
				ops = 2 * entries
			}
			for range ops {
				k := r.Uint32N(2 * entries)
				_, there := want[k]
				switch r.IntN(4) {
				case 0:
					if err := m.Delete(key(k)); (err == nil) != there {
						t.Fatalf("delete of key %d, there: %v: %v", k, there, err)
					}
					delete(want, k)
				case 1:
					got := make([]byte, size.value)
					if err := m.Lookup(key(k), got); (err == nil) != there || there && string(got) != string(value(want[k])) {
						t.Fatalf("lookup of key %d: %x, %v; want %x, %v", k, got, err, want[k], there)
					}
				default:
					if err := put(k); err != nil && (there || len(want) < entries) {
						t.Fatalf("update of key %d: %v", k, err)
					}
				}
			}
			if n := home(); n < len(want)*97/100 {
				t.Errorf("of %d keys %d are at home", len(want), n)
			}
			checkContents(t, m, want, key, value)
			if got, most := uint64(m.Bytes()), Footprint(&m.spec); got > most {
				t.Errorf("the map takes %d bytes, Footprint says %d", got, most)
			}
		})
	}
}

// checkContents compares all of m with want: by lookups of programs and of Go code,
// and by walks of both.
func checkContents(t *testing.T, m *hash, want map[uint32]uint32, key, value func(uint32) []byte) {
	t.Helper()
	c := vcpu.Lease()
	defer c.Release()
	got := make([]byte, m.spec.ValueSize)
	for k, v := range want {
		if err := m.Lookup(key(k), got); err != nil || string(got) != string(value(v)) {
			t.Fatalf("key %d: %x, %v; want %x", k, got, err, value(v))
		}
		if p := m.LookupElem(c.ID(), key(k)); string(p) != string(value(v)) {
			t.Fatalf("key %d, by a program: %x; want %x", k, p, value(v))
		}
	}
	number := func(k []byte) uint32 { return binary.LittleEndian.Uint32(k) }
	seen := 0
	m.Range(c.ID(), func(k, v []byte) bool {
		seen++
		if w, ok := want[number(k)]; !ok || string(v) != string(value(w)) {
			t.Errorf("a walk sees key %x with %x", k, v)
			return false
		}
		return true
	})
	if seen != len(want) {
		t.Errorf("a walk sees %d keys of %d", seen, len(want))
	}
	seen = 0
	var last []byte
	for next := make([]byte, m.spec.KeySize); m.NextKey(last, next) == nil; seen++ {
		last = append(last[:0], next...)
	}
	if seen != len(want) {
		t.Errorf("NextKey gives %d keys of %d", seen, len(want))
	}
}

// TestLines puts keys into few lines and takes them out, at random, and compares the
// map with a map of Go's after each step. Some keys have hashes that agree in many of
// the bits which say what part of an index is theirs.
func TestLines(t *testing.T) {
	for _, agree := range []uint64{0, 0xf << 2, 0xff, 0xff << 8} {
		m := newHomed8(t)
		o := m.home.Load()
		r := rand.New(rand.NewPCG(agree, 1))
		var keys []uint64
		for line := range uint64(3) {
			keys = append(keys, crowded(m, 14, line, agree)...)
		}
		want := map[uint64]uint64{}
		out := make([]byte, 8)
		home := [lineReach]int{} // how often a key was how many lines on
		for step := range uint64(3000) {
			if k := keys[r.IntN(len(keys))]; r.IntN(3) == 0 {
				delete(want, k)
				m.Delete(u64(k))
			} else {
				want[k] = step
				if err := m.Update(u64(k), u64(step), Any); err != nil {
					t.Fatal(err)
				}
			}
			c := vcpu.Lease()
			for _, k := range keys {
				v, there := want[k]
				if err := m.Lookup(u64(k), out); (err == nil) != there || there && binary.NativeEndian.Uint64(out) != v {
					t.Fatalf("agree in %#x, step %d, key %#x: %x, %v; want %x, %v", agree, step, k, out, err, v, there)
				}
				if p := m.LookupElem(c.ID(), u64(k)); (p != nil) != there || there && binary.NativeEndian.Uint64(p) != v {
					t.Fatalf("agree in %#x, step %d, key %#x, by a program: %x; want %x, %v", agree, step, k, p, v, there)
				}
				h := m.seeds.word(k)
				if entry, ok := o.find(k, h); ok {
					n, _ := o.place(entry)
					home[n-o.at(h)/lineSize]++
				}
			}
			c.Release()
		}
		if home[0] == 0 || home[1] == 0 {
			t.Errorf("agree in %#x: keys at home, by the number of lines on: %v", agree, home)
		}
		m.Close()
	}
}

// TestHashOfWords: keys as programs have them are spread over lines as random ones
// are, whichever bits of them differ, and seeds make no difference.
func TestHashOfWords(t *testing.T) {
	const lines = 1 << 12
	for shift := range 44 {
		for _, step := range []uint64{1, 3, 10, 257} {
			const maps = 8
			over := 0 // keys that are too many for their line
			for range maps {
				s := newSeeds(0)
				var count [lines]int
				for i := range uint64(lines) {
					if n := s.word(i*step<<shift) >> lineShift & (lines - 1); count[n] < linePlaces {
						count[n]++
					} else {
						over++
					}
				}
			}
			if random := lines * 24 / 1000; over > 2*maps*random {
				t.Errorf("multiples of %d<<%d: of %d keys %d find their line full; of random ones it would be %d", step, shift, lines, over/maps, random)
			}
		}
	}
}

// TestPlacesInUseAreNotTakenAgain holds a value as a program does while its key
// is replaced and deleted again and again: the value stays what it was.
func TestPlacesInUseAreNotTakenAgain(t *testing.T) {
	m := newHomed8(t)
	for k := range uint64(200) {
		if err := m.Update(u64(k), u64(k), Any); err != nil {
			t.Fatal(err)
		}
		c := vcpu.Lease()
		held := m.LookupElem(c.ID(), u64(k))
		for i := range uint64(100) {
			if i%7 == 0 {
				m.Delete(u64(k))
			}
			if err := m.Update(u64(k), u64(1000+i), Any); err != nil {
				t.Fatal(err)
			}
		}
		if string(held) != string(u64(k)) {
			t.Errorf("the value of key %d became %x while a run held it", k, held)
		}
		c.Release()
	}
}
