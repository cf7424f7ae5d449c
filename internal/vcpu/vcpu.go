// Package vcpu holds the virtual CPUs of the process: leases, and the epochs
// that say when memory a program could reach may be used again.
//
// A run leases a CPU, which gives it a number for per-CPU maps, a place for
// its owner's memory, and an epoch. Leases are cheap and sticky: a goroutine
// that runs programs again and again finds the CPU it had. When every CPU is
// taken, as happens when helpers block, an overflow CPU is handed out, whose
// number another run may have too. Nothing here ever blocks.
//
// # The reclamation rule
//
// Whoever takes a thing away from programs (a map value, a link, a page of
// code) first unlinks it, then calls Retired and keeps the tag, and may use
// its memory again once Passed(tag) is true.
//
//	global   epoch            a counter that only grows, from 1
//	CPU      state            0: idle; otherwise the epoch read when the run began
//
//	run      e := epoch;  state := e;  … reads shared links …;  state := 0
//	retire   unlink X;  tag := epoch
//	passed   if epoch = tag, make it tag+1;  no state holds e with 0 < e ≤ tag
//
// The end of a run needs only release order: whoever sees it sees all that the
// run did. Hence it costs a plain store on amd64.
//
// Sound: let a run begin with epoch e, and suppose it reached X, retired at
// tag, while Passed(tag) was true. All accesses above but the end of a run are
// atomic operations, which Go puts into one total order. When Passed scanned the run's CPU it saw
// one of three things. A state of 0, or an earlier run's, from before the run
// published: then unlink, scan, publication and the run's reads are in this
// order, so the run cannot have found X. A state e > tag: the run read the epoch
// after it had become tag+1, which is after the tag was taken, which is after
// the unlinking; again it cannot have found X. Or a state of 0, or a later
// run's, from after the run ended: then it holds X no more. The state e ≤ tag
// makes Passed false. A run that reads the epoch, is delayed, and publishes a
// value long past is the first case: its e is too small, which delays others'
// reclamation and endangers nothing.
//
// Once true, Passed(tag) stays true: a thing with that tag was unlinked before
// the epoch became tag+1, hence before the scan.
package vcpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// standing is how many CPUs there are for each number: one that has it alone
// while the CPU is leased, and the rest for overflow, kept with their Data.
const standing = 4

// hints is how many goroutines' last CPUs are remembered, by stack address.
const hints = 256

// hintOf returns the place of the hint for the goroutine with stack address sp.
// Stacks are at least 2 KB apart, large ones much more.
func hintOf(sp uintptr) uintptr { return (sp>>11 ^ sp>>15) % hints }

const (
	idle = 0
	dead = ^uint64(0) // an overflow CPU that was given back for good
)

// A CPU is a virtual CPU that is leased.
type CPU struct {
	state atomic.Uint64
	id    int32
	index int32 // among the standing CPUs; -1: it is none
	next  atomic.Pointer[CPU]

	// Data belongs to the lease holder, who may leave memory there for the
	// next one: contents survive Release, except on overflow CPUs beyond the
	// standing ones. Every holder in the process shares it, so it must be of
	// a type that tells whose it is.
	Data any

	_ [128 - 16 - 3*unsafe.Sizeof(uintptr(0))]byte // two cache lines, since prefetchers fetch pairs
}

// A Pin keeps what its holder finds from being reused, like a lease, but takes
// no CPU away from programs.
type Pin CPU

var (
	epoch  atomic.Uint64
	passed atomic.Uint64 // the largest tag known to have passed

	setup = sync.OnceFunc(start)
	ready atomic.Bool
	count int
	runs  set // CPUs that programs run on
	pins  set
)

// A set is a group of CPUs to lease from.
type set struct {
	fixed  []CPU
	hint   [hints]atomic.Pointer[CPU] // by stack: the CPU it had last
	alone  uint32                     // how many of fixed have an ID of their own; they come first
	extra  atomic.Pointer[CPU]        // overflow beyond fixed: a list
	gone   atomic.Int64               // dead CPUs in extra
	live   atomic.Int64               // leased CPUs in extra
	sweeps atomic.Bool                // held by whoever unlinks the dead ones
}

func start() {
	count = max(runtime.GOMAXPROCS(0), runtime.NumCPU())
	epoch.Store(1)
	runs.init(count)
	pins.init(count)
	ready.Store(true)
}

func (s *set) init(n int) {
	s.fixed = make([]CPU, n*standing)
	for i := range s.fixed {
		s.fixed[i].id = int32(i % n)
		s.fixed[i].index = int32(i)
	}
	s.alone = uint32(n)
	for i := range s.hint {
		s.hint[i].Store(&s.fixed[i%n])
	}
}

// Count returns the number of virtual CPUs. It never changes during the life
// of the process: the larger of GOMAXPROCS and the machine's CPUs at first use.
func Count() int {
	if !ready.Load() {
		setup()
	}
	return count
}

// A Place is where a goroutine's last CPU is remembered.
type Place atomic.Pointer[CPU]

// Here returns the place of this goroutine, which it may share with others.
//
// Last, then Try, then p.Lease if that says no, are Lease, for who wants to look
// something up for the CPU meanwhile.
func Here() *Place {
	var here byte
	return (*Place)(&runs.hint[hintOf(uintptr(unsafe.Pointer(&here)))])
}

// Last returns the CPU that was last leased from p, or nil. It is not leased: that
// takes Try, which may say no.
func (p *Place) Last() *CPU { return (*atomic.Pointer[CPU])(p).Load() }

// Lease is the function Lease, at p, whose last CPU is taken.
func (p *Place) Lease() *CPU { return runs.search((*atomic.Pointer[CPU])(p)) }

// Try leases c, and reports whether it could.
func (c *CPU) Try() bool { return c.state.CompareAndSwap(idle, epoch.Load()) }

// Lease returns a CPU for one run, and for whatever runs are nested in it: they
// use the same CPU and need no lease of their own. The caller calls Release
// when the outermost run has ended; until then nothing that the run could have
// found is reused.
func Lease() *CPU {
	var here byte
	h := &runs.hint[hintOf(uintptr(unsafe.Pointer(&here)))]
	if c := h.Load(); c != nil && c.Try() {
		return c
	}
	return runs.search(h)
}

// NewPin pins for Go code that follows links which programs follow too. The
// holder calls Unpin soon.
func NewPin() *Pin {
	var here byte
	h := &pins.hint[hintOf(uintptr(unsafe.Pointer(&here)))]
	if c := h.Load(); c != nil && c.Try() {
		return (*Pin)(c)
	}
	return (*Pin)(pins.search(h))
}

// search takes a CPU, since that of the hint h is taken, or nothing was set up
// yet.
func (s *set) search(h *atomic.Pointer[CPU]) *CPU {
	if !ready.Load() {
		setup()
	}
	first := uint32(h.Load().index)
	for i := range s.alone {
		if c := &s.fixed[(first+i)%s.alone]; c.take() {
			h.Store(c) // only CPUs with a number of their own are remembered
			return c
		}
	}
	for j := int(s.alone + first); j < len(s.fixed); j++ {
		if c := &s.fixed[j]; c.take() {
			return c
		}
	}
	return s.overflow(first)
}

func (c *CPU) take() bool {
	return c.state.Load() == idle && c.Try()
}

// overflow makes a CPU that lives for one lease. It is found by Passed, through
// the list, before its holder reads anything.
func (s *set) overflow(seed uint32) *CPU {
	c := &CPU{id: int32((uint32(s.live.Add(1)) + seed) % s.alone), index: -1}
	c.state.Store(epoch.Load())
	for {
		head := s.extra.Load()
		c.next.Store(head)
		if s.extra.CompareAndSwap(head, c) {
			return c
		}
	}
}

// ID returns the CPU's number: 0 ≤ ID < Count. Leases have different numbers
// unless more than Count were held at once: each beyond shares another's.
func (c *CPU) ID() int { return int(c.id) }

// Index returns a number below Indices that no other lease has at the same
// time, or -1 for a CPU that lives for one lease.
func (c *CPU) Index() int { return int(c.index) }

// Indices returns how many different indices CPUs have. It never changes.
func Indices() int { return Count() * standing }

// Release ends the lease. The caller must not use c afterwards.
func (c *CPU) Release() {
	if c.index >= 0 {
		c.leave()
		return
	}
	runs.drop(c)
}

// Unpin ends the pin. The caller must not use p afterwards.
func (p *Pin) Unpin() {
	if c := (*CPU)(p); c.index >= 0 {
		c.leave()
	} else {
		pins.drop(c)
	}
}

// drop gives back a CPU that overflow made, and now and then unlinks those that
// were given back: when they outnumber the others, so each costs O(1).
func (s *set) drop(c *CPU) {
	c.Data = nil
	c.state.Store(dead)
	live := s.live.Add(-1)
	if s.gone.Add(1) > live+16 && s.sweeps.CompareAndSwap(false, true) {
		s.sweep()
		s.sweeps.Store(false)
	}
}

// sweep unlinks dead CPUs. Only one goroutine sweeps at a time, and others only
// add at the head, so a node behind the head changes under nobody's hands. The
// head itself stays. Whoever stands on an unlinked node walks on through next.
func (s *set) sweep() {
	p := s.extra.Load()
	if p == nil {
		return
	}
	for c := p.next.Load(); c != nil; c = c.next.Load() {
		if c.state.Load() == dead {
			p.next.Store(c.next.Load())
			s.gone.Add(-1)
		} else {
			p = c
		}
	}
}

// Retired returns the tag of a thing that was unlinked before the call.
func Retired() uint64 {
	if !ready.Load() {
		setup()
	}
	return epoch.Load()
}

// Passed reports whether every run and pin that could have found a thing
// retired at tag has ended. Once true it stays true. It reads every CPU's
// state, so callers ask about many retired things at once: what holds for a
// tag holds for all smaller ones.
func Passed(tag uint64) bool {
	if tag <= passed.Load() {
		return true
	}
	if epoch.Load() <= tag {
		// New runs must begin with a larger epoch than tag. Tags come from
		// Retired, so the epoch is tag and one step is enough.
		epoch.CompareAndSwap(tag, tag+1)
		if epoch.Load() <= tag {
			return false // not a tag that Retired gave
		}
	}
	if runs.holds(tag) || pins.holds(tag) {
		return false
	}
	for {
		p := passed.Load()
		if p >= tag || passed.CompareAndSwap(p, tag) {
			return true
		}
	}
}

// KnownPassed reports whether Passed(tag) was true for this tag or a larger one
// before. It reads one word.
func KnownPassed(tag uint64) bool { return tag <= passed.Load() }

// holds reports whether a CPU of s runs with an epoch up to tag.
func (s *set) holds(tag uint64) bool {
	for i := range s.fixed {
		if e := s.fixed[i].state.Load(); e != idle && e <= tag {
			return true
		}
	}
	for c := s.extra.Load(); c != nil; c = c.next.Load() {
		if e := c.state.Load(); e <= tag { // dead is larger than any tag
			return true
		}
	}
	return false
}
