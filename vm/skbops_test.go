package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/vm"
)

// skbOp returns one random call that changes a packet or what is known of it.
func skbOp(r *rand.Rand) string {
	pick := func(vs ...int64) int64 { return vs[r.IntN(len(vs))] }
	call := func(id int, args ...int64) string {
		s := "r1 = r6\n"
		for i, a := range args {
			s += fmt.Sprintf("r%d = %#x ll\n", i+2, uint64(a))
		}
		return s + fmt.Sprintf("call %d\n", id)
	}
	switch r.IntN(10) {
	case 0, 1:
		return call(18, pick(0x0081, 0xa888, 0, 0x0008, 0x10081), pick(0, 1, 0xfff, 0xffff, 0x12345, -1))
	case 2, 3:
		return call(19)
	case 4, 5:
		flags := pick(0, 0, 0, 1, 2, 4, 6, 2|8, 2|16, 4|8, 2|24, 0x20, 0x42, 0x42|14<<56, 2|14<<56, 2|4<<56, 0x80, 0x100, 0x180, 0x200, 0x40)
		return call(50, pick(0, 4, 8, 20, 28, 40, 50, -4, -8, -20, -40, -60, 100, 0x1000, -0xfff, -0x1000), pick(0, 0, 1, 1, 2), flags)
	case 6:
		return call(31, pick(0x0008, 0xdd86, 0x0608), pick(0, 0, 0, 1))
	case 7:
		return call(97)
	case 8:
		return call(135, pick(0, 1, 2, 3, 4))
	}
	if r.IntN(2) == 0 {
		return call(43, pick(14, 20, 40, 60, 64, 100), pick(0, 0, 0, 1))
	}
	// Not near the headers: when a packet gets a new buffer, the kernel takes the
	// transport header that was not set for one (skb_headers_offset_update).
	return call(38, pick(0, 13, 1500, 2000), pick(0, 0, 0, 1))
}

// skbFrame returns an Ethernet frame with tags and perhaps an IPv4 or IPv6 header:
// all of it, since the kernel may make room behind the end of a part, and what is
// there then is what was in its buffer before.
func skbFrame(r *rand.Rand) []byte {
	f := make([]byte, []int{14, 18, 20, 120, 200, 300}[r.IntN(6)])
	for i := range f {
		f[i] = byte(r.Uint32())
	}
	at := 12
	for range r.IntN(3) {
		if at+4 > len(f) {
			break
		}
		binary.BigEndian.PutUint16(f[at:], []uint16{0x8100, 0x88a8}[r.IntN(2)])
		at += 4
	}
	switch {
	case len(f) > 100:
		binary.BigEndian.PutUint16(f[at:], []uint16{0x0800, 0x0800, 0x86dd, 0x86dd, 0x88b5, 0x0100}[r.IntN(6)])
	case at+2 <= len(f):
		binary.BigEndian.PutUint16(f[at:], []uint16{0x88b5, 0x0100}[r.IntN(2)])
	}
	return f
}

// skbFields are what is compared after each call, by where it is in the context.
var skbFields = []int{0, 16, 20, 24, 28} // len, protocol, vlan_present, vlan_tci, vlan_proto

// TestKernelSkbOps compares sequences of helpers on packets with the kernel's:
// every result, the fields of the context after each, and the packet.
func TestKernelSkbOps(t *testing.T) {
	oracle.Skip(t)
	n := envInt(t, "SKEP_DIFF_PROGS", 150)
	if testing.Short() {
		n = 30
	}
	ran := 0
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 77))
		var ops []string
		text := "r9 = 0\nr6 = r1\n"
		for range 1 + r.IntN(8) {
			ops = append(ops, skbOp(r))
			text += ops[len(ops)-1] + "r9 *= 31\nr9 += r0\n"
			for _, off := range skbFields {
				text += fmt.Sprintf("r1 = *(u32 *)(r6 +%d)\nr9 *= 31\nr9 += r1\n", off)
			}
		}
		text += "r0 = r9\nr9 >>= 32\nr0 ^= r9\nw0 = w0\nexit"
		var frames [][]byte
		for range 4 {
			frames = append(frames, skbFrame(r))
		}
		diff, frame := skbDiff(t, text, frames, &ran)
		if diff == "" {
			continue
		}
		for i := range ops { // which call is it?
			before := "r6 = r1\n" + strings.Join(ops[:i+1], "")
			for j := range len(skbFields) + 1 {
				what, end := "result", "exit"
				if j > 0 {
					what = fmt.Sprintf("field at %d", skbFields[j-1])
					end = fmt.Sprintf("r0 = *(u32 *)(r6 +%d)\nexit", skbFields[j-1])
				}
				if d, _ := skbDiff(t, before+end, [][]byte{frame}, &ran); d != "" {
					t.Fatalf("seed %d, frame %x: %s of call %d: %s\n%s", seed, frame, what, i+1, d, before)
				}
			}
		}
		t.Fatalf("seed %d, frame %x: %s\n%s", seed, frame, diff, text)
	}
	t.Logf("%d frames", ran)
	if ran < 2*n {
		t.Errorf("the kernel ran %d of %d frames", ran, 4*n)
	}
}

// skbDiff runs a program on each frame here and in the kernel, and says what
// differs for which frame; ran counts the frames that the kernel takes.
func skbDiff(t *testing.T, text string, frames [][]byte, ran *int) (diff string, frame []byte) {
	t.Helper()
	k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, text)})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, text, log)
	}
	defer k.Close()
	for _, frame := range frames {
		want, err := k.Run(oracle.RunInput{Data: frame, Room: 40000})
		if errors.Is(err, errno.EINVAL) { // too short for what it says it holds
			continue
		}
		if err != nil {
			t.Fatalf("frame %x: %v", frame, err)
		}
		*ran++
		for _, e := range usable(t) {
			p := load(t, linux.Platform.Type("sched_cls"), text, vm.Options{Engine: e}).Program("p")
			pkt := vm.NewPacket(frame, 512, 512)
			got, err := p.Run(pkt)
			if err != nil || uint32(got) != want.Retval || !bytes.Equal(pkt.Data(), want.Data) {
				return fmt.Sprintf("%s: %#x, %v, %x; the kernel: %#x, %x", e, uint32(got), err, pkt.Data(), want.Retval, want.Data), frame
			}
		}
	}
	return "", nil
}
