package vm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestRingBufOrder has programs write numbered records, in three ways, to a ring
// that is too small for them, while a reader waits for them; who finds no room tries
// again. Of each producer every record comes, once, whole, and in order. The records
// are full of what would be headers of whole records, for a reader that looks where
// another producer has not yet written one.
func TestRingBufOrder(t *testing.T) {
	// The packet holds the producer's number and the record's. Records have 24
	// bytes, or 8 more than that in turn: the one first, the other last, and between
	// them the header of a whole record of 24 bytes.
	const text = `
		r6 = *(u32 *)(r1 +0)
		r2 = *(u32 *)(r1 +4)
		r0 = -1
		r1 = r6
		r1 += 16
		if r1 > r2 goto out
		r7 = *(u64 *)(r6 +0)
		r8 = *(u64 *)(r6 +8)
		if r8 & 1 goto output
		r1 = map[0]
		r2 = 24
		r3 = 0
		call 131
		r9 = r0
		r0 = 2
		if r9 == 0 goto out
		w1 = 0x80000018
		*(u64 *)(r9 +0) = r7
		*(u64 *)(r9 +8) = r1
		*(u64 *)(r9 +16) = r8
		r1 = r9
		r2 = 0
		if r8 & 2 goto discard
		call 132
		r0 = 0
		goto out
	discard:
		call 133
		r0 = 1
		goto out
	output:
		w1 = 0x80000018
		*(u64 *)(r10 -32) = r7
		*(u64 *)(r10 -24) = r1
		*(u64 *)(r10 -16) = r1
		*(u64 *)(r10 -8) = r8
		r1 = map[0]
		r2 = r10
		r2 += -32
		r3 = 32
		r4 = 0
		call 130
		if r0 == 0 goto out
		r0 = 2
	out:
		exit`
	records := 30_000
	if testing.Short() {
		records = 3000
	}
	for _, e := range faultEngines {
		t.Run(fmt.Sprintf("engine %q", e), func(t *testing.T) {
			c := load(t, packetType, text, vm.Options{Engine: e}, &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096})
			r, err := maps.NewRingBufReader(c.Map("ring"))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			const producers = 3
			var sent [producers][]uint64 // numbers of the records
			var full atomic.Int64        // how often one found no room
			var wg sync.WaitGroup
			for p := range sent {
				wg.Go(func() {
					pkt := make([]byte, 16)
					binary.NativeEndian.PutUint64(pkt, uint64(p))
					for n := uint64(0); n < uint64(records) && ctx.Err() == nil; {
						binary.NativeEndian.PutUint64(pkt[8:], n)
						switch ret, err := c.Program("p").Run(pkt); {
						case err != nil || ret > 2:
							t.Errorf("producer %d: %d, %v", p, int64(ret), err)
							return
						case ret == 0:
							sent[p] = append(sent[p], n)
							n++
						case ret == 1: // discarded
							n++
						default:
							full.Add(1)
							runtime.Gosched()
						}
					}
				})
			}
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			var got [producers][]uint64
			read := func(ctx context.Context) bool {
				rec, err := r.Read(ctx)
				if err != nil {
					return false
				}
				b := rec.Data
				if len(b) < 24 {
					t.Errorf("record %x", b)
					return false
				}
				p, n := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[len(b)-8:])
				if p >= producers || len(b) != 24+int(n&1)*8 || binary.NativeEndian.Uint64(b[8:]) != maps.RingWhole|24 {
					t.Errorf("record %x", b)
					return false
				}
				got[p] = append(got[p], n)
				return true
			}
			reading, stop := context.WithCancel(ctx)
			go func() { <-done; stop() }()
			for read(reading) {
			}
			if ctx.Err() != nil {
				t.Fatal("the producers do not end")
			}
			for read(ended) {
			}
			all := 0
			for p := range sent {
				all += len(sent[p])
				if want := records - records/4; len(sent[p]) != want {
					t.Errorf("producer %d: %d records were written, want %d", p, len(sent[p]), want)
				}
				if fmt.Sprint(got[p]) != fmt.Sprint(sent[p]) {
					t.Errorf("producer %d: %d records came of %d, or in another order", p, len(got[p]), len(sent[p]))
				}
			}
			t.Logf("%d records; %d times there was no room", all, full.Load())
		})
	}
}
