package maps

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

func u32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestArray(t *testing.T) {
	m, err := New(&Spec{Name: "a", Type: Array, KeySize: 4, ValueSize: 5, MaxEntries: 3,
		Contents: []Entry{{Key: u32(1), Value: []byte("hello")}}})
	if err != nil {
		t.Fatal(err)
	}
	v := make([]byte, 5)
	if err := m.Lookup(u32(1), v); err != nil || string(v) != "hello" {
		t.Errorf("contents: %q, %v", v, err)
	}
	p := m.LookupElem(0, u32(2))
	if len(p) != 5 {
		t.Fatalf("LookupElem: %d bytes", len(p))
	}
	copy(p, "world")
	if err := m.Lookup(u32(2), v); err != nil || string(v) != "world" {
		t.Errorf("after a program's store: %q, %v", v, err)
	}
	if m.LookupElem(0, u32(3)) != nil {
		t.Error("LookupElem past the end is not nil")
	}
	if err := m.Lookup(u32(1), v[:4]); !errors.Is(err, errno.EINVAL) {
		t.Errorf("short value: %v", err)
	}
	m.Close()
	if err := m.Lookup(u32(1), v); !errors.Is(err, errno.EBADF) {
		t.Errorf("after Close: %v", err)
	}
}

// inSlab reports whether p is one object of m's slabs.
func inSlab(m Slabber, p []byte) bool {
	for _, s := range m.Slabs() {
		if off, ok := mem.Index(s.Bytes, p); ok && off%int(s.Stride) == 0 && len(p) == int(s.Size) {
			return true
		}
	}
	return false
}

// TestAllocs checks that the operations of a program, and of Go code on an
// entry, allocate nothing.
func TestAllocs(t *testing.T) {
	for _, typ := range []Type{Array, PerCPUArray, Hash, PerCPUHash} {
		m, err := New(&Spec{Type: typ, KeySize: 4, ValueSize: 24, MaxEntries: 10})
		if err != nil {
			t.Fatal(err)
		}
		none := u32(1000)
		key, value, elem := u32(3), make([]byte, m.Spec().HostValueSize()), make([]byte, 24)
		for range 100 { // entries to use again
			m.Update(key, value, Any)
		}
		if n := testing.AllocsPerRun(200, func() {
			m.Update(key, value, Any)
			m.Lookup(key, value)
			m.LookupElem(0, key)
			m.UpdateElem(0, key, elem, Any)
			m.UpdateElem(0, key, elem, Lock)
			m.DeleteElem(0, key)
			m.NextKey(key, key)
			m.Lookup(none, value)
		}); n > 0 {
			t.Errorf("%v: %v allocations", typ, n)
		}
	}
}
