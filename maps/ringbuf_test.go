package maps

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
)

func newRing(t testing.TB, size uint32) *ringBuf {
	t.Helper()
	m, err := New(&Spec{Name: "ring", Type: RingBuf, MaxEntries: size})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*ringBuf)
}

// read returns the next record, which must be there.
func read(t testing.TB, r *RingBufReader) []byte {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rec, err := r.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Data
}

func TestRingBufWraps(t *testing.T) {
	m := newRing(t, 4096)
	r, err := NewRingBufReader(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		n := i * 37 % 1200
		b := m.Reserve(n)
		if b == nil {
			t.Fatalf("record %d: no room", i)
		}
		for j := range b {
			b[j] = byte(i + j)
		}
		m.Commit(b, i%5 == 4, 0)
		if i%5 == 4 {
			continue
		}
		got := read(t, r)
		if len(got) != n {
			t.Fatalf("record %d: %d bytes, want %d", i, len(got), n)
		}
		for j := range got {
			if got[j] != byte(i+j) {
				t.Fatalf("record %d, byte %d: %#x, want %#x", i, j, got[j], byte(i+j))
			}
		}
	}
}

func TestRingBufFull(t *testing.T) {
	m := newRing(t, 4096)
	if m.Reserve(4096-8) != nil {
		t.Error("a record as large as the ring has room")
	}
	a := m.Reserve(2000)
	b := m.Reserve(2000)
	if a == nil || b == nil || m.Reserve(72) != nil {
		t.Fatal("4096 bytes hold two records of 2008 and not one more of 80")
	}
	if got := m.Query(RingBufAvailData); got != 4016 {
		t.Errorf("available: %d, want 4016", got)
	}
	m.Commit(b, false, 0)
	r, _ := NewRingBufReader(m)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if _, err := r.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read past an open reservation: %v", err)
	}
	m.Discard(a)
	if got := read(t, r); len(got) != 2000 {
		t.Errorf("%d bytes, want 2000", len(got))
	}
	if m.Query(RingBufAvailData) != 0 || m.Query(RingBufConsPos) != 4016 || m.Query(RingBufProdPos) != 4016 || m.Query(RingBufRingSize) != 4096 || m.Query(9) != 0 {
		t.Error("positions are wrong after all was read")
	}
	if err := m.Output(nil, 4); err != errno.EINVAL {
		t.Errorf("unknown flag: %v", err)
	}
	if err := m.Output(make([]byte, 4088), 0); err != errno.EAGAIN {
		t.Errorf("too large: %v", err)
	}
}

func TestRingBufClose(t *testing.T) {
	m := newRing(t, 4096)
	r, _ := NewRingBufReader(m)
	other, _ := NewRingBufReader(m)
	done := make(chan error)
	go func() { _, err := r.Read(context.Background()); done <- err }()
	time.Sleep(time.Millisecond)
	r.Close()
	if err := await(t, done); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the reader's Close: %v", err)
	}
	go func() { _, err := other.Read(context.Background()); done <- err }()
	time.Sleep(time.Millisecond)
	m.Close()
	if err := await(t, done); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the map's Close: %v", err)
	}
}

// await receives from c, which must not take long.
func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal("nothing came for a minute")
	}
	return v
}

func TestRingBufWakeups(t *testing.T) {
	m := newRing(t, 4096)
	r, _ := NewRingBufReader(m)
	got := make(chan Record, 1)
	go func() {
		for {
			rec, err := r.Read(context.Background())
			if err != nil {
				close(got)
				return
			}
			got <- rec
		}
	}()
	defer r.Close()
	// A reader that says it waits looks once more before it sleeps, so that it
	// may take a record that nobody woke it for; not time and again.
	for range 50 {
		for atomic.LoadUint64(m.waiting()) == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Millisecond)
		m.Output([]byte{1}, RingBufNoWakeup)
		select {
		case <-got:
			continue
		case <-time.After(5 * time.Millisecond):
		}
		m.Output([]byte{2}, RingBufForceWakeup) // behind the first, which nobody took
		if a, b := await(t, got), await(t, got); a.Data[0] != 1 || b.Data[0] != 2 {
			t.Errorf("records %v, %v", a.Data, b.Data)
		}
		return
	}
	t.Error("BPF_RB_NO_WAKEUP wakes the reader")
}

// TestRingBufProducers has many producers and several readers. Every record
// must arrive exactly once, and those of one producer in their order: each
// reader alone sees them rise, since readers take records in order. They are full of
// what would be headers, for a reader that looks where there is none yet.
func TestRingBufProducers(t *testing.T) {
	records := 20000
	if testing.Short() {
		records = 3000
	}
	for _, readers := range []int{1, 3} {
		m := newRing(t, 4096)
		const producers = 4
		var lost, seen atomic.Int64
		var writing, reading sync.WaitGroup
		r, _ := NewRingBufReader(m)
		var mu sync.Mutex
		counts := map[uint64]int{}
		for range readers {
			reading.Add(1)
			go func() {
				defer reading.Done()
				last := [producers]uint64{}
				var rec Record
				for r.ReadInto(context.Background(), &rec) == nil {
					who, n := binary.LittleEndian.Uint64(rec.Data), binary.LittleEndian.Uint64(rec.Data[8:])
					if n <= last[who] {
						t.Errorf("producer %d: record %d after %d", who, n, last[who])
					}
					last[who] = n
					for i, x := range rec.Data[16:] {
						if x != forged(n)[i%8] {
							t.Errorf("producer %d: record %d has another's bytes", who, n)
							break
						}
					}
					mu.Lock()
					counts[who<<32|n]++
					mu.Unlock()
					seen.Add(1)
				}
			}()
		}
		for who := range uint64(producers) {
			writing.Add(1)
			go func() {
				defer writing.Done()
				for n := uint64(1); n <= uint64(records); n++ {
					b := m.Reserve(16 + int(n*who)%90)
					for ; b == nil; b = m.Reserve(16 + int(n*who)%90) {
						time.Sleep(10 * time.Microsecond)
					}
					binary.LittleEndian.PutUint64(b, who)
					binary.LittleEndian.PutUint64(b[8:], n)
					for i := range b[16:] {
						b[16+i] = forged(n)[i%8]
					}
					drop := n%7 == 0
					m.Commit(b, drop, 0)
					if drop {
						lost.Add(1)
					}
				}
			}()
		}
		writing.Wait()
		want := int64(producers*records) - lost.Load()
		for deadline := time.Now().Add(time.Minute); seen.Load() < want && time.Now().Before(deadline); {
			time.Sleep(100 * time.Microsecond)
		}
		r.Close()
		reading.Wait()
		if seen.Load() != want || int64(len(counts)) != want {
			t.Errorf("%d readers: %d records arrived, %d of them different, of %d", readers, seen.Load(), len(counts), want)
		}
	}
}

// forged is the header of a whole record that record n is full of.
func forged(n uint64) (word [8]byte) {
	binary.NativeEndian.PutUint64(word[:], RingWhole|n%128)
	return word
}

// TestRingBufTaken has another producer about to write a header: nobody reads what
// is there, nor reserves, until it has.
func TestRingBufTaken(t *testing.T) {
	m := newRing(t, 4096)
	for range 3 { // what a reader could take for a header
		if m.Output(bytes.Repeat([]byte{8, 0, 0, 0x80, 0, 0, 0, 0}, 250), 0) != nil {
			t.Fatal("no room")
		}
		r, _ := NewRingBufReader(m)
		read(t, r)
	}
	prod := m.Query(RingBufProdPos)
	atomic.StoreUint64(m.prod(), prod|1<<RingTaken)
	if got := m.Query(RingBufProdPos); got != prod || m.Query(RingBufAvailData) != 0 {
		t.Errorf("position %d, available %d; want %d, 0", got, m.Query(RingBufAvailData), prod)
	}
	if m.next(new(Record)) {
		t.Error("there is a record that nobody has written")
	}
	reserved := make(chan []byte)
	go func() { reserved <- m.Reserve(16) }()
	select {
	case <-reserved:
		t.Fatal("two have the position at the same time")
	case <-time.After(10 * time.Millisecond):
	}
	atomic.StoreUint64(m.header(prod), 24)
	atomic.StoreUint64(m.prod(), prod+32)
	b := await(t, reserved)
	if got := m.Query(RingBufProdPos); len(b) != 16 || got != prod+32+24 {
		t.Errorf("%d bytes, position %d", len(b), got)
	}
	m.Commit(b, false, 0)
	if m.next(new(Record)) {
		t.Error("read past an open reservation")
	}
}

func BenchmarkRingBuf(b *testing.B) {
	m := newRing(b, 1<<20)
	r, _ := NewRingBufReader(m)
	data := make([]byte, 64)
	var rec Record
	b.Run("output", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if m.Output(data, RingBufNoWakeup) != nil {
				for m.next(&rec) {
				}
			}
		}
	})
	b.Run("output+read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if m.Output(data, 0) != nil || r.ReadInto(context.Background(), &rec) != nil {
				b.Fatal("lost")
			}
		}
	})
}
