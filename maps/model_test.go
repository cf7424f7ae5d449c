package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

// model is a hash map that says what a hash map should say.
type model struct {
	max     int
	entries map[string]string
}

func (o *model) update(key, value []byte, flags UpdateFlags) error {
	_, ok := o.entries[string(key)]
	switch {
	case flags > Exist:
		return errno.EINVAL
	case ok && flags == NoExist:
		return errno.EEXIST
	case !ok && flags == Exist:
		return errno.ENOENT
	case !ok && len(o.entries) == o.max:
		return errno.E2BIG
	}
	o.entries[string(key)] = string(value)
	return nil
}

func (o *model) delete(key []byte) error {
	if _, ok := o.entries[string(key)]; !ok {
		return errno.ENOENT
	}
	delete(o.entries, string(key))
	return nil
}

// step does one operation, chosen by op, on m and on the model, and compares.
func (o *model) step(m Map, op byte, n uint16, value []byte) error {
	spec := m.Spec()
	key := make([]byte, spec.KeySize)
	binary.LittleEndian.PutUint16(key[(len(key)-1)/2:], n) // somewhere inside, so that hashes depend on all of it
	got := make([]byte, len(value))
	c := vcpu.Lease()
	defer c.Release()
	switch op % 8 {
	case 0, 1, 2:
		flags := UpdateFlags(op / 8 % 4)
		if e, w := m.Update(key, value, flags), o.update(key, value, flags); !same(e, w) {
			return fmt.Errorf("update %x, flags %d: %v, want %v", key, flags, e, w)
		}
	case 3:
		if e, w := m.Delete(key), o.delete(key); !same(e, w) {
			return fmt.Errorf("delete %x: %v, want %v", key, e, w)
		}
	case 4:
		flags := UpdateFlags(op / 8 % 4)
		if e, w := m.UpdateElem(c.ID(), key, value, flags), o.update(key, value, flags); !same(e, w) {
			return fmt.Errorf("update by program %x, flags %d: %v, want %v", key, flags, e, w)
		}
	case 5:
		want, ok := o.entries[string(key)]
		e := m.(LookupDeleter).LookupAndDelete(key, got)
		if w := o.delete(key); !same(e, w) || ok && string(got) != want {
			return fmt.Errorf("lookup and delete %x: %x, %v, want %x, %v", key, got, e, want, w)
		}
	case 6:
		p := m.LookupElem(c.ID(), key)
		if want, ok := o.entries[string(key)]; ok != (p != nil) || string(p) != want {
			return fmt.Errorf("lookup by program %x: %x, want %x", key, p, want)
		}
	case 7:
		want, ok := o.entries[string(key)]
		e := m.Lookup(key, got)
		if ok != (e == nil) || ok && string(got) != want || !ok && e != errno.ENOENT {
			return fmt.Errorf("lookup %x: %x, %v, want %x", key, got, e, want)
		}
	}
	return nil
}

func same(a, b error) bool { return a == b || a != nil && b != nil && errors.Is(a, b) }

// walk compares all of m with the model, by NextKey, Range and batches.
func (o *model) walk(m Map) error {
	spec := m.Spec()
	seen := map[string]bool{}
	var key []byte
	next := make([]byte, spec.KeySize)
	for m.NextKey(key, next) == nil {
		if seen[string(next)] {
			return fmt.Errorf("NextKey gives %x twice", next)
		}
		seen[string(next)] = true
		if _, ok := o.entries[string(next)]; !ok {
			return fmt.Errorf("NextKey gives %x, which is not there", next)
		}
		key = append(key[:0], next...)
	}
	if len(seen) != len(o.entries) {
		return fmt.Errorf("NextKey gives %d keys of %d", len(seen), len(o.entries))
	}
	c := vcpu.Lease()
	defer c.Release()
	clear(seen)
	m.(Ranger).Range(c.ID(), func(k, v []byte) bool {
		seen[string(k)] = o.entries[string(k)] == string(v)
		return true
	})
	if len(seen) != len(o.entries) {
		return fmt.Errorf("Range gives %d keys of %d", len(seen), len(o.entries))
	}
	for k, ok := range seen {
		if !ok {
			return fmt.Errorf("Range gives a wrong value for %x", k)
		}
	}
	return nil
}

func newModel(t testing.TB, keySize, valueSize, entries uint32, flags Flags) (*model, Map) {
	m, err := New(&Spec{Name: "m", Type: Hash, KeySize: keySize, ValueSize: valueSize, MaxEntries: entries, Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return &model{max: int(entries), entries: map[string]string{}}, m
}

func TestHashModel(t *testing.T) {
	for _, keySize := range []uint32{2, 3, 4, 7, 8, 9, 16, 17, 40} {
		for _, entries := range []uint32{1, 7, 300, 5000} {
			t.Run(fmt.Sprintf("%d/%d", keySize, entries), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(keySize), uint64(entries)))
				o, m := newModel(t, keySize, 11, entries, ZeroSeed&Flags(r.Uint32()))
				value := make([]byte, 11)
				for i := range 6000 {
					binary.LittleEndian.PutUint64(value, r.Uint64())
					if err := o.step(m, byte(r.Uint32()), uint16(r.IntN(int(entries)*3/2+1)), value); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
					if i%1500 == 0 {
						if err := o.walk(m); err != nil {
							t.Fatalf("step %d: %v", i, err)
						}
					}
				}
				if err := o.walk(m); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add(uint8(8), uint8(5), []byte("\x00\x01\x03\x01\x07\x02\x05\x01"))
	f.Add(uint8(3), uint8(200), bytes.Repeat([]byte{0, 1, 8, 2, 3, 3, 7, 4}, 40))
	f.Fuzz(func(t *testing.T, keySize, entries uint8, ops []byte) {
		if keySize < 2 || entries == 0 {
			return
		}
		o, m := newModel(t, uint32(keySize), 8, uint32(entries), ZeroSeed)
		value := make([]byte, 8)
		for i := 0; i+1 < len(ops); i += 2 {
			binary.LittleEndian.PutUint64(value, uint64(i))
			if err := o.step(m, ops[i], uint16(ops[i+1]), value); err != nil {
				t.Fatalf("step %d: %v", i/2, err)
			}
		}
		if err := o.walk(m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	const entries = 10000
	for _, keySize := range []uint32{4, 8, 16} {
		b.Run(fmt.Sprintf("hash%d", keySize), func(b *testing.B) {
			_, m := newModel(b, keySize, 8, entries, 0)
			key, value := make([]byte, keySize), make([]byte, 8)
			for i := range uint32(entries) {
				binary.LittleEndian.PutUint32(key, i)
				if err := m.Update(key, value, Any); err != nil {
					b.Fatal(err)
				}
			}
			i := uint32(0)
			b.Run("program", func(b *testing.B) {
				for b.Loop() {
					i = (i*5 + 1) % entries
					binary.LittleEndian.PutUint32(key, i)
					if m.LookupElem(0, key) == nil {
						b.Fatal(i)
					}
				}
			})
			b.Run("host", func(b *testing.B) {
				for b.Loop() {
					i = (i*5 + 1) % entries
					binary.LittleEndian.PutUint32(key, i)
					if m.Lookup(key, value) != nil {
						b.Fatal(i)
					}
				}
			})
		})
	}
	b.Run("gomap8", func(b *testing.B) {
		m := map[uint64]*uint64{}
		for i := range uint64(entries) {
			m[i] = new(uint64)
		}
		i := uint64(0)
		for b.Loop() {
			i = (i*5 + 1) % entries
			if m[i] == nil {
				b.Fatal(i)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	const entries = 10000
	_, m := newModel(b, 8, 8, entries, 0)
	key, value := make([]byte, 8), make([]byte, 8)
	i := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		i = (i*5 + 1) % entries
		binary.LittleEndian.PutUint32(key, i)
		if err := m.Update(key, value, Any); err != nil {
			b.Fatal(err)
		}
	}
}
