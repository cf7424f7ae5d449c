package vm

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/internal/vcpu"
)

// A quick is what a run of a program needs that calls nothing of its host:
// nothing is there then that asks for the packet, lends memory or panics, so a
// run is a lease, the context's fields that the program touches, and the code.
// The compiler knows no better than to do what is written here, so it is
// written to take few instructions and no second look at memory.
type quick struct {
	entry   uintptr
	room    int       // words of the context
	weight  uint64    // instructions of a run beyond those that the meter counts
	words   []ctxWord // what the code touches of the context
	others  bool      // it touches other fields, too
	metered bool
	cpus    uint64 // the bits of the run's CPU that the code sees: all, or none
	granted uint64 // what the meter begins with
	left    uint64 // what it may get after that
}

// A ctxWord is a context field that follows the packet.
type ctxWord struct {
	word uint32 // in the host's bytes, in words of 8
	end  bool   // it is the packet's end, otherwise its beginning
}

// offerLean makes quick runs possible in s if all that they need is there.
func (s *slot) offerLean() {
	if s.native.slot != nil {
		s.lean.words, s.lean.addr = s.words, mem.Addr(s.space)
	}
}

// newQuick returns nil if runs of p need more.
func newQuick(p *Program) *quick {
	n := p.native
	if n == nil || len(n.code.Calls()) > 0 || p.typ.Input != hook.InputPacket || p.coll.opts.Timing {
		return nil
	}
	q := &quick{
		entry:   n.main(),
		room:    (p.ctxRoom + 7) / 8,
		weight:  uint64(n.code.Weight()),
		metered: n.code.Metered(),
		cpus:    ^uint64(0),
	}
	if p.coll.opts.Deterministic {
		q.cpus = 0
	}
	limit := meterLimit(p.maxInsns, n)
	q.granted = min(slice, limit)
	q.left = limit - q.granted
	for _, f := range n.code.Fields() {
		switch f.Kind {
		case hook.FieldPacket, hook.FieldPacketEnd, hook.FieldPacketMeta:
			if f.HostOff%8 != 0 {
				return nil
			}
			q.words = append(q.words, ctxWord{f.HostOff / 8, f.Kind == hook.FieldPacketEnd})
		default:
			if f.Kind == hook.FieldObject && !f.Nullable {
				return nil // there has to be an object
			}
			q.others = true
		}
	}
	return q
}

// uncancelled is the context of runs that nothing ends: none.
var uncancelled context.Context

// slots are the slots of virtual CPUs by their index, as far as there is room.
// Only who has leased the CPU may use the slot.
var slots [1024]atomic.Pointer[slot]

// A lean is what quick runs need of a slot.
type lean struct {
	words []uint64 // of the context; empty until a run has made the slot ready
	addr  uint64   // of words

	// What ran last, and where it is counted.
	last     *quick
	counters *counters
}

// Run runs the program and returns its R0; hook.Type.Verdict names it. What in
// must be depends on the program's type:
//
//	InputPacket    []byte    the packet, which the program reads and writes in place
//	               *Packet   the same, and it can grow and shrink: Run updates its fields
//	InputContext   []byte    the context in the program's layout; stores come back in it
//	InputTyped     *T        of hook.Define[T]; fields that programs may write come back in it
//
// nil stands for an empty packet, or a context of zeros. Run does not keep in.
//
// An error is a *Fault, or says that the program or its input is not one that
// can run. The verdict is 0 then.
func (p *Program) Run(in any) (uint64, error) {
	b, ok := in.([]byte)
	if !ok || p == nil || len(b) > MaxPacket {
		return p.run(uncancelled, in, nil, nil)
	}
	if p.quick.Load() == nil {
		return p.run(uncancelled, in, nil, nil) // lets b escape: its memory does not move
	}
	cpu := vcpu.Last()
	if cpu == nil || cpu.Index() >= len(slots) {
		return p.run(uncancelled, in, nil, nil)
	}
	s := slots[cpu.Index()].Load()
	if s == nil || !cpu.Try() {
		return p.run(uncancelled, in, nil, nil)
	}
	q := p.quick.Load() // after the lease, which keeps the code: it is nil when the collection is closed
	if q == nil || q.room > len(s.lean.words) || s.lean.last != q && !s.meet(p, q, cpu) {
		cpu.Release()
		return p.run(uncancelled, in, nil, nil)
	}
	if q.others {
		p.prepare(s, cpu, b)
	}
	head := (*[0]byte)(b)
	if len(q.words) > 0 {
		at := mem.Addr(b)
		if at == 0 {
			at = mem.Addr(noPacket) // pointers to the packet are never null
		}
		for _, w := range q.words {
			if w.end {
				s.lean.words[w.word] = at + uint64(len(b))
			} else {
				s.lean.words[w.word] = at
			}
		}
	}
	m := &s.native
	c := m.rt.Context
	c.Arg[0] = s.lean.addr
	c.Frame = m.top
	c.CPU = uint64(cpu.ID()) & q.cpus
	n, insns := s.lean.counters, q.weight
	if q.metered {
		m.cur, m.left, m.given = p, q.left, q.granted
		c.Meter = int64(q.granted)
	}
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(head)
	runtime.KeepAlive(p) // and with it the code, and the maps whose addresses are in it
	if q.metered {
		insns += m.given - uint64(c.Meter)
		m.cur = nil
	}
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, insns)
	if exit != rt.Done {
		return 0, s.stopped(cpu)
	}
	r0 := c.R0
	cpu.Release()
	return r0, nil
}

// stopped ends a quick run that was cut short, and returns why.
func (s *slot) stopped(cpu *vcpu.CPU) error {
	m := &s.native
	err := m.err
	m.err = nil
	m.rt.Context.Resume()
	mem.Count(&s.lean.counters.errors, 1)
	cpu.Release()
	return err
}

// meet makes q, which is p's, what ran last on cpu. ok is false if runs there
// are counted elsewhere.
func (s *slot) meet(p *Program, q *quick, cpu *vcpu.CPU) (ok bool) {
	n := p.stats.of(cpu)
	if n == nil {
		return false
	}
	s.lean.last, s.lean.counters = q, n
	return true
}

// prepare fills the context but for the packet's pointers. The host's own
// Prepare may panic; then the lease ends.
func (p *Program) prepare(s *slot, cpu *vcpu.CPU, b []byte) {
	clear(s.space[:p.ctxRoom])
	prepare := p.typ.Prepare
	if prepare == nil {
		return
	}
	panics := true
	defer func() {
		s.pkt = helpers.Packet{}
		if panics {
			cpu.Release()
		}
	}()
	s.pkt = helpers.Packet{Buf: b, Tail: len(b)}
	prepare(s.space[:p.typ.Ctx.HostSize], &s.pkt)
	panics = false
}
