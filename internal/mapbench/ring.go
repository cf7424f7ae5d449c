//go:build linux && amd64

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// A ringRunner sends records from a program to a reader on another goroutine, as
// many a turn as other runners do operations. Both poll: the program's records wake
// nobody, and the reader, which copies each record out and checks its number, asks
// again when there is none. It takes time by the clock, since two goroutines work,
// of short pieces, since the machine may have other work; the shortest counts.
type ringRunner struct {
	// state is the map that says how many records are to be sent, and the number
	// of the first.
	state interface {
		Update(key, value []byte, flags maps.UpdateFlags) error
	}
	// run runs the program, and returns how many records are left.
	run func() (left uint32, err error)
	// next copies the next record to what it returns, if there is one.
	next func() (record []byte, ok bool)
	sent uint64
}

const ringPieces = 16

func (r *ringRunner) time(_ uint64, runs int) (sum uint32, d time.Duration, err error) {
	best := time.Duration(0)
	for range ringPieces {
		var s uint32
		s, d, err := r.piece(uint64(runs) * ops / ringPieces)
		if err != nil {
			return 0, 0, err
		}
		sum += s
		if best == 0 || d < best {
			best = d
		}
	}
	return sum, best * ringPieces, nil
}

func (r *ringRunner) piece(n uint64) (sum uint32, d time.Duration, err error) {
	if err := r.state.Update(make([]byte, 4), binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, n), r.sent), maps.Any); err != nil {
		return 0, 0, err
	}
	ready, done := make(chan struct{}), make(chan error, 1)
	var begin atomic.Bool
	go func() {
		ready <- struct{}{}
		for !begin.Load() {
		}
		done <- r.send(n)
	}()
	<-ready // it has a processor
	begun := time.Now()
	begin.Store(true)
	for got := uint64(0); got < n; {
		b, ok := r.next()
		if !ok {
			select {
			case err := <-done:
				if err != nil {
					return 0, 0, err
				}
				done <- nil
			default:
			}
			pause()
			continue
		}
		if number := binary.NativeEndian.Uint64(b); number != r.sent+got {
			return 0, 0, fmt.Errorf("record %d came when record %d was due", number, r.sent+got)
		}
		sum += uint32(len(b)) + uint32(b[0])
		got++
	}
	d = time.Since(begun)
	r.sent += n
	return sum, d, <-done
}

// pause takes some microseconds. A reader that asks all the time takes the
// memory from who writes there.
func pause() {
	s := uint64(1)
	for range 4096 {
		s = next(s)
	}
	if s == 0 {
		panic("BUG: the generator has no zeros")
	}
}

// send has the program send n records.
func (r *ringRunner) send(n uint64) error {
	for left := uint32(n); left > 0; {
		var err error
		if left, err = r.run(); err != nil {
			return err
		}
	}
	return nil
}

// ringSize is the size of the ring in programs/ring.c.
const ringSize = 1 << 20

// kernelRing is a ringRunner for p, which sends to ring.
func kernelRing(p *oracle.Program, ring, state *oracle.Map) (*ringRunner, error) {
	reader, err := oracle.MapRing(ring, ringSize)
	if err != nil {
		return nil, err
	}
	pkt := make([]byte, packetSize)
	var buf []byte
	return &ringRunner{
		state: state,
		run: func() (uint32, error) {
			r, err := p.Run(oracle.RunInput{Data: pkt, Repeat: 1}) // before it repeats, the kernel waits for milliseconds
			return r.Retval, err
		},
		next: func() (_ []byte, ok bool) {
			buf, ok = reader.Next(buf[:0])
			return buf, ok
		},
	}, nil
}

// skepRing is a ringRunner for p, which sends to ring.
func skepRing(p *vm.Program, ring, state maps.Map) (*ringRunner, error) {
	reader, err := maps.NewRingBufReader(ring)
	if err != nil {
		return nil, err
	}
	ended, end := context.WithCancel(context.Background())
	end() // so that the reader does not wait
	var rec maps.Record
	in := any(make([]byte, packetSize))
	return &ringRunner{
		state: state,
		run: func() (uint32, error) {
			r0, err := p.Run(in)
			return uint32(r0), err
		},
		next: func() ([]byte, bool) {
			err := reader.ReadInto(ended, &rec)
			return rec.Data, err == nil
		},
	}, nil
}
