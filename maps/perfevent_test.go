package maps

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
)

func newPerf(t *testing.T, size int) (*perfEventArray, *PerfReader) {
	t.Helper()
	m, err := New(&Spec{Name: "events", Type: PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(NumCPU())})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewPerfReader(m, size)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*perfEventArray), r
}

// readPerf reads one event, which must come soon.
func readPerf(t *testing.T, r *PerfReader) PerfRecord {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rec, err := r.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestPerfEvents(t *testing.T) {
	m, r := newPerf(t, 64)
	for _, tc := range []struct {
		cpu   int
		index uint32
		n     int
		want  error
	}{
		{0, currentCPU, 5, nil},          // 16 bytes with the header
		{0, 0, 24, nil},                  // 32
		{0, currentCPU, 9, errno.ENOSPC}, // 24, of 16 left
		{0, currentCPU, 8, nil},
		{0, uint32(NumCPU()), 1, errno.E2BIG},
		{1, 0, 1, errno.EOPNOTSUPP},
	} {
		data := make([]byte, tc.n)
		for i := range data {
			data[i] = byte(tc.n)
		}
		if err := m.Output(tc.cpu, tc.index, data[:tc.n/2], data[tc.n/2:]); err != tc.want {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	for _, want := range []struct {
		n    int
		lost uint64
	}{{5, 0}, {24, 0}, {8, 1}} {
		rec := readPerf(t, r)
		if len(rec.Data) != want.n || rec.Lost != want.lost || rec.CPU != 0 {
			t.Errorf("got %+v, want %+v", rec, want)
		}
		for _, b := range rec.Data {
			if b != byte(want.n) {
				t.Errorf("wrong bytes: %x", rec.Data)
				break
			}
		}
	}
	big := make([]byte, 57)
	if err := m.Output(0, currentCPU, big, nil); err != errno.ENOSPC {
		t.Errorf("larger than the buffer: %v", err)
	}
	if rec := readPerf(t, r); len(rec.Data) != 0 || rec.Lost != 1 {
		t.Errorf("only losses: %+v", rec)
	}
	r.Close()
	if err := m.Output(0, currentCPU, big[:1], nil); err != errno.ENOENT {
		t.Errorf("nobody reads: %v", err)
	}
	if _, err := r.Read(context.Background()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed reader: %v", err)
	}
}

// TestPerfProducers has a writer on each of several CPUs and two readers. What
// arrives and what is lost is all that was written, in the order of each CPU.
func TestPerfProducers(t *testing.T) {
	m, r := newPerf(t, 4096)
	const perCPU = 20000
	cpus := min(2, NumCPU())
	var writing, reading sync.WaitGroup
	var mu sync.Mutex
	arrived, lost := 0, uint64(0)
	for range 2 {
		reading.Go(func() {
			last := map[int]uint64{}
			var rec PerfRecord
			for r.ReadInto(context.Background(), &rec) == nil {
				mu.Lock()
				lost += rec.Lost
				if len(rec.Data) > 0 {
					arrived++
				}
				mu.Unlock()
				if len(rec.Data) == 0 {
					continue
				}
				n := binary.NativeEndian.Uint64(rec.Data)
				if n <= last[rec.CPU] {
					t.Errorf("CPU %d: event %d after %d", rec.CPU, n, last[rec.CPU])
				}
				last[rec.CPU] = n
			}
		})
	}
	for cpu := range cpus {
		writing.Go(func() {
			for n := uint64(1); n <= perCPU; n++ {
				b := binary.NativeEndian.AppendUint64(nil, n)
				if err := m.Output(cpu, currentCPU, b, b[:n%8]); err != nil && err != errno.ENOSPC {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	done := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return arrived+int(lost) == cpus*perCPU
	}
	for deadline := time.Now().Add(time.Minute); !done() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		r.signal()
	}
	m.Close()
	reading.Wait()
	if !done() {
		t.Errorf("%d events arrived, %d lost, of %d", arrived, lost, cpus*perCPU)
	}
	t.Logf("%d arrived, %d lost", arrived, lost)
}
