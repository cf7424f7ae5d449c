package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/vm"
)

// lwtIn is BPF_PROG_TYPE_LWT_IN. (On lwt_xmit the kernel asks the packet's route
// for room, and packets of its test runs have none.)
const lwtIn = 10

// TestKernelLwtPushEncap compares packets that got outer headers with the kernel's:
// every version and length of the header, checksums given and not, twice in a row.
func TestKernelLwtPushEncap(t *testing.T) {
	oracle.Skip(t)
	const ethernet = 14
	n := 400
	if testing.Short() {
		n = 100
	}
	ran, pushed := 0, 0
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 73))
		text := "r9 = 0\nr6 = r1\n"
		for range 1 + r.IntN(2) {
			size := []int{20, 20, 24, 28, 32, 36, 40, 40, 48, 60, 64, 100, 256, 19, 0, 257, 1}[r.IntN(17)]
			header := make([]byte, 264)
			for i := range size {
				header[i] = byte(r.Uint32())
			}
			header[0] = []byte{0x45, 0x45, 0x45, 0x46, 0x4f, 0x44, 0x40, 0x60, 0x60, 0x65, 0x35, 0x70}[r.IntN(12)]
			if r.IntN(3) > 0 {
				header[10], header[11] = 0, 0
			}
			for i := 0; i < len(header); i += 8 {
				text += fmt.Sprintf("r1 = %#x ll\n*(u64 *)(r10 -%d) = r1\n", binary.LittleEndian.Uint64(header[i:]), 264-i)
			}
			// r3 is the header.
			text += fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = r10\nr3 += -264\nr4 = %d\n", []int{2, 2, 2, 2, 2, 3, 99}[r.IntN(7)], max(size, 1))
			text += "call 73\nr9 *= 31\nr9 += r0\n"
			for _, off := range skbFields {
				text += fmt.Sprintf("r1 = *(u32 *)(r6 +%d)\nr9 *= 31\nr9 += r1\n", off)
			}
			text += "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -264\nr4 = 20\ncall 26\nr1 = *(u32 *)(r10 -264)\nr9 *= 31\nr9 += r1\nr9 += r0\n"
		}
		text += "r0 = r9\nr9 >>= 32\nr0 ^= r9\nw0 = w0\nexit"
		k, log, err := oracle.Load(oracle.LoadOptions{Type: lwtIn, Insns: assemble(t, text)})
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, text, log)
		}
		defer k.Close()
		frame := make([]byte, ethernet+20+r.IntN(100))
		for i := range frame {
			frame[i] = byte(r.Uint32())
		}
		copy(frame[12:], []byte{0x08, 0x00, 0x45})
		if r.IntN(2) == 0 {
			frame = append(frame, make([]byte, 40)...)
			copy(frame[12:], []byte{0x86, 0xdd, 0x60})
		}
		want, err := k.Run(oracle.RunInput{Data: frame, Room: 40000})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		ran++
		if len(want.Data) > len(frame) {
			pushed++
		}
		for _, e := range usable(t) {
			p := load(t, linux.LwtIn, text, vm.Options{Engine: e}).Program("p")
			pkt := vm.NewPacket(frame[ethernet:], 16, 0) // too little room, at times
			got, err := p.Run(pkt)
			if err != nil || uint32(got) != want.Retval || !bytes.Equal(pkt.Data(), want.Data[ethernet:]) {
				t.Fatalf("seed %d, %s: %#x, %v, %x; the kernel: %#x, %x\n%s", seed, e, uint32(got), err, pkt.Data(), want.Retval, want.Data[ethernet:], text)
			}
		}
	}
	t.Logf("%d packets, %d of them with a new header", ran, pushed)
	if pushed < n/4 {
		t.Errorf("%d of %d packets got a header", pushed, n)
	}
}
