package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skepvm/skep/vm"
)

// TestAgainstKernel runs every packet of the capture in the kernel, too, and
// compares verdicts and packets.
func TestAgainstKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading a program into the kernel needs root")
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		t.Skipf("the kernel does not load programs here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	fw := newFirewall(t)
	prefix := binary.LittleEndian.AppendUint32([]byte{203, 0, 113, 0}, 24)
	if err := coll.Maps["blocked_prefixes"].Put(prefix, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	port := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, 8125), 17)
	if err := coll.Maps["blocked_ports"].Put(port, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for i, data := range packets(t) {
		wantVerdict, wantPacket, err := coll.Programs["firewall"].Test(data)
		if err != nil {
			t.Fatalf("packet %d in the kernel: %v", i, err)
		}
		p := vm.NewPacket(data, 256, 0)
		verdict, err := fw.Filter(p)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if verdict != uint64(wantVerdict) || !bytes.Equal(p.Data(), wantPacket) {
			t.Errorf("packet %d: got %d, %x; the kernel gives %d, %x", i, verdict, p.Data(), wantVerdict, wantPacket)
		}
	}
}
