package maps

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/skepvm/skep/errno"
)

// A PerfRecord is one event of a perf event array.
type PerfRecord struct {
	CPU  int    // virtual CPU of the run that wrote it
	Data []byte // what the program passed, without padding
	// Lost is how many events of the CPU found no room just before this one. A
	// record without Data tells of losses only.
	Lost uint64
}

// A PerfReader reads the events of a perf event array. Its methods may be
// called from any goroutine.
type PerfReader struct {
	array *perfEventArray
	rings []*perfRing // by CPU
	wake  chan struct{}

	mu     sync.Mutex // held to read
	next   int        // CPU to look at first, so that each has its turn
	close  sync.Once
	closed chan struct{}
}

// NewPerfReader opens a buffer of bytesPerCPU bytes, a power of two of at least
// 64, for each virtual CPU of a perf event array. Events before were not kept,
// and those of a reader that was there before go to this one.
func NewPerfReader(m Map, bytesPerCPU int) (*PerfReader, error) {
	array, ok := m.(*perfEventArray)
	if !ok {
		return nil, fmt.Errorf("map %q is no perf event array: %w", m.Spec().Name, errno.EINVAL)
	}
	if bytesPerCPU < 64 || bytesPerCPU&(bytesPerCPU-1) != 0 {
		return nil, array.fail(fmt.Sprintf("a buffer of %d bytes: not a power of two of at least 64", bytesPerCPU), errno.EINVAL)
	}
	if err := array.mayWrite(); err != nil {
		return nil, err
	}
	r := &PerfReader{array: array, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	for cpu := range min(NumCPU(), len(array.rings)) {
		ring := &perfRing{buf: make([]byte, bytesPerCPU), wake: r.wake}
		r.rings = append(r.rings, ring)
		array.rings[cpu].Store(ring)
	}
	return r, nil
}

// Read returns the next event, waiting for one until ctx is done; then the
// error is its cause. os.ErrClosed: the reader or the map was closed.
func (r *PerfReader) Read(ctx context.Context) (PerfRecord, error) {
	var rec PerfRecord
	err := r.ReadInto(ctx, &rec)
	return rec, err
}

// ReadInto is Read, but uses the memory of rec.Data if it is large enough. The
// events of one CPU come in their order.
func (r *PerfReader) ReadInto(ctx context.Context, rec *PerfRecord) error {
	for {
		select {
		case <-r.closed:
			return r.errClosed()
		case <-r.array.closed:
			return r.errClosed()
		default:
		}
		if r.look(rec) {
			r.signal() // there may be more, for another reader
			return nil
		}
		select {
		case <-r.wake:
		case <-r.closed:
		case <-r.array.closed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (r *PerfReader) errClosed() error {
	return fmt.Errorf("perf event array %q: %w", r.array.spec.Name, os.ErrClosed)
}

// signal wakes one that waits.
func (r *PerfReader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// look returns what any CPU's buffer has.
func (r *PerfReader) look(rec *PerfRecord) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.rings {
		cpu := r.next
		r.next = (r.next + 1) % len(r.rings)
		rec.CPU = cpu
		if r.rings[cpu].read(rec) {
			return true
		}
		if rec.Lost > 0 {
			rec.Data = rec.Data[:0]
			return true
		}
	}
	return false
}

// Close takes the buffers away and makes every Read return os.ErrClosed. The
// map stays.
func (r *PerfReader) Close() error {
	r.close.Do(func() {
		for cpu, ring := range r.rings {
			r.array.rings[cpu].CompareAndSwap(ring, nil)
		}
		close(r.closed)
	})
	return nil
}
