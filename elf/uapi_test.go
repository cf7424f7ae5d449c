package elf_test

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestUAPIWithoutBTF: a program that knows parts of the kernel's types, at other
// offsets and with other values, runs without target BTF if no kernel lays them out
// in another way; one that uses other types is refused by the type's name.
func TestUAPIWithoutBTF(t *testing.T) {
	const file = dir + "/uapi.o"
	obj, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	cs, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		t.Fatal(err)
	}
	fromSpec, err := elf.FromSpec(cs, elf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	udp := make([]byte, 64)
	copy(udp[12:], []byte{8, 0, 0x45})
	udp[14+9] = 17
	for name, o := range map[string]*prog.Object{"ours": obj, "cilium's": fromSpec} {
		coll, err := vm.Load(o, vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		const drop = 1 // XDP_DROP is 77 in the object
		for _, tc := range []struct {
			packet []byte
			want   uint64
		}{{udp, 1000 + 17 + 100}, {udp[:33], drop}} {
			if got, err := coll.Program("parts").Run(tc.packet); err != nil || got != tc.want {
				t.Errorf("%s, %d bytes: %d, %v; want %d", name, len(tc.packet), got, err, tc.want)
			}
		}
		if err := coll.Program("task").Err(); err == nil || !strings.Contains(err.Error(), "task_struct") || !strings.Contains(err.Error(), "needs target BTF") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
