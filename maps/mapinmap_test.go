package maps_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// inners are descriptions of inner maps, some alike.
var innerSpecs = []maps.Spec{
	{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4},
	{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5},
	{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5, Flags: maps.InnerMap},
	{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4, Flags: maps.InnerMap},
	{Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4, Flags: maps.ReadOnlyProg},
	{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4},
	{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 9},
	{Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 4},
	{Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 4},
	{Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 6},
	{Type: maps.RingBuf, MaxEntries: 4096},
	{Type: maps.RingBuf, MaxEntries: 8192},
	{Type: maps.Queue, ValueSize: 8, MaxEntries: 4},
	{Type: maps.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4, Flags: maps.NoPrealloc},
}

// TestKernelMapInMap compares random operations of bpf(2) on maps of maps, for
// every template, with maps that fit it and maps that do not.
func TestKernelMapInMap(t *testing.T) {
	oracle.Skip(t)
	var theirs []*oracle.Map
	var ours []maps.Map
	for i := range innerSpecs {
		k, err := oracle.NewMap(&innerSpecs[i], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		m, err := maps.New(&innerSpecs[i])
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours = append(theirs, k), append(ours, m)
	}
	// Storing waits until the kernel's readers are through: many wait together.
	const together = 8
	ops := diffOps(t)
	if testing.Short() {
		ops /= 4
	}
	for _, typ := range []maps.Type{maps.ArrayOfMaps, maps.HashOfMaps} {
		t.Run(typ.String(), func(t *testing.T) {
			var wg sync.WaitGroup
			var total atomic.Int64
			for tmpl := range innerSpecs {
				for n := range together {
					wg.Go(func() {
						each := ops/len(innerSpecs)/together + 1
						if err := diffMapInMap(typ, tmpl, uint64(n), each, ours, theirs); err != nil {
							t.Errorf("%v of %+v: %v", typ, innerSpecs[tmpl], err)
						}
						total.Add(int64(each))
					})
				}
			}
			wg.Wait()
			t.Logf("%d operations", total.Load())
		})
	}
}

// diffMapInMap does ops random operations on a map of type typ for maps like
// innerSpecs[tmpl], here and in the kernel.
func diffMapInMap(typ maps.Type, tmpl int, seed uint64, ops int, ours []maps.Map, theirs []*oracle.Map) error {
	s := maps.Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: &innerSpecs[tmpl]}
	if typ == maps.HashOfMaps {
		s.KeySize = []uint32{4, 8, 5}[tmpl%3]
	}
	k, err := oracle.NewMap(&s, theirs[tmpl])
	if err != nil {
		return err
	}
	defer k.Close()
	m, err := maps.New(&s)
	if err != nil {
		return err
	}
	defer m.Close()
	r := rand.New(rand.NewPCG(uint64(tmpl)+100*seed, uint64(typ)))
	key, a, b := make([]byte, s.KeySize), make([]byte, 4), make([]byte, 4)
	for i := range ops {
		key[0] = byte(r.IntN(5))
		var got, want error
		var op string
		switch r.IntN(6) {
		case 0, 1, 2:
			n := r.IntN(len(innerSpecs))
			if r.IntN(2) == 0 {
				n = tmpl
			}
			flags := []maps.UpdateFlags{0, 0, 0, 1, 2, 3, 4}[r.IntN(7)]
			op = innerSpecs[n].Type.String()
			got = m.(maps.MapHolder).StoreMap(key, ours[n], flags)
			want = k.Update(key, binary.NativeEndian.AppendUint32(nil, uint32(theirs[n].FD())), flags)
		case 3:
			op = "lookup"
			got, want = m.Lookup(key, a), k.Lookup(key, b, 0)
		case 4:
			op = "delete"
			got, want = m.Delete(key), k.Delete(key)
		case 5:
			op = "no map"
			got = m.Update(key, []byte{255, 255, 255, 127}, 0)
			want = k.Update(key, []byte{255, 255, 255, 127}, 0)
		}
		if number(got) != number(want) {
			return fmt.Errorf("step %d: %s at %x: %v, the kernel: %s", i, op, key, got, text(number(want)))
		}
	}
	if n, w := count(m), countKernel(k, int(s.KeySize)); n != w {
		return fmt.Errorf("%d keys, the kernel has %d", n, w)
	}
	return nil
}

func count(m maps.Map) (n int) {
	key := make([]byte, m.Spec().KeySize)
	var at []byte
	for m.NextKey(at, key) == nil {
		at = append(at[:0], key...)
		n++
	}
	return n
}

func countKernel(m *oracle.Map, keySize int) (n int) {
	key := make([]byte, keySize)
	var at []byte
	for m.NextKey(at, key) == nil {
		at = append(at[:0], key...)
		n++
	}
	return n
}

// TestKernelInnerTypes compares which templates are refused.
func TestKernelInnerTypes(t *testing.T) {
	oracle.Skip(t)
	inner := maps.Spec{Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	outer := maps.Spec{Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: &innerSpecs[0]}
	for _, s := range []*maps.Spec{&inner, &outer} {
		var first *oracle.Map
		if s.Inner != nil {
			first, _ = oracle.NewMap(s.Inner, nil)
			defer first.Close()
		}
		k, err := oracle.NewMap(s, first)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		for _, typ := range []maps.Type{maps.ArrayOfMaps, maps.HashOfMaps} {
			o := maps.Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: s}
			_, want := oracle.NewMap(&o, k)
			if _, got := maps.New(&o); number(got) != number(want) {
				t.Errorf("%v of %v: %v, the kernel: %v", typ, s.Type, got, want)
			}
		}
	}
}

// TestInnerOwn: a map that a host wrote, or wraps, is no inner map.
func TestInnerOwn(t *testing.T) {
	outer, err := maps.New(&maps.Spec{Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: &innerSpecs[0]})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := maps.New(&innerSpecs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []maps.Map{struct{ maps.Map }{inner}, &maps.Base{Description: innerSpecs[0]}, nil} {
		if err := outer.(maps.MapHolder).StoreMap(make([]byte, 4), own, 0); number(err) != errno.EINVAL {
			t.Errorf("%T: %v", own, err)
		}
	}
}

// TestInnerLifetime replaces inner maps while others look them up: what a run
// found stays that map, with its values, until the run ends.
func TestInnerLifetime(t *testing.T) {
	for _, typ := range []maps.Type{maps.ArrayOfMaps, maps.HashOfMaps} {
		template := maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
		m, err := maps.New(&maps.Spec{Name: "outer", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &template})
		if err != nil {
			t.Fatal(err)
		}
		holder := m.(maps.MapHolder)
		fresh := func(k uint32, n uint64) maps.Map {
			inner, err := maps.New(&template)
			if err != nil {
				t.Error(err)
			}
			inner.Update(make([]byte, 4), binary.NativeEndian.AppendUint64(nil, uint64(k)<<56|n), 0)
			return inner
		}
		var stop atomic.Bool
		var readers, writers sync.WaitGroup
		for g := range uint32(2) {
			writers.Go(func() {
				for n := range uint64(3000) {
					k := (g*2 + uint32(n)%2) % 4
					key := binary.NativeEndian.AppendUint32(nil, k)
					if err := holder.StoreMap(key, fresh(k, n), 0); err != nil {
						t.Error(err)
						return
					}
					if n%5 == 0 {
						m.Delete(key)
					}
				}
			})
		}
		for range 2 {
			readers.Go(func() {
				for n := uint32(0); !stop.Load(); n++ {
					c := vcpu.Lease()
					key := binary.NativeEndian.AppendUint32(nil, n%4)
					if inner := holder.InnerMap(key); inner != nil {
						v := inner.LookupElem(c.ID(), make([]byte, 4))
						if w := binary.NativeEndian.Uint64(v); uint32(w>>56) != n%4 {
							t.Errorf("key %d leads to a map of key %d", n%4, w>>56)
							stop.Store(true)
						}
					}
					c.Release()
				}
			})
		}
		writers.Wait()
		stop.Store(true)
		readers.Wait()
		m.Close()
		if err := holder.StoreMap(make([]byte, 4), fresh(0, 0), 0); number(err) != errno.EBADF {
			t.Errorf("store in a closed map: %v", err)
		}
	}
}
