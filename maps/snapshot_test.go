package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
)

// dump returns what m holds, as text.
func dump(t testing.TB, m Map) string {
	t.Helper()
	var b strings.Builder
	if err := WriteJSON(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// store stores a value made of n under a key made of n.
func store(t testing.TB, m Map, n uint32) {
	t.Helper()
	s := m.Spec()
	key, value := make([]byte, s.KeySize), make([]byte, s.HostValueSize())
	for i := range value {
		value[i] = byte(n) + byte(i)
	}
	if s.KeySize > 0 {
		binary.NativeEndian.PutUint32(key, n)
	}
	if s.Type == LPMTrie {
		copy(key, []byte{32, 0, 0, 0, 10, 0, byte(n >> 8), byte(n)})
	}
	if err := m.Update(key, value, Any); err != nil {
		t.Fatalf("%v: update %x: %v", s.Type, key, err)
	}
}

// TestSnapshot changes maps and finds them as they were after Restore, and a
// new map that Spec describes the same.
func TestSnapshot(t *testing.T) {
	for _, s := range []Spec{
		{Type: Array, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: Array, KeySize: 4, ValueSize: 12, MaxEntries: 8, Value: lockedType()},
		{Type: PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: Hash, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: PerCPUHash, KeySize: 5, ValueSize: 3, MaxEntries: 8},
		{Type: LRUHash, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: LRUPerCPUHash, KeySize: 4, ValueSize: 12, MaxEntries: 8},
		{Type: LPMTrie, KeySize: 8, ValueSize: 4, MaxEntries: 8, Flags: NoPrealloc},
		{Type: Queue, ValueSize: 4, MaxEntries: 8},
		{Type: Stack, ValueSize: 4, MaxEntries: 8},
	} {
		t.Run(fmt.Sprintf("%v %v", s.Type, s.Value != nil), func(t *testing.T) {
			m, err := New(&s)
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint32(6) {
				store(t, m, n)
			}
			m.Delete(make([]byte, s.KeySize))
			want := dump(t, m)
			snap, err := TakeSnapshot(m)
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint32(2) {
				store(t, m, 5+n)
				if s.KeySize > 0 {
					store(t, m, 1+n)
				}
			}
			if dump(t, m) == want {
				t.Fatal("the map did not change")
			}
			for range 2 {
				if err := snap.Restore(m); err != nil {
					t.Fatal(err)
				}
				if got := dump(t, m); !sameEntries(got, want) {
					t.Fatalf("restored\n%swant\n%s", got, want)
				}
			}
			spec, err := snap.Spec()
			if err != nil {
				t.Fatal(err)
			}
			again, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			if got := dump(t, again); !sameEntries(got, want) {
				t.Errorf("made again\n%swant\n%s", got, want)
			}
			small := s
			small.MaxEntries--
			if other, err := New(&small); err != nil || !errors.Is(snap.Restore(other), errno.EINVAL) {
				t.Errorf("restored to a smaller map, %v", err)
			}
			m.Close()
			if err := snap.Restore(m); !errors.Is(err, errno.EBADF) {
				t.Errorf("restore of a closed map: %v", err)
			}
			if _, err := TakeSnapshot(m); !errors.Is(err, errno.EBADF) {
				t.Errorf("snapshot of a closed map: %v", err)
			}
		})
	}
}

// sameEntries compares two dumps, whose entries may be in another order.
func sameEntries(a, b string) bool {
	count := map[string]int{}
	for _, e := range strings.Split(strings.Trim(a, "[]\n"), "},{") {
		count[strings.Trim(e, "{}")]++
	}
	for _, e := range strings.Split(strings.Trim(b, "[]\n"), "},{") {
		count[strings.Trim(e, "{}")]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// TestSnapshotBloom: a filter forgets what came after.
func TestSnapshotBloom(t *testing.T) {
	m, err := New(&Spec{Type: BloomFilter, ValueSize: 4, MaxEntries: 1000})
	if err != nil {
		t.Fatal(err)
	}
	store(t, m, 1)
	snap, err := TakeSnapshot(m)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(50) {
		store(t, m, 10+4*n)
	}
	if err := snap.Restore(m); err != nil {
		t.Fatal(err)
	}
	found := 0
	for n := range uint32(60) {
		if m.Lookup(nil, []byte{byte(4*n + 10), byte(4*n + 11), byte(4*n + 12), byte(4*n + 13)}) == nil {
			found++
		}
	}
	if err := m.Lookup(nil, []byte{1, 2, 3, 4}); err != nil || found > 5 {
		t.Errorf("%v, and %d of 60 values that are not there", err, found)
	}
	if other, err := New(m.Spec()); err != nil || !errors.Is(snap.Restore(other), errno.EINVAL) {
		t.Errorf("restored to a filter with another seed, %v", err)
	}
	if _, err := snap.Spec(); !errors.Is(err, errno.ENOTSUPP) {
		t.Errorf("a bloom filter as values: %v", err)
	}
}

// TestSnapshotHeld: references come back, too.
func TestSnapshotHeld(t *testing.T) {
	inner := Spec{Name: "inner", Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	newInner := func() Map {
		m, err := New(&inner)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, typ := range []Type{ArrayOfMaps, HashOfMaps} {
		m, err := New(&Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &inner})
		if err != nil {
			t.Fatal(err)
		}
		h := m.(MapHolder)
		first := newInner()
		if err := h.StoreMap(u32(1), first, Any); err != nil {
			t.Fatal(err)
		}
		snap, err := TakeSnapshot(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []uint32{1, 2} {
			if err := h.StoreMap(u32(k), newInner(), Any); err != nil {
				t.Fatal(err)
			}
		}
		if err := snap.Restore(m); err != nil {
			t.Fatal(err)
		}
		if h.InnerMap(u32(1)) != first || h.InnerMap(u32(2)) != nil {
			t.Errorf("%v: %v and %v are back", typ, h.InnerMap(u32(1)), h.InnerMap(u32(2)))
		}
		m.Close()
	}
	m, err := New(&Spec{Type: ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4})
	if err != nil {
		t.Fatal(err)
	}
	p := m.(ProgramArray)
	p.Store(0, "zero")
	snap, err := TakeSnapshot(m)
	if err != nil {
		t.Fatal(err)
	}
	p.Store(0, "another")
	p.Store(1, "one")
	if err := snap.Restore(m); err != nil || p.Load(0) != "zero" || p.Load(1) != nil {
		t.Errorf("prog_array: %v, %v, %v", err, p.Load(0), p.Load(1))
	}
}

// TestSnapshotFrozen: programs were proven with what a frozen map holds.
func TestSnapshotFrozen(t *testing.T) {
	frozen := func(b byte) Map {
		m, err := New(&Spec{Type: Array, KeySize: 4, ValueSize: 1, MaxEntries: 1, Flags: ReadOnlyProg, Frozen: true,
			Contents: []Entry{{Key: u32(0), Value: []byte{b}}}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := frozen(1)
	snap, err := TakeSnapshot(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Restore(m); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
	if err := snap.Restore(frozen(2)); !errors.Is(err, errno.EPERM) {
		t.Errorf("restored to a frozen map that holds something else: %v", err)
	}
}

// TestSnapshotNone: what holds nothing to come back to says so, and which type it is.
func TestSnapshotNone(t *testing.T) {
	for _, s := range []Spec{
		{Type: RingBuf, MaxEntries: 4096},
		{Type: UserRingBuf, MaxEntries: 4096},
		{Type: PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Type: SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: SockHash, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: ReuseportSockArray, KeySize: 4, ValueSize: 8, MaxEntries: 2},
		{Type: CgroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Type: StackTrace, KeySize: 4, ValueSize: 64, MaxEntries: 2},
	} {
		m, err := New(&s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := TakeSnapshot(m); !errors.Is(err, errno.ENOTSUPP) || !strings.Contains(err.Error(), s.Type.String()) {
			t.Errorf("%v: %v", s.Type, err)
		}
		m.Close()
	}
}

// TestSnapshotTargets: maps of devices, CPUs and sockets come back with the same
// targets.
func TestSnapshotTargets(t *testing.T) {
	for _, typ := range []Type{DevMap, DevMapHash, CPUMap, XSKMap} {
		m, err := New(&Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4})
		if err != nil {
			t.Fatal(err)
		}
		targets := m.(TargetMap)
		held := func() (all string) {
			targets.Targets(func(key uint32, x *Target) bool { all += fmt.Sprint(key, x.Index, x.QueueSize, x.To, " "); return true })
			return all
		}
		store := func(key uint32, to string) {
			if err := targets.StoreTarget(u32(key), Target{Index: key + 1, QueueSize: 10 * (key + 1), To: to}, Any); err != nil {
				t.Fatalf("%v: %v", typ, err)
			}
		}
		store(0, "a")
		store(1, "b")
		before := held()
		snap, err := TakeSnapshot(m)
		if err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		store(1, "c")
		if typ != CPUMap { // this machine may have two
			store(2, "d")
		}
		if err := m.Delete(u32(0)); err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		if held() == before {
			t.Fatalf("%v holds %s after all", typ, before)
		}
		if err := snap.Restore(m); err != nil {
			t.Errorf("%v: %v", typ, err)
		}
		if got := held(); got != before || before == "" {
			t.Errorf("%v: restored %s, want %s", typ, got, before)
		}
		if _, err := snap.Spec(); !errors.Is(err, errno.ENOTSUPP) {
			t.Errorf("%v: as a description: %v", typ, err)
		}
		m.Close()
	}
}

// TestSnapshotHost: a map of a host's own is walked.
func TestSnapshotHost(t *testing.T) {
	h := &hostMap{Base: Base{Description: Spec{Name: "host", Type: Hash, KeySize: 4, ValueSize: 4, MaxEntries: 8}}, entries: map[string]string{}}
	store(t, h, 1)
	store(t, h, 2)
	want := dump(t, h)
	snap, err := TakeSnapshot(h)
	if err != nil {
		t.Fatal(err)
	}
	store(t, h, 3)
	h.Delete(u32(1))
	if err := snap.Restore(h); err != nil || dump(t, h) != want {
		t.Errorf("%v, %s, want %s", err, dump(t, h), want)
	}
}

// hostMap is a map of numbers.
type hostMap struct {
	Base
	entries map[string]string
}

func (m *hostMap) Lookup(key, value []byte) error {
	v, ok := m.entries[string(key)]
	if !ok {
		return errno.ENOENT
	}
	copy(value, v)
	return nil
}

func (m *hostMap) Update(key, value []byte, _ UpdateFlags) error {
	m.entries[string(key)] = string(value)
	return nil
}

func (m *hostMap) Delete(key []byte) error {
	if _, ok := m.entries[string(key)]; !ok {
		return errno.ENOENT
	}
	delete(m.entries, string(key))
	return nil
}

func (m *hostMap) NextKey(key, next []byte) error {
	best := ""
	for k := range m.entries {
		if (key == nil || k > string(key)) && (best == "" || k < best) {
			best = k
		}
	}
	if best == "" {
		return errno.ENOENT
	}
	copy(next, best)
	return nil
}

// TestSnapshotConsistent takes snapshots while a writer sets one key after the
// other to the same number: at every moment the first is ahead by one at most.
func TestSnapshotConsistent(t *testing.T) {
	for _, s := range []Spec{
		{Type: Hash, KeySize: 8, ValueSize: 8, MaxEntries: 20000},
		{Type: LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 20000},
		{Type: LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 20000, Flags: NoPrealloc},
	} {
		t.Run(s.Type.String(), func(t *testing.T) {
			m, err := New(&s)
			if err != nil {
				t.Fatal(err)
			}
			const keys = 1000
			key := func(i int) []byte {
				k := []byte{32, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)}
				if s.Type != LPMTrie {
					copy(k, []byte{byte(i), byte(i >> 8), 0, 0})
				}
				return k
			}
			for i := range keys {
				if err := m.Update(key(i), u64(0), Any); err != nil {
					t.Fatal(err)
				}
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := uint64(1); ; n++ {
					for i := range keys {
						select {
						case <-stop:
							return
						default:
						}
						if err := m.Update(key(i), u64(n), Any); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
			for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
				snap, err := TakeSnapshot(m)
				if err != nil {
					t.Error(err)
					break
				}
				values := map[string]uint64{}
				for k, v := range snap.Entries() {
					values[string(k)] = binary.NativeEndian.Uint64(v)
				}
				last := values[string(key(0))]
				for i := range keys {
					v := values[string(key(i))]
					if v > last || v+1 < values[string(key(0))] {
						t.Errorf("key %d is %d after one of %d, the first is %d", i, v, last, values[string(key(0))])
						break
					}
					last = v
				}
			}
			close(stop)
			wg.Wait()
		})
	}
}

// TestWalkAborts: a walk of a map that never says it is through ends.
func TestWalkAborts(t *testing.T) {
	h := &endless{Base{Description: Spec{Type: Hash, KeySize: 4, ValueSize: 4, MaxEntries: 8}}}
	if err := Walk(h, func(_, _ []byte) bool { return true }); !errors.Is(err, ErrIterationAborted) {
		t.Error(err)
	}
}

type endless struct{ Base }

func (*endless) NextKey(_, next []byte) error { copy(next, bytes.Repeat([]byte{1}, 4)); return nil }
func (*endless) Lookup(_, _ []byte) error     { return nil }
