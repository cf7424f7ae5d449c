package maps

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/skepvm/skep/errno"
)

// A UserRingBufProducer puts records into a user ring buffer, which programs take
// out. Any number of goroutines may use one, and there may be several for a ring.
type UserRingBufProducer struct{ ring *userRingBuf }

// NewUserRingBufProducer returns a producer for m, which must be a user ring
// buffer that New made: EINVAL otherwise.
func NewUserRingBufProducer(m Map) (*UserRingBufProducer, error) {
	ring, ok := m.(*userRingBuf)
	if !ok {
		return nil, fmt.Errorf("map %q: type %v takes no records of Go code: %w", m.Spec().Name, m.Spec().Type, errno.EINVAL)
	}
	return &UserRingBufProducer{ring}, nil
}

// Reserve returns memory for a record of n bytes, aligned to 8, which programs
// see after Submit: in the order in which records were reserved, so that one
// that stays open holds up those behind it. The memory holds what was there
// before. ENOSPC: there is no room now; E2BIG: there never is.
func (p *UserRingBufProducer) Reserve(n int) ([]byte, error) {
	b, _, err := p.ring.reserve(n)
	if err != nil {
		return nil, p.fail(n, err)
	}
	return b, nil
}

// ReserveContext is Reserve that waits for room: until ctx ends, or the map is
// closed, which is os.ErrClosed. As with the kernel's, a program that drains the
// ring with RingBufNoWakeup wakes nobody.
func (p *UserRingBufProducer) ReserveContext(ctx context.Context, n int) ([]byte, error) {
	for {
		b, wait, err := p.ring.reserve(n)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, errno.ENOSPC) {
			return nil, p.fail(n, err)
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-p.ring.closed:
			return nil, fmt.Errorf("user ring buffer %q: %w", p.ring.spec.Name, os.ErrClosed)
		}
	}
}

func (p *UserRingBufProducer) fail(n int, err error) error {
	return fmt.Errorf("user ring buffer %q of %d bytes: record of %d bytes: %w", p.ring.spec.Name, p.ring.mask+1, n, err)
}

// Submit gives programs the record that Reserve returned, whose memory the
// caller uses no more. EINVAL: it is no open reservation.
func (p *UserRingBufProducer) Submit(b []byte) error { return p.ring.commit(b, recordWhole) }

// Write implements io.Writer: b is one record.
func (p *UserRingBufProducer) Write(b []byte) (int, error) {
	r, err := p.Reserve(len(b))
	if err != nil {
		return 0, err
	}
	return copy(r, b), p.Submit(r)
}

// Discard has programs pass over it.
func (p *UserRingBufProducer) Discard(b []byte) error { return p.ring.commit(b, recordSkipped) }

// Free returns how many bytes of the ring are not taken; a record takes 8 more
// than its length, rounded up to 8.
func (p *UserRingBufProducer) Free() int {
	p.ring.mu.Lock()
	defer p.ring.mu.Unlock()
	return int(p.ring.mask + 1 - (p.ring.prod - p.ring.cons))
}
