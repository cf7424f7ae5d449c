package maps

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Record is one record of a ring buffer.
type Record struct {
	Data      []byte
	Remaining int // at least so many bytes are in the ring after it, headers and open reservations included
}

// A RingBufReader takes the records out of a ring buffer. Several readers of
// one ring, and several goroutines of one reader, may read at the same time;
// each record goes to one of them.
type RingBufReader struct {
	ring   *ringBuf
	ended  atomic.Bool // closed, for who does not wait
	closed chan struct{}
	close  sync.Once
}

// NewRingBufReader returns a reader of m, which must be a ring buffer that New
// made: EINVAL otherwise.
func NewRingBufReader(m Map) (*RingBufReader, error) {
	ring, ok := m.(*ringBuf)
	if !ok {
		return nil, fmt.Errorf("map %q: type %v has no reader: %w", m.Spec().Name, m.Spec().Type, errno.EINVAL)
	}
	return &RingBufReader{ring: ring, closed: make(chan struct{})}, nil
}

// Read returns the next record, and waits for one if there is none: until a
// program commits it with a wake-up, ctx ends, or the reader or the map is
// closed, which is os.ErrClosed. As with the kernel's, a reader that already
// waits does not see records committed with RingBufNoWakeup until something
// wakes it.
func (r *RingBufReader) Read(ctx context.Context) (Record, error) {
	var rec Record
	err := r.ReadInto(ctx, &rec)
	return rec, err
}

// ReadInto is Read, but uses the memory of rec.Data if it is large enough.
func (r *RingBufReader) ReadInto(ctx context.Context, rec *Record) error {
	m := r.ring
	for {
		if r.ended.Load() || m.denied.Load()&denyClosed != 0 {
			return r.errClosed()
		}
		if m.next(rec) {
			return nil
		}
		if ctx.Err() != nil { // asked for what is there: programs need not know
			return context.Cause(ctx)
		}
		atomic.AddUint64(m.waiting(), 1)
		// A record may have come between next and waiting: look again
		// before sleeping, since who takes a record wakes only readers it
		// knows to wait.
		if m.next(rec) {
			atomic.AddUint64(m.waiting(), ^uint64(0))
			return nil
		}
		var err error
		select {
		case <-m.wake:
			// Look before anything else: whoever takes the token and
			// does not look loses it for the others.
			if m.next(rec) {
				atomic.AddUint64(m.waiting(), ^uint64(0))
				return nil
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-r.closed:
			err = r.errClosed()
		case <-m.closed:
			err = r.errClosed()
		}
		atomic.AddUint64(m.waiting(), ^uint64(0))
		if err != nil {
			return err
		}
	}
}

func (r *RingBufReader) errClosed() error {
	return fmt.Errorf("ring buffer %q: %w", r.ring.spec.Name, os.ErrClosed)
}

// Close makes every Read return os.ErrClosed. The map stays.
func (r *RingBufReader) Close() error {
	r.close.Do(func() {
		r.ended.Store(true)
		close(r.closed)
	})
	return nil
}

// next takes the next record that is whole, if there is one, and passes over
// dropped ones. One reader at a time does: to have a record it has to be the last
// to have looked at it, and copying takes longer than a lock.
func (m *ringBuf) next(rec *Record) bool {
	for tries := 0; !atomic.CompareAndSwapUint64(m.reading(), 0, 1); tries++ {
		yield(tries)
	}
	ok := m.take(rec)
	mem.Publish(m.reading(), 0)
	return ok
}

// take is next for who reads alone.
func (m *ringBuf) take(rec *Record) bool {
	for {
		cons := atomic.LoadUint64(m.cons())
		if cons == m.top {
			if m.top = m.reserved(); cons == m.top {
				return false
			}
		}
		h := atomic.LoadUint64(m.header(cons))
		if h&RingWhole == 0 {
			return false
		}
		n := h &^ (RingWhole | RingDropped)
		end := cons + extent(n)
		dropped := h&RingDropped != 0
		if !dropped {
			rec.Data = append(rec.Data[:0], m.bytes[cons&m.mask+recordHeader:][:n]...)
		}
		if atomic.LoadUint64(m.waiting()) == 0 {
			mem.Publish(m.cons(), end) // who comes to wait looks for records after this one is let go
		} else {
			atomic.SwapUint64(m.cons(), end) // before prod is read: see wakeFor
			m.top = m.reserved()
			if !dropped && m.top != end {
				m.wakeOne() // another reader may take the next
			}
		}
		if !dropped {
			rec.Remaining = int(m.top - end)
			return true
		}
	}
}
