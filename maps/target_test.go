package maps

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/skepvm/skep/errno"
)

type numbered uint32

func (n numbered) ID() uint32 { return uint32(n) }

func key32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// TestStoreTarget: what a host can put in an entry, and what Lookup shows of it.
func TestStoreTarget(t *testing.T) {
	for _, tc := range []struct {
		typ   Type
		size  uint32
		put   Target
		flags UpdateFlags
		want  error
		value []uint32
	}{
		{DevMap, 8, Target{Index: 7, Program: numbered(42), To: "eth7"}, Any, nil, []uint32{7, 42}},
		{DevMap, 8, Target{Index: 7, Program: "no number"}, Exist, nil, []uint32{7, 0}},
		{DevMap, 4, Target{Index: 7}, Any, nil, []uint32{7}},
		{DevMap, 4, Target{Index: 7, Program: numbered(42)}, Any, errno.EINVAL, nil},
		{DevMap, 4, Target{}, Any, errno.EINVAL, nil},
		{DevMap, 4, Target{Index: 1 << 31}, Any, errno.EINVAL, nil},
		{DevMap, 4, Target{Index: 7}, NoExist, errno.EEXIST, nil},
		{DevMapHash, 8, Target{Index: 9, Program: numbered(1), To: 3}, NoExist, nil, []uint32{9, 1}},
		{DevMapHash, 4, Target{Index: 9}, 4, errno.EINVAL, nil},
		{DevMapHash, 4, Target{}, Any, errno.EINVAL, nil},
		{CPUMap, 8, Target{QueueSize: 64, Program: numbered(5)}, Any, nil, []uint32{64, 5}},
		{CPUMap, 8, Target{QueueSize: 16385}, Any, errno.EOVERFLOW, nil},
		{CPUMap, 8, Target{}, Any, errno.EINVAL, nil},
		{XSKMap, 4, Target{Index: 3, To: "queue"}, NoExist, nil, nil},
		{XSKMap, 4, Target{Index: 3}, Exist, errno.ENOENT, nil},
	} {
		m, err := New(&Spec{Name: "m", Type: tc.typ, KeySize: 4, ValueSize: tc.size, MaxEntries: 2})
		if err != nil {
			t.Fatal(err)
		}
		tm := m.(TargetMap)
		if got := tm.StoreTarget(key32(0), tc.put, tc.flags); !errors.Is(got, tc.want) {
			t.Errorf("%v, %+v, flags %d: %v, want %v", tc.typ, tc.put, tc.flags, got, tc.want)
		}
		got := tm.Target(0)
		if (got != nil) != (tc.want == nil) || got != nil && (got.To != tc.put.To || got.Program != tc.put.Program) {
			t.Errorf("%v, %+v: %+v", tc.typ, tc.put, got)
		}
		if tc.value != nil {
			b := make([]byte, tc.size)
			if err := m.Lookup(key32(0), b); err != nil {
				t.Error(err)
			}
			for i, w := range tc.value {
				if v := binary.NativeEndian.Uint32(b[4*i:]); v != w {
					t.Errorf("%v, %+v: word %d of the value is %d, want %d", tc.typ, tc.put, i, v, w)
				}
			}
		}
		for _, bad := range [][]byte{nil, {1}, make([]byte, 8)} {
			if err := tm.StoreTarget(bad, tc.put, Any); !errors.Is(err, errno.EINVAL) {
				t.Errorf("%v: a key of %d bytes: %v", tc.typ, len(bad), err)
			}
		}
		if err := m.Close(); err != nil || tm.Target(0) != nil || !errors.Is(tm.StoreTarget(key32(0), tc.put, Any), errno.EBADF) {
			t.Errorf("%v: after Close: %v", tc.typ, err)
		}
	}
}

// TestTargetsConcurrently reads while others write: an entry is whole or not there,
// and a key that always exists is always found.
func TestTargetsConcurrently(t *testing.T) {
	for _, typ := range []Type{DevMap, DevMapHash} {
		m, err := New(&Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 16})
		if err != nil {
			t.Fatal(err)
		}
		tm := m.(TargetMap)
		if err := tm.StoreTarget(key32(3), Target{Index: 3, Program: numbered(3)}, Any); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range uint64(2) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(g, 1))
				for range 5000 {
					k := r.Uint32N(16)
					if k == 3 || r.IntN(3) > 0 {
						if err := tm.StoreTarget(key32(k), Target{Index: k + 1, Program: numbered(k + 1)}, Any); err != nil && !errors.Is(err, errno.E2BIG) {
							t.Error(err)
						}
					} else if err := m.Delete(key32(k)); err != nil && !errors.Is(err, errno.ENOENT) {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for i := range uint32(20000) {
				k := i % 16
				v := m.LookupElem(0, key32(k))
				if v == nil {
					if k == 3 {
						t.Error("key 3 is gone")
						return
					}
					continue
				}
				if a, b := words(v); a != b {
					t.Errorf("key %d: %d and %d", k, a, b)
					return
				}
			}
		})
		wg.Wait()
		seen := map[uint32]bool{}
		tm.Targets(func(key uint32, target *Target) bool {
			if seen[key] || target != tm.Target(key) {
				t.Errorf("%v: key %d", typ, key)
			}
			seen[key] = true
			return true
		})
		if !seen[3] {
			t.Errorf("%v: %v", typ, seen)
		}
	}
}
