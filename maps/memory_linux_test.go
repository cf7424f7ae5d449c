package maps_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// TestKernelMemory compares the memory of arrays with what mmap gives for the
// kernel's: who may have it, and what is where.
func TestKernelMemory(t *testing.T) {
	oracle.Skip(t)
	flags := []maps.Flags{0, maps.MMapable}
	for _, f := range []maps.Flags{maps.ReadOnly, maps.WriteOnly, maps.ReadOnlyProg, maps.WriteOnlyProg} {
		flags = append(flags, maps.MMapable|f)
	}
	for _, typ := range []maps.Type{maps.Array, maps.Hash} {
		for _, f := range flags {
			for _, frozen := range []bool{false, true} {
				for _, write := range []bool{false, true} {
					s := maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: 12, MaxEntries: 5, Flags: f}
					if typ == maps.Hash {
						s.Flags &^= maps.MMapable
					}
					t.Run(fmt.Sprintf("%v, %v, frozen %v, write %v", typ, s.Flags, frozen, write), func(t *testing.T) { memoryAsKernel(t, s, frozen, write) })
				}
			}
		}
	}
}

func memoryAsKernel(t *testing.T, s maps.Spec, frozen, write bool) {
	p := newPair(t, s, 1)
	value := []byte("twelve bytes")
	key := binary.NativeEndian.AppendUint32(nil, 3)
	p.ours.Update(key, value, maps.Any)
	p.theirs.Update(key, value, maps.Any)
	if frozen {
		if g, w := number(p.ours.(maps.Freezer).Freeze()), number(p.theirs.Freeze()); g != w {
			t.Fatalf("freeze: %s, the kernel: %s", text(g), text(w))
		}
	}
	prot := syscall.PROT_READ
	if write {
		prot |= syscall.PROT_WRITE
	}
	theirs, want := syscall.Mmap(p.theirs.FD(), 0, 4096, prot, syscall.MAP_SHARED)
	ours, got := maps.OpenMemory(p.ours, write)
	var w errno.Errno
	if want != nil {
		w = errno.Errno(want.(syscall.Errno))
	}
	if s.Flags&maps.ReadOnly != 0 && !write && s.Type == maps.Array && s.Flags&maps.MMapable != 0 {
		if w != errno.EINVAL || got != nil { // Linux makes a private mapping of it, which maps refuse
			t.Errorf("read-only: %v, the kernel: %s", got, text(w))
		}
		return
	}
	if g := number(got); g != w {
		t.Fatalf("%s, the kernel: %s", text(g), text(w))
	}
	if got != nil {
		return
	}
	if b := ours.Bytes(); !bytes.Equal(b, theirs[:len(b)]) || bytes.Contains(theirs[len(b):], []byte("t")) {
		t.Errorf("%q, the kernel: %q", b, theirs[:2*len(b)])
	}
	if write {
		copy(ours.Bytes()[16:], "by memory...")
		copy(theirs[16:], "by memory...")
		key := binary.NativeEndian.AppendUint32(nil, 1)
		a, b := make([]byte, 12), make([]byte, 12)
		e1, e2 := p.ours.Lookup(key, a), p.theirs.Lookup(key, b, 0)
		if number(e1) != number(e2) || !bytes.Equal(a, b) || e1 == nil && string(a) != "by memory..." {
			t.Errorf("after a store to the memory: %q, %v; the kernel: %q, %v", a, e1, b, e2)
		}
	}
	freeze := func(when string) {
		t.Helper()
		if g, w := number(p.ours.(maps.Freezer).Freeze()), number(p.theirs.Freeze()); g != w {
			t.Errorf("freeze %s: %s, the kernel: %s", when, text(g), text(w))
		}
	}
	freeze("while it is mapped")
	if err := syscall.Munmap(theirs); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	ours.Close()
	freeze("after that")
	freeze("again")
}
