package vm_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// drainDigest drains map 1 with the flags in the packet's first word and leaves in
// results what that returned, at 0, and at 8 a digest of all that callbacks saw: of
// each record the size, its first 8 bytes and 8 from the middle. They write to it, and
// stop at a record whose first byte is 99.
const drainDigest = `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r0 = 0
	r4 = r2
	r4 += 8
	if r4 > r3 goto out
	r4 = *(u64 *)(r2 +0)
	r1 = map[1]
	r2 = subprog[body]
	r3 = 0
	call 209
	*(u64 *)(r9 +0) = r0
	r0 = 0
out:
	exit
body:
	r6 = r1
	r9 = map[0][0]+0
	r8 = *(u64 *)(r9 +8)
	r1 = r6
	call bpf_dynptr_size
	r7 = r0
	r8 *= 31
	r8 += r7
	*(u64 *)(r10 -8) = 0
	r1 = r10
	r1 += -8
	r2 = 8
	r3 = r6
	r4 = 0
	r5 = 0
	call 201
	r8 *= 31
	r8 += r0
	r1 = *(u64 *)(r10 -8)
	r8 *= 31
	r8 += r1
	*(u64 *)(r10 -16) = 0
	r4 = r7
	r4 >>= 1
	r1 = r10
	r1 += -16
	r2 = 8
	r3 = r6
	r5 = 0
	call 201
	r8 *= 31
	r8 += r0
	r1 = *(u64 *)(r10 -16)
	r8 *= 31
	r8 += r1
	*(u64 *)(r9 +8) = r8
	*(u64 *)(r10 -16) = -1
	r1 = r6
	r2 = 0
	r3 = r10
	r3 += -16
	r4 = 8
	r5 = 0
	call 202
	r8 = *(u64 *)(r9 +8)
	r8 *= 31
	r8 += r0
	*(u64 *)(r9 +8) = r8
	r0 = *(u8 *)(r10 -8)
	if r0 == 99 goto stop
	r0 = 0
	exit
stop:
	r0 = 1
	exit
`

// TestKernelUserRingBuf compares random operations on user ring buffers: records that
// are reserved, and submitted, dropped, or left open until later, and programs that
// drain, with any flags.
func TestKernelUserRingBuf(t *testing.T) {
	oracle.Skip(t)
	ops := envInt(t, "SKEP_DIFF_OPS", 3000)
	c := construct{maps: []*maps.Spec{userRing()}, text: drainDigest}
	p := c.link(t)
	counts := map[string]int{}
	for at, e := range usable(t) {
		k := c.kernel(t, p)
		ring, err := oracle.MapUserRing(k.maps[1], userRingSize)
		if err != nil {
			t.Fatal(err)
		}
		coll, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatal(err)
		}
		w, err := maps.NewUserRingBufProducer(coll.Map("ring"))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(at), 12))
		type openRecord struct {
			memory []byte // ours
			pos    uint64 // the kernel's
		}
		var open []openRecord
		prod := uint64(0) // the kernel's
		const busy, discard = 1 << 31, 1 << 30
		pkt := make([]byte, 64)
		for step := range ops / len(usable(t)) {
			switch op := r.IntN(10); {
			case op < 6:
				n := r.IntN(64)
				switch r.IntN(40) {
				case 0:
					n = r.IntN(userRingSize + 20)
				case 1:
					n = userRingSize - 8 - r.IntN(3)
				}
				b, err := w.Reserve(n)
				// What user space does for the kernel's (libbpf's
				// user_ring_buffer__reserve).
				var want error
				switch need := (uint64(n) + 8 + 7) &^ 7; {
				case n > userRingSize-8:
					want = errno.E2BIG
				case need > userRingSize-(prod-ring.Taken()):
					want = errno.ENOSPC
				}
				if !errors.Is(err, want) {
					t.Fatalf("%s, step %d: reserve %d: %v, want %v", e, step, n, err, want)
				}
				if err != nil {
					counts["no room"]++
					break
				}
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				if n > 0 && r.IntN(20) == 0 {
					b[0] = 99
				}
				data := append([]byte(nil), b...)
				switch r.IntN(12) {
				case 0:
					counts["left open"]++
					open = append(open, openRecord{b, ring.Put(uint32(n)|busy, data)})
				case 1, 2:
					counts["dropped"]++
					ring.Put(uint32(n)|discard, data)
					err = w.Discard(b)
				default:
					counts["submitted"]++
					ring.Put(uint32(n), data)
					err = w.Submit(b)
				}
				if err != nil {
					t.Fatal(err)
				}
				prod += (uint64(n) + 8 + 7) &^ 7
			case op < 7 && len(open) > 0:
				i := r.IntN(len(open))
				b, header := open[i], uint32(len(open[i].memory))
				open = append(open[:i], open[i+1:]...)
				err := error(nil)
				if r.IntN(4) == 0 {
					header |= discard
					err = w.Discard(b.memory)
				} else {
					err = w.Submit(b.memory)
				}
				if err != nil {
					t.Fatalf("%s, step %d: %v", e, step, err)
				}
				ring.SetHeader(b.pos, header)
				counts["finished"]++
			default:
				flags := r.Uint64N(4)
				if r.IntN(10) == 0 {
					flags = 1 << r.IntN(64)
				}
				binary.NativeEndian.PutUint64(pkt, flags)
				if _, err := k.prog.Run(oracle.RunInput{Data: pkt}); err != nil {
					t.Fatal(err)
				}
				if _, err := coll.Program("p").Run(pkt); err != nil {
					t.Fatal(err)
				}
				want, got := k.entries(t, p.Maps[:1]), entries(t, p.Maps[:1], coll.Map)
				if i := firstDifference(got, want); i >= 0 {
					t.Fatalf("%s, step %d: drained with flags %#x: %x, the kernel: %x", e, step, flags, got[:24], want[:24])
				}
				if free := userRingSize - int(prod-ring.Taken()); w.Free() != free {
					t.Fatalf("%s, step %d: %d bytes are free, the kernel: %d", e, step, w.Free(), free)
				}
				counts[fmt.Sprintf("drained %d", min(2, int64(binary.NativeEndian.Uint64(got))))]++
			}
		}
		ring.Close()
		k.close()
		coll.Close()
	}
	t.Logf("%d operations: %v", ops, counts)
}
