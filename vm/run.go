package vm

import (
	"context"
	"fmt"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/vcpu"
)

// Packet is a packet with room to grow in.
type Packet = helpers.Packet

// NewPacket returns a packet that holds a copy of data, with room before and
// after it.
func NewPacket(data []byte, headroom, tailroom int) *Packet {
	buf := make([]byte, headroom+len(data)+tailroom)
	copy(buf[headroom:], data)
	return &Packet{Buf: buf, Meta: headroom, Head: headroom, Tail: headroom + len(data)}
}

// RunContext is Run that ends with context.Cause(ctx) when ctx is done. On js/wasm
// that is for timers and other goroutines to see to: events of JavaScript wait
// until the run is over.
func (p *Program) RunContext(ctx context.Context, in any) (uint64, error) {
	return p.run(ctx, in, nil, nil)
}

// RunOptions are what a run may be given beyond its input.
type RunOptions struct {
	// Fields sets scalar fields of the context by name, after Prepare.
	Fields map[string]uint64
	// Objects are what fields of the context point to, by name: a socket
	// (linux.Socket) for "sk". A field without one is null, or, if the type
	// says that it never is, leads to an object of zeros.
	Objects map[string]hook.Object
	// State is called before the run, with what helpers keep during it
	// (hook.Type.NewState; a *linux.State), or nil: what only this run knows goes
	// there.
	State func(state any)
	// MaxInsns replaces Options.MaxInsns for this run if it is not 0.
	MaxInsns int64
	// Observe is called before each instruction with the program that runs
	// (another one after a tail call), the slot, and R0 to R10, aliased.
	Observe func(p *Program, pc int, regs *[16]uint64)
	// Outcome is called after a run that had no error, before its slot is
	// reused, with what helpers kept (hook.Type.NewState), or nil.
	Outcome func(state any)
}

// A Result says all that a run has to say.
type Result struct {
	R0      uint64
	Verdict string // name of R0
	Insns   uint64 // instructions executed; counted also if the run failed
	Packet  []byte // the packet after the run, aliased; nil if there was none
	Fields  map[string]uint64
}

// Do is RunContext with options and a full result. It
// allocates.
func (p *Program) Do(ctx context.Context, in any, o RunOptions) (Result, error) {
	var r Result
	r0, err := p.run(ctx, in, &o, &r)
	if err == nil {
		r.R0 = r0
		r.Verdict = p.typ.Verdict(r0)
	}
	return r, err
}

// run is Do, with what the caller does not ask for left out. ctx may be nil.
func (p *Program) run(ctx context.Context, in any, o *RunOptions, res *Result) (r0 uint64, err error) {
	s, err := p.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := s.give(in); err != nil {
		return 0, err
	}
	if o != nil {
		if err := s.apply(o); err != nil {
			return 0, err
		}
	}
	r0, err = s.exec.exec()
	s.ok = err == nil
	s.takeBack(in)
	if res != nil {
		s.report(o, res, err)
	}
	return r0, err
}

// open leases a slot for a run of p. The caller gives it the input, calls
// exec, and must call close, which it defers: helpers may panic.
func (p *Program) open(ctx context.Context) (*slot, error) {
	switch {
	case p == nil:
		return nil, ErrNoProgram
	case p.err != nil:
		return nil, p.err
	}
	cpu := vcpu.Lease()
	if p.coll.closed.Load() { // asked after the lease, which keeps the code
		cpu.Release()
		return nil, fmt.Errorf("program %s: %w", p.name, ErrClosed)
	}
	s := slotOf(cpu)
	s.lease = cpu
	s.run.Context = ctx
	s.begin(p)
	return s, nil
}

// close counts the run and ends the lease. What the run has borrowed goes back,
// however the run ended.
func (s *slot) close() {
	p, cpu := s.prog, s.lease
	var errors, nanos uint64
	if !s.ok {
		errors = 1
	}
	if p.coll.opts.Timing {
		nanos = uint64(time.Since(s.started))
	}
	p.stats.count(cpu, s.exec.insns(), errors, nanos)
	s.end()
	cpu.Release()
}
