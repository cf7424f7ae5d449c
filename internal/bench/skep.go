//go:build linux && amd64

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// A skep is a program in one of skep's engines.
type skep struct {
	prog *vm.Program
	pkt  any // []byte
	ring *maps.RingBufReader
	rec  maps.Record
}

func newSkep(obj *prog.Object, engine vm.Engine, b *benchmark, pkt []byte) (*skep, error) {
	c, err := vm.Load(obj, vm.Options{Engine: engine, AllowUninitStack: true, Rules: verifier.Options{AllowUnbounded: true}})
	if err != nil {
		return nil, err
	}
	s := &skep{prog: c.Program(b.name), pkt: pkt}
	if got, why := s.prog.Engine(); got != engine {
		return nil, fmt.Errorf("runs in %s: %s", got, why)
	}
	if b.ring {
		s.ring, err = maps.NewRingBufReader(c.Map("ring"))
	}
	return s, err
}

// countInsns returns how many instructions a run of b executes, by the checked
// interpreter, which counts each: the least of a few, since programs that keep state
// may begin with more.
func countInsns(obj *prog.Object, b *benchmark, pkt []byte) (n uint64, err error) {
	s, err := newSkep(obj, vm.Checked, b, pkt)
	if err != nil {
		return 0, err
	}
	for i := range 3 {
		before := s.prog.Stats().Insns
		if _, err := s.once(); err != nil {
			return 0, err
		}
		if x := s.prog.Stats().Insns - before; i == 0 || x < n {
			n = x
		}
	}
	return n, nil
}

func (s *skep) once() (uint32, error) {
	r, err := s.prog.Run(s.pkt)
	return uint32(r), err
}

func (s *skep) time(count int) (time.Duration, error) {
	begun := time.Now()
	for range count {
		if _, err := s.prog.Run(s.pkt); err != nil {
			return 0, err
		}
	}
	d := time.Since(begun)
	if s.ring != nil {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		for s.ring.ReadInto(done, &s.rec) == nil {
		}
	}
	return d, nil
}
