package maps

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/skepvm/skep/errno"
)

// TestStoreStack: when a trace is kept, and what Go code reads of it. Numbers and
// errors of many more are compared with the kernel's in package vm.
func TestStoreStack(t *testing.T) {
	m, err := New(&Spec{Name: "m", Type: StackTrace, KeySize: 4, ValueSize: 32, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := m.(StackMap)
	values := func(ips []uint64) (b []byte) {
		for _, ip := range ips {
			b = binary.NativeEndian.AppendUint64(b, ip)
		}
		return b
	}
	one, two := []uint64{1, 2, 3}, []uint64{4}
	for _, step := range []struct {
		name        string
		ips         []uint64
		values      []byte
		fast, reuse bool
		want        error
		shows       uint64 // first word of what is there then
	}{
		{"a trace", one, values(one), false, false, nil, 1},
		{"the same", one, values(one), false, false, nil, 1},
		{"another in its place", two, values(two), false, false, errno.EEXIST, 1},
		{"another, compared by hash", two, values(two), true, false, errno.EEXIST, 1},
		{"another, and no memory", two, values(two), false, true, errno.ENOMEM, 1},
		{"one hash and other values", one, values([]uint64{1, 2, 4}), true, false, nil, 1},
		{"too many frames", make([]uint64, 5), make([]byte, 40), false, false, errno.EINVAL, 1},
		{"values of another length", one, values(two), false, false, errno.EINVAL, 1},
	} {
		id, err := s.StoreStack(step.ips, step.values, step.fast, step.reuse)
		if !errors.Is(err, step.want) || id != 0 {
			t.Errorf("%s: %d, %v, want %v", step.name, id, err, step.want)
		}
		v := make([]byte, 32)
		if err := m.Lookup(key32(0), v); err != nil || binary.NativeEndian.Uint64(v) != step.shows {
			t.Errorf("%s: %x, %v", step.name, v, err)
		}
	}
	if err := m.Delete(key32(0)); err != nil {
		t.Error(err)
	}
	if id, err := s.StoreStack(two, values(two), false, false); id != 0 || err != nil {
		t.Errorf("after a delete: %d, %v", id, err)
	}
	full := m.(Sizer).Bytes()
	if err := m.Close(); err != nil || m.(Sizer).Bytes() >= full {
		t.Errorf("after Close: %v, %d bytes", err, m.(Sizer).Bytes())
	}
}
