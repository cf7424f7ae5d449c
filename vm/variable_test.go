package vm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestVariable reads and writes what the C of maps/testdata/types.c calls total,
// last and limit: a run adds limit to total, and 1 to last.
func TestVariable(t *testing.T) {
	obj, err := elf.Open("../maps/testdata/types.o")
	if err != nil {
		t.Fatal(err)
	}
	c, err := vm.Load(obj, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	total, err := vm.Variable[uint64](c, "total")
	if err != nil {
		t.Fatal(err)
	}
	last, err := vm.Variable[int32](c, "last")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := vm.Variable[uint32](c, "limit")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := last.Get(); n != -1 || err != nil {
		t.Errorf("last begins as %d, %v", n, err)
	}
	for range 3 {
		if _, err := c.Program("keep").Run([]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := total.Get(); n != 21 || err != nil {
		t.Errorf("total is %d, %v", n, err)
	}
	if n, err := last.Get(); n != 2 || err != nil {
		t.Errorf("last is %d, %v", n, err)
	}
	if err := total.Set(100); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Program("keep").Run([]byte{}); err != nil {
		t.Fatal(err)
	}
	if n, err := total.Get(); n != 107 || err != nil {
		t.Errorf("total is %d after it was set to 100, %v", n, err)
	}
	if n, err := limit.Get(); n != 7 || err != nil {
		t.Errorf("limit is %d, %v", n, err)
	}
	if err := limit.Set(8); !errors.Is(err, errno.EPERM) {
		t.Errorf("a const was set: %v", err)
	}
	if _, err := vm.Variable[uint32](c, "total"); !errors.Is(err, errno.EINVAL) || !strings.Contains(err.Error(), "variable total: ") || !strings.Contains(err.Error(), "uint32 has 4 bytes, in C __u64 has 8") {
		t.Errorf("a wrong type: %v", err)
	}
	if _, err := vm.Variable[uint32](c, "totals"); !errors.Is(err, errno.ENOENT) || !strings.Contains(err.Error(), "last, limit, total") {
		t.Errorf("no such variable: %v", err)
	}
	c.Close()
	if _, err := total.Get(); !errors.Is(err, errno.EBADF) {
		t.Errorf("a variable of a closed collection: %v", err)
	}
	if err := total.Set(1); !errors.Is(err, errno.EBADF) {
		t.Errorf("a variable of a closed collection: %v", err)
	}
}

// TestVariableHost: a host's own map stands for a section.
func TestVariableHost(t *testing.T) {
	m, err := maps.New(&maps.Spec{Type: maps.Hash, KeySize: 4, ValueSize: 12, MaxEntries: 1,
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: []byte("abcdefghijkl")}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := maps.NewVariable[[3]byte](m, 4, nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := v.Get(); string(b[:]) != "efg" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := v.Set([3]byte{'E', 'F', 'G'}); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 12)
	if err := m.Lookup(make([]byte, 4), value); string(value) != "abcdEFGhijkl" || err != nil {
		t.Errorf("%q, %v", value, err)
	}
	if _, err := maps.NewVariable[[3]byte](m, 10, nil, 3); !errors.Is(err, errno.EINVAL) {
		t.Errorf("beyond the value: %v", err)
	}
}
