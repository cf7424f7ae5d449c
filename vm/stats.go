package vm

import (
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/internal/vcpu"
)

// Stats is what a program has done so far. Runs that go on do not count yet.
type Stats struct {
	Runs   uint64
	Insns  uint64        // instructions executed
	Errors uint64        // runs that ended with an error
	Time   time.Duration // of all runs; 0 without Options.Timing
}

// counters are the stats of one virtual CPU, so that runs share no cache line.
type counters struct {
	runs, insns, errors, nanos atomic.Uint64
	_                          [128 - 4*8]byte
}

func newCounters() []counters { return make([]counters, vcpu.Count()) }

// Stats returns what p has done so far.
func (p *Program) Stats() (s Stats) {
	if p == nil {
		return s
	}
	for i := range p.counters {
		c := &p.counters[i]
		s.Runs += c.runs.Load()
		s.Insns += c.insns.Load()
		s.Errors += c.errors.Load()
		s.Time += time.Duration(c.nanos.Load())
	}
	return s
}
