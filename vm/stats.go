package vm

import (
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// Stats is what a program has done so far. Runs that go on do not count yet.
type Stats struct {
	Runs   uint64
	Insns  uint64        // instructions executed
	Errors uint64        // runs that ended with an error
	Time   time.Duration // of all runs; 0 without Options.Timing
}

// counters are the stats of the runs in one slot, so that no two runs share a
// cache line.
type counters struct {
	runs, insns, errors, nanos atomic.Uint64
	leaves                     atomic.Uint64 // runs of stats.weight instructions each
	_                          [128 - 5*8]byte
}

// stats are the counters of a program, by the index of the virtual CPU.
type stats struct {
	perCPU []atomic.Pointer[counters] // nil: it has run nothing
	shared counters                   // of CPUs without an index
	weight uint64                     // see counters.leaves
}

func newStats() stats {
	return stats{perCPU: make([]atomic.Pointer[counters], vcpu.Indices())}
}

// of returns the counters for runs on c; nil: those of shared.
func (s *stats) of(c *vcpu.CPU) *counters {
	i := c.Index()
	if i < 0 {
		return nil
	}
	n := s.perCPU[i].Load()
	if n == nil {
		n = new(counters)
		s.perCPU[i].Store(n)
	}
	return n
}

// count notes a run on c.
func (s *stats) count(c *vcpu.CPU, insns, errors, nanos uint64) {
	n := s.of(c)
	if n == nil {
		s.shared.runs.Add(1)
		s.shared.insns.Add(insns)
		s.shared.errors.Add(errors)
		s.shared.nanos.Add(nanos)
		return
	}
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, insns)
	if errors != 0 {
		mem.Count(&n.errors, errors)
	}
	if nanos != 0 {
		mem.Count(&n.nanos, nanos)
	}
}

// Stats returns what p has done so far.
func (p *Program) Stats() (s Stats) {
	if p == nil || p.stats.perCPU == nil {
		return s
	}
	s.add(&p.stats.shared, 0)
	for i := range p.stats.perCPU {
		if n := p.stats.perCPU[i].Load(); n != nil {
			s.add(n, p.stats.weight)
		}
	}
	return s
}

func (s *Stats) add(n *counters, weight uint64) {
	leaves := n.leaves.Load()
	s.Runs += n.runs.Load() + leaves
	s.Insns += n.insns.Load() + leaves*weight
	s.Errors += n.errors.Load()
	s.Time += time.Duration(n.nanos.Load())
}
