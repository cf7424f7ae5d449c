package vm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// The programs below keep a dynptr at fp-16.

const (
	// fromMem makes a dynptr of the first %d bytes of results' last 128.
	fromMem = "r1 = r9\nr1 += 128\nr2 = %d\nr3 = %d\nr4 = r10\nr4 += -16\ncall 197\n"
	fromXDP = "r1 = r8\nr2 = %d\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_xdp\n"
	fromSkb = "r1 = r8\nr2 = %d\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\n"
)

// keep leaves R0 in results at off.
func keep(off int) string { return fmt.Sprintf("*(u64 *)(r9 +%d) = r0\n", off) }

// readDynptr copies n bytes at off to results at to.
func readDynptr(to, n, off, flags int) string {
	return fmt.Sprintf("r1 = r9\nr1 += %d\nr2 = %d\nr3 = r10\nr3 += -16\nr4 = %d\nr5 = %d\ncall 201\n", to, n, off, flags)
}

// writeDynptr stores n bytes of results at from at off.
func writeDynptr(off, from, n, flags int) string {
	return fmt.Sprintf("r1 = r10\nr1 += -16\nr2 = %d\nr3 = r9\nr3 += %d\nr4 = %d\nr5 = %d\ncall 202\n", off, from, n, flags)
}

// ask calls the kfunc name with the dynptr and two more arguments.
func ask(name string, a, b int) string {
	return fmt.Sprintf("r1 = r10\nr1 += -16\nr2 = %d\nr3 = %d\ncall %s\n", a, b, name)
}

// sliceDynptr asks for n bytes at off, by name, and, if they are there, leaves
// the first 8 and 1 in results at to, and with write changes them.
func sliceDynptr(name string, off, n, to int, write bool, label string) string {
	s := fmt.Sprintf("r1 = r10\nr1 += -16\nr2 = %d\nr3 = 0\nr4 = %d\n", off, n)
	if name == "203" {
		s = fmt.Sprintf("r1 = r10\nr1 += -16\nr2 = %d\nr3 = %d\n", off, n)
	}
	s += "call " + name + "\nif r0 == 0 goto " + label + "\nr1 = *(u64 *)(r0 +0)\n" + fmt.Sprintf("*(u64 *)(r9 +%d) = r1\nr1 = 1\n*(u64 *)(r9 +%d) = r1\n", to, to+8)
	if write {
		s += fmt.Sprintf("r1 = *(u8 *)(r0 +%d)\nr1 += 3\n*(u8 *)(r0 +%d) = r1\n", n-1, n-1)
	}
	return s + label + ":\n"
}

// low is what the kernel promises of a bool.
const low = "r0 &= 255\n"

// describe asks for size, and whether there is none, or no writing.
func describe(to int) string {
	return ask("bpf_dynptr_size", 0, 0) + keep(to) + ask("bpf_dynptr_is_null", 0, 0) + low + keep(to+8) + ask("bpf_dynptr_is_rdonly", 0, 0) + low + keep(to+16)
}

const seedResults = `
	r1 = 0x0807060504030201 ll
	*(u64 *)(r9 +128) = r1
	r1 = 0x1817161514131211 ll
	*(u64 *)(r9 +136) = r1
	r1 = 0x2827262524232221 ll
	*(u64 *)(r9 +144) = r1
`

// TestDynptrLocal compares dynptrs of a map's value with the kernel's.
func TestDynptrLocal(t *testing.T) {
	var cs []construct
	for _, size := range []int{0, 1, 24, 128} {
		for _, flags := range []int{0, 1} {
			for _, off := range []int{0, 5, 16, 24, 200, -1} {
				cs = append(cs, construct{name: fmt.Sprintf("%d bytes, flags %d, at %d", size, flags, off), text: seedResults +
					fmt.Sprintf(fromMem, size, flags) + keep(0) + describe(8) +
					readDynptr(64, 8, off, 0) + keep(32) + readDynptr(72, 8, off, 1) + keep(40) +
					writeDynptr(off, 64, 8, 0) + keep(48) + writeDynptr(off, 64, 8, 1) + keep(56) +
					sliceDynptr("203", off, 8, 80, true, "a") + sliceDynptr("bpf_dynptr_slice", off, 8, 96, false, "b") +
					sliceDynptr("bpf_dynptr_slice_rdwr", off, 9, 112, true, "c") + exit0})
			}
		}
	}
	for _, a := range [][2]int{{0, 0}, {0, 24}, {4, 20}, {4, 4}, {5, 4}, {0, 25}, {25, 25}, {-1, -1}, {24, 24}} {
		cs = append(cs, construct{name: fmt.Sprintf("adjusted to %v", a), text: seedResults + fmt.Sprintf(fromMem, 24, 0) +
			ask("bpf_dynptr_adjust", a[0], a[1]) + keep(0) + describe(8) + readDynptr(64, 8, 2, 0) + keep(32) +
			ask("bpf_dynptr_adjust", 1, 9) + keep(40) + readDynptr(72, 8, 0, 0) + keep(48) + sliceDynptr("203", 0, 8, 80, true, "a") + exit0})
	}
	const clone = "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -32\ncall bpf_dynptr_clone\n"
	cs = append(cs,
		construct{name: "cloned", text: seedResults + fmt.Sprintf(fromMem, 24, 0) + clone + keep(0) + ask("bpf_dynptr_adjust", 8, 24) +
			"r1 = r10\nr1 += -32\ncall bpf_dynptr_size\n" + keep(8) +
			"r1 = r9\nr1 += 64\nr2 = 8\nr3 = r10\nr3 += -32\nr4 = 0\nr5 = 0\ncall 201\n" + keep(16) + readDynptr(72, 8, 0, 0) + exit0},
		construct{name: "clone of nothing", text: seedResults + fmt.Sprintf(fromMem, 24, 1) + clone + keep(0) +
			"r1 = r10\nr1 += -32\ncall bpf_dynptr_is_null\n" + low + keep(8) + exit0},
		construct{name: "made anew", text: seedResults + fmt.Sprintf(fromMem, 24, 0) + fmt.Sprintf(fromMem, 8, 0) + describe(8) + exit0},
	)
	checkConstructs(t, cs)
}

// TestDynptrPacket compares dynptrs of packets with the kernel's.
func TestDynptrPacket(t *testing.T) {
	packet := make([]byte, 64)
	for i := range packet {
		packet[i] = byte(i * 7)
	}
	var cs []construct
	for typ, from := range map[string]string{"xdp": fromXDP, "sched_cls": fromSkb} {
		begin := "r8 = r1\n" + fmt.Sprintf(from, 0) + keep(0)
		for _, off := range []int{0, 13, 56, 57, 64, 65, 70000, -1} {
			cs = append(cs, construct{name: fmt.Sprintf("%s at %d", typ, off), typ: typ, packet: packet, text: "r9 = map[0][0]+0\n" + begin + describe(8) +
				readDynptr(64, 8, off, 0) + keep(32) + readDynptr(72, 8, off, 1) + keep(40) +
				writeDynptr(off, 64, 8, 0) + keep(48) + writeDynptr(off, 64, 8, 2) + keep(56) + writeDynptr(off, 64, 8, 8) + keep(128) +
				sliceDynptr("203", off, 8, 80, true, "a") + sliceDynptr("bpf_dynptr_slice", off, 8, 96, false, "b") +
				sliceDynptr("bpf_dynptr_slice_rdwr", off, 9, 112, true, "c") + exit0})
		}
		cs = append(cs,
			construct{name: typ + " with flags", typ: typ, packet: packet, text: "r8 = r1\n" + fmt.Sprintf(from, 1) + keep(0) + describe(8) + readDynptr(64, 8, 0, 0) + keep(32) + exit0},
			construct{name: typ + " adjusted", typ: typ, packet: packet, text: begin + ask("bpf_dynptr_adjust", 14, 34) + keep(8) + describe(16) +
				readDynptr(64, 8, 6, 0) + keep(40) + writeDynptr(12, 64, 8, 0) + keep(48) + writeDynptr(13, 64, 8, 0) + keep(56) +
				sliceDynptr("bpf_dynptr_slice_rdwr", 0, 20, 80, true, "a") + exit0},
		)
	}
	cs = append(cs, construct{name: "xdp shrunk meanwhile", packet: packet, text: "r8 = r1\n" + fmt.Sprintf(fromXDP, 0) +
		"r1 = r8\nr2 = -40\ncall 65\n" + keep(0) + describe(8) + readDynptr(64, 8, 10, 0) + keep(32) + readDynptr(72, 8, 30, 0) + keep(40) +
		writeDynptr(30, 64, 8, 0) + keep(48) + sliceDynptr("bpf_dynptr_slice", 20, 8, 80, false, "a") + exit0})
	checkConstructs(t, cs)
}

// TestDynptrRingBuf compares records made through dynptrs with the kernel's.
func TestDynptrRingBuf(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	const reserve = "r1 = map[1]\nr2 = %d\nr3 = %d\nr4 = r10\nr4 += -16\ncall 198\n"
	const query = "r1 = map[1]\nr2 = 0\ncall 134\n"
	commit := func(id int, at int) string { return fmt.Sprintf("r1 = r10\nr1 += %d\nr2 = 1\ncall %d\n", at, id) }
	var cs []construct
	for _, size := range []int{0, 8, 100, 4080, 4088, 4096, 1 << 24, -1} {
		for _, flags := range []int{0, 1} {
			for _, id := range []int{199, 200} {
				cs = append(cs, construct{name: fmt.Sprintf("%d bytes, flags %d, %d", size, flags, id), maps: []*maps.Spec{ring}, text: seedResults +
					fmt.Sprintf(reserve, size, flags) + keep(0) + describe(8) + writeDynptr(0, 128, 8, 0) + keep(32) +
					readDynptr(64, 8, 0, 0) + keep(40) + sliceDynptr("203", 0, 8, 80, true, "a") + sliceDynptr("bpf_dynptr_slice", 0, 8, 96, false, "b") +
					commit(id, -16) + query + keep(48) + exit0})
			}
		}
	}
	const clone = "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -32\ncall bpf_dynptr_clone\n"
	cs = append(cs, construct{name: "clone submitted", maps: []*maps.Spec{ring}, text: seedResults + fmt.Sprintf(reserve, 16, 0) + clone + keep(0) +
		writeDynptr(0, 128, 16, 0) + "r1 = r9\nr1 += 64\nr2 = 16\nr3 = r10\nr3 += -32\nr4 = 0\nr5 = 0\ncall 201\n" + keep(8) + commit(199, -32) + query + keep(16) + exit0})
	checkConstructs(t, cs)
}

// TestDynptrRecords reads what programs have submitted, and cuts runs short
// that hold a reservation.
func TestDynptrRecords(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	c := construct{maps: []*maps.Spec{ring}, text: seedResults + "r1 = map[1]\nr2 = 16\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n" +
		writeDynptr(4, 128, 8, 0) + "call 7\ncall 7\nr1 = r10\nr1 += -16\nr2 = 0\ncall 199\n" + exit0}
	for _, e := range usable(t) {
		coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		p := coll.Program("p")
		rd, err := maps.NewRingBufReader(coll.Map("ring"))
		if err != nil {
			t.Fatal(err)
		}
		for range 300 { // more than the ring holds
			if _, err := p.Run(nil); err != nil {
				t.Fatal(err)
			}
			rec, err := rd.Read(context.Background())
			if err != nil || !bytes.Equal(rec.Data[4:12], []byte{1, 2, 3, 4, 5, 6, 7, 8}) || len(rec.Data) != 16 {
				t.Fatalf("%s: record %x, %v", e, rec.Data, err)
			}
		}
		if e != vm.Checked {
			continue // which counts each instruction
		}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		whole, _ := p.Do(context.Background(), nil, vm.RunOptions{})
		for n := int64(1); n < int64(whole.Insns); n++ {
			if _, err := p.Do(context.Background(), nil, vm.RunOptions{MaxInsns: n}); !errors.Is(err, vm.ErrMaxInsns) {
				t.Fatal(err)
			}
		}
		for {
			if _, err := rd.Read(done); err != nil {
				break
			}
		}
		if n := coll.Map("ring").(maps.RingBuffer).Query(maps.RingBufAvailData); n != 0 {
			t.Errorf("%d bytes are left of runs that were cut short", n)
		}
	}
}
