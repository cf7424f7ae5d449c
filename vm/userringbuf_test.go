package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// drainRing drains map 1, with flags, and leaves what that returns in results
// at 0. The callback adds up, at 8, the lengths of records and, at 16, their
// first words; counts at 24; leaves what reading 8 bytes returned at 32; and
// stops when the first word is 99. The context is fp-8, which counts, too.
func drainRing(flags int) string {
	return fmt.Sprintf(`
	*(u64 *)(r10 -8) = 0
	r1 = map[1]
	r2 = subprog[body]
	r3 = r10
	r3 += -8
	r4 = %d
	call 209
	*(u64 *)(r9 +0) = r0
	r0 = *(u64 *)(r10 -8)
	*(u64 *)(r9 +40) = r0
	r0 = 0
	exit
body:
	r6 = r1
	r7 = r2
	r9 = map[0][0]+0
	r1 = *(u64 *)(r7 +0)
	r1 += 1
	*(u64 *)(r7 +0) = r1
	r1 = *(u64 *)(r9 +24)
	r1 += 1
	*(u64 *)(r9 +24) = r1
	r1 = r6
	call bpf_dynptr_size
	r1 = *(u64 *)(r9 +8)
	r1 += r0
	*(u64 *)(r9 +8) = r1
	*(u64 *)(r10 -8) = 0
	r1 = r10
	r1 += -8
	r2 = 8
	r3 = r6
	r4 = 0
	r5 = 0
	call 201
	*(u64 *)(r9 +32) = r0
	r2 = *(u64 *)(r10 -8)
	r1 = *(u64 *)(r9 +16)
	r1 += r2
	*(u64 *)(r9 +16) = r1
	r0 = 0
	if r2 != 99 goto +1
	r0 = 1
	exit
`, flags)
}

const userRingSize = 4096

func userRing() *maps.Spec {
	return &maps.Spec{Name: "ring", Type: maps.UserRingBuf, MaxEntries: userRingSize}
}

// A userRecord is what the tests put into a ring.
type userRecord struct {
	data    []byte
	discard bool
	open    bool
}

func record(n int, first uint64) userRecord {
	b := make([]byte, max(n, 8))
	binary.NativeEndian.PutUint64(b, first)
	return userRecord{data: b[:n]}
}

// TestUserRingBuf has the kernel and each engine drain the same records.
func TestUserRingBuf(t *testing.T) {
	dropped := func(r userRecord) userRecord { r.discard = true; return r }
	open := func(r userRecord) userRecord { r.open = true; return r }
	var many, full []userRecord
	for i := range 100 {
		many = append(many, record(8+i%16, uint64(i%50)))
	}
	for range userRingSize / 512 {
		full = append(full, record(504, 3))
	}
	for name, rounds := range map[string][][]userRecord{
		"none":           {nil},
		"one":            {{record(8, 5)}},
		"short":          {{record(4, 5)}, {record(0, 0)}},
		"dropped":        {{dropped(record(8, 5)), record(8, 6), dropped(record(16, 7))}, {record(8, 8)}},
		"stops":          {{record(8, 5), record(8, 99), record(8, 6)}, nil, {record(8, 7)}},
		"open":           {{record(8, 5), open(record(8, 6)), record(8, 7)}},
		"many":           {many, many, many}, // round the end of the ring
		"full":           {full, full, full},
		"as long as can": {{record(userRingSize-8, 5)}, {record(userRingSize-8, 6)}},
	} {
		for _, flags := range []int{0, 1, 2, 3, 4, -1} {
			t.Run(fmt.Sprintf("%s, flags %d", name, flags), func(t *testing.T) {
				c := construct{maps: []*maps.Spec{userRing()}, text: drainRing(flags)}
				p := c.link(t)
				var want [][]byte
				if oracle.Available() == nil {
					k := c.kernel(t, p)
					defer k.close()
					ring, err := oracle.MapUserRing(k.maps[1], userRingSize)
					if err != nil {
						t.Fatal(err)
					}
					defer ring.Close()
					for _, records := range rounds {
						for _, r := range records {
							const busy, discard = 1 << 31, 1 << 30
							header := uint32(len(r.data))
							if r.discard {
								header |= discard
							}
							if r.open {
								header |= busy
							}
							ring.Put(header, r.data)
						}
						if _, err := k.prog.Run(oracle.RunInput{Data: make([]byte, 64)}); err != nil {
							t.Fatal(err)
						}
						want = append(want, k.entries(t, p.Maps[:1]))
						if flags&^3 != 0 {
							break // nothing is taken
						}
					}
					oracle.RanKfunc("bpf_dynptr_size")
				}
				for _, e := range usable(t) {
					coll, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire})
					if err != nil {
						t.Fatal(err)
					}
					defer coll.Close()
					w, err := maps.NewUserRingBufProducer(coll.Map("ring"))
					if err != nil {
						t.Fatal(err)
					}
					for i, records := range rounds {
						for _, r := range records {
							b, err := w.Reserve(len(r.data))
							if err != nil {
								t.Fatalf("%s: round %d: %v", e, i, err)
							}
							copy(b, r.data)
							switch {
							case r.open:
							case r.discard:
								err = w.Discard(b)
							default:
								err = w.Submit(b)
							}
							if err != nil {
								t.Fatal(err)
							}
						}
						if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
							t.Fatal(err)
						}
						got := entries(t, p.Maps[:1], coll.Map)
						if i == len(want) {
							want = append(want, got)
						}
						if at := firstDifference(got, want[i]); at >= 0 {
							t.Errorf("%s: round %d: results differ at byte %d:\n%x\n%x", e, i, at, got[:48], want[i][:48])
						}
						if flags&^3 != 0 {
							break
						}
					}
				}
			})
		}
	}
}

// TestUserRingBufErrors: what producers are told.
func TestUserRingBufErrors(t *testing.T) {
	m := mustMap(t, userRing())
	w, err := maps.NewUserRingBufProducer(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{-1, userRingSize - 7, 1 << 30} {
		if _, err := w.Reserve(n); !errors.Is(err, errno.E2BIG) {
			t.Errorf("a record of %d bytes: %v", n, err)
		}
	}
	b, err := w.Reserve(userRingSize - 8)
	if err != nil || w.Free() != 0 {
		t.Fatalf("%v, %d bytes free", err, w.Free())
	}
	if _, err := w.Reserve(0); !errors.Is(err, errno.ENOSPC) {
		t.Errorf("no room: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.ReserveContext(ctx, 8); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for room: %v", err)
	}
	for name, bad := range map[string][]byte{"other memory": make([]byte, 8), "a part": b[8:], "a piece": b[:8]} {
		if err := w.Submit(bad); !errors.Is(err, errno.EINVAL) {
			t.Errorf("%s submitted: %v", name, err)
		}
	}
	if err := w.Submit(b); err != nil {
		t.Error(err)
	}
	if err := w.Submit(b); !errors.Is(err, errno.EINVAL) {
		t.Errorf("submitted twice: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := w.ReserveContext(context.Background(), 8)
		done <- err
	}()
	time.Sleep(5 * time.Millisecond)
	m.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a record in a closed map")
		}
	case <-time.After(time.Minute):
		t.Fatal("a producer waits for a closed map")
	}
	if _, err := w.Reserve(8); !errors.Is(err, errno.EBADF) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := maps.NewUserRingBufProducer(mustMap(t, &maps.Spec{Type: maps.RingBuf, MaxEntries: 4096})); !errors.Is(err, errno.EINVAL) {
		t.Errorf("producer of a ring buffer: %v", err)
	}
}

// TestUserRingBufConcurrent: several producers wait for room, runs drain, and
// no record is lost, none comes twice.
func TestUserRingBufConcurrent(t *testing.T) {
	c := construct{maps: []*maps.Spec{userRing()}, text: drainRing(0)}
	coll, err := vm.LoadProgram(c.link(t), vm.Options{Verify: vm.VerifyRequire})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	w, err := maps.NewUserRingBufProducer(coll.Map("ring"))
	if err != nil {
		t.Fatal(err)
	}
	const producers, each = 4, 1000
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range producers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				b, err := w.ReserveContext(ctx, 8+i%64)
				if err != nil {
					t.Error(err)
					return
				}
				binary.NativeEndian.PutUint64(b, 1)
				if i%10 == 9 {
					err = w.Discard(b)
				} else {
					err = w.Submit(b)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for more := true; more; {
		select {
		case <-done:
			more = false
		default:
		}
		if _, err := coll.Program("p").Run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
	}
	v := make([]byte, 256)
	if err := coll.Map("results").Lookup(make([]byte, 4), v); err != nil {
		t.Fatal(err)
	}
	if n := binary.NativeEndian.Uint64(v[24:]); n != producers*each*9/10 {
		t.Errorf("%d records of %d", n, producers*each*9/10)
	}
	if n := binary.NativeEndian.Uint64(v[16:]); n != producers*each*9/10 || w.Free() != userRingSize {
		t.Errorf("the records add up to %d; %d bytes are free", n, w.Free())
	}
}
