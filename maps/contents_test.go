package maps

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

func TestFrozenContents(t *testing.T) {
	m, err := New(&Spec{Name: ".rodata", Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: ReadOnlyProg | ReadOnly,
		Contents: []Entry{{Key: u32(0), Value: u32(7)}}, Frozen: true})
	if err != nil {
		t.Fatal(err)
	}
	v := make([]byte, 4)
	if err := m.Lookup(u32(0), v); err != nil || string(v) != string(u32(7)) {
		t.Errorf("contents: %x, %v", v, err)
	}
	if err := m.Update(u32(0), v, Any); !errors.Is(err, errno.EPERM) {
		t.Errorf("update of a frozen map: %v", err)
	}
	if err := m.UpdateElem(0, u32(0), v, Any); !errors.Is(err, errno.EACCES) {
		t.Errorf("update by a program: %v", err)
	}
	if s := m.(Slabber).Slabs(); len(s) != 1 || !s[0].ReadOnly || s[0].WriteOnly {
		t.Errorf("slabs: %+v", s)
	}
}

// TestContents stores contents of every type that takes them, and refuses bad
// ones by number.
func TestContents(t *testing.T) {
	for _, typ := range []Type{Array, PerCPUArray, Hash, PerCPUHash} {
		s := Spec{Name: "c", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 3,
			Contents: []Entry{{Key: u32(2), Value: u32(5)}, {Key: u32(1), Value: u32(6)}}}
		m, err := New(&s)
		if err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		for cpu := range NumCPU() {
			if p := m.LookupElem(cpu, u32(2)); string(p) != string(u32(5)) {
				t.Errorf("%v: CPU %d has %x", typ, cpu, p)
			}
		}
		s.Contents = append(s.Contents, Entry{Key: []byte{1}, Value: u32(1)})
		if _, err := New(&s); !errors.Is(err, errno.EINVAL) || !strings.Contains(err.Error(), `map "c": contents, entry 2`) {
			t.Errorf("%v: a short key: %v", typ, err)
		}
	}
	if _, err := New(&Spec{Type: RingBuf, MaxEntries: 4096, Contents: []Entry{{Value: u32(1)}}}); !errors.Is(err, errno.ENOTSUPP) {
		t.Errorf("a ring buffer with contents: %v", err)
	}
	if _, err := New(&Spec{Name: "q", Type: CgroupStorage, KeySize: 4, ValueSize: 4, MaxEntries: 1}); !errors.Is(err, errno.EINVAL) || !strings.Contains(err.Error(), "cgroup_storage") {
		t.Errorf("a type that is not there: %v", err)
	}
}

// lockedType is struct { u32 a; struct bpf_spin_lock lock; u64 x, y; }.
func lockedType() *btf.Type {
	u := func(size uint32) *btf.Type { return &btf.Type{Kind: btf.Int, Size: size} }
	lock := &btf.Type{Kind: btf.Struct, Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: u(4)}}}
	return &btf.Type{Kind: btf.Typedef, Elem: &btf.Type{Kind: btf.Struct, Name: "v", Size: 24, Members: []btf.Member{
		{Name: "a", Type: u(4)}, {Name: "lock", Type: lock, Offset: 32}, {Name: "x", Type: u(8), Offset: 64}, {Name: "y", Type: u(8), Offset: 128},
	}}}
}

// TestLock stores values under their lock while a program changes them under
// it, too: whoever holds the lock sees x = y.
func TestLock(t *testing.T) {
	for _, typ := range []Type{Array, Hash} {
		m, err := New(&Spec{Type: typ, KeySize: 4, ValueSize: 24, MaxEntries: 1, Value: lockedType()})
		if err != nil {
			t.Fatal(err)
		}
		value := func(n byte) []byte {
			v := make([]byte, 24)
			for i := range v {
				v[i] = n
			}
			return v
		}
		if err := m.Update(u32(0), value(1), Lock); err != nil { // creates it, in a hash map
			t.Fatal(err)
		}
		v := value(0xff)
		if err := m.Lookup(u32(0), v); err != nil || v[0] != 1 || v[4] != 0 || v[7] != 0 || v[8] != 1 {
			t.Errorf("%v: %x, %v; a lock reads as 0", typ, v, err)
		}
		if err := m.(Freezer).Freeze(); !errors.Is(err, errno.ENOTSUPP) {
			t.Errorf("%v: freeze: %v", typ, err)
		}
		var wg sync.WaitGroup
		wg.Add(2)
		go func() {
			defer wg.Done()
			for i := range 3000 {
				if err := m.Update(u32(0), value(byte(i)), Lock|Exist); err != nil {
					t.Errorf("update: %v", err)
				}
			}
		}()
		var torn atomic.Int64
		go func() {
			defer wg.Done()
			c := vcpu.Lease()
			defer c.Release()
			p := m.LookupElem(c.ID(), u32(0))
			lock := mem.Word32(p, 4)
			got := make([]byte, 16)
			for range 3000 {
				for !lock.CompareAndSwap(0, 1) {
				}
				mem.CopyShared(got, p[8:])
				lock.Store(0)
				if string(got[:8]) != string(got[8:]) {
					torn.Add(1)
				}
			}
		}()
		wg.Wait()
		if torn.Load() > 0 {
			t.Errorf("%v: %d values were torn under the lock", typ, torn.Load())
		}
	}
	m, _ := New(&Spec{Type: Hash, KeySize: 4, ValueSize: 24, MaxEntries: 1})
	if err := m.Update(u32(0), make([]byte, 24), Lock); !errors.Is(err, errno.EINVAL) {
		t.Errorf("Lock without a lock: %v", err)
	}
}
