package vm

import (
	"context"
	"runtime"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/jit"
)

// A quick is what a run of a program needs as long as it calls nothing of its
// host: nothing is there then that asks for the packet, lends memory or panics, so
// a run is a lease, the context's fields that the program touches, and the code.
// The compiler knows no better than to do what is written here, so it is
// written to take few instructions and no second look at memory.
type quick struct {
	entry   uintptr
	room    int       // words of the context
	weight  uint64    // instructions of a run beyond those that the meter counts
	words   []ctxWord // what the code touches of the context
	others  bool      // it touches other fields, too
	leaf    bool      // neither others nor what follows
	metered bool
	calls   bool   // it may leave for the host
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
		s.lean.words, s.lean.addr, s.lean.last = s.words, mem.Addr(s.space), nil
	}
}

// newQuick returns nil if runs of p need more.
func newQuick(p *Program) *quick {
	n := p.native
	if n == nil || p.typ.Input != hook.InputPacket || p.coll.opts.Timing {
		return nil
	}
	q := &quick{
		entry:   n.main(),
		room:    (p.ctxRoom + 7) / 8,
		weight:  uint64(n.code.Weight()),
		metered: n.code.Metered(),
		calls:   len(n.code.Calls()) > 0,
		cpus:    ^uint64(0),
	}
	if q.calls && len(p.objects) > 0 {
		return nil
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
	if q.calls && p.typ.Prepare != nil {
		q.others = true // a helper may look, and Prepare comes before the program
	}
	if slices.ContainsFunc(n.code.Calls(), func(c jit.Call) bool { return c.Kind == jit.CallTail }) {
		return q.tails(p)
	}
	q.leaf = !q.others && !q.metered && !q.calls
	p.stats.weight = q.weight
	return q
}

// tails makes q fit for programs that p makes tail calls to: they are metered, and
// may look at the whole context.
func (q *quick) tails(p *Program) *quick {
	q.metered, q.others, q.words = true, true, nil
	for _, f := range p.packetFields {
		if f.off%8 != 0 {
			return nil
		}
		q.words = append(q.words, ctxWord{f.off / 8, f.kind == hook.FieldPacketEnd})
	}
	return q
}

// uncancelled is the context of runs that nothing ends: none.
var uncancelled context.Context

// A lean is what quick runs need of a slot.
type lean struct {
	words []uint64 // of the context; empty until a run has made the slot ready
	addr  uint64   // of words

	// What the slot is ready for, and where that is counted: the context is in
	// place as a leaf needs it, but for the packet. nil: for nothing.
	last     *quick
	counters *counters
	cpu      *vcpu.CPU

	// Of runs that may leave for the host: the packet, in case they do.
	pkt helpers.Packet
}

// Run runs the program and returns its R0; hook.Type.Verdict names it. What in
// must be depends on the program's type:
//
//	InputPacket    []byte    the packet, which the program reads and writes in place
//	               *Packet   the same, and it can grow and shrink: Run updates its fields
//	InputContext   []byte    the context in the program's layout; stores come back in it
//	InputTyped     []byte    what the struct's hook.Bytes is, other fields 0; RunTyped
//	                         and HookOf.Run take the struct of hook.Define
//
// nil stands for an empty packet, or a context of zeros. Run does not keep in.
//
// An error is a *Fault, or says that the program or its input is not one that
// can run. The verdict is 0 then.
func (p *Program) Run(in any) (uint64, error) {
	b, ok := in.([]byte)
	if !ok || p == nil || len(b) > MaxPacket {
		return p.runQuick(in)
	}
	cpu := vcpu.Here().Last()
	if cpu == nil || !cpu.Try() {
		return p.runQuick(in)
	}
	s, ok := cpu.Data.(*slot)
	q := p.quick.Load() // after the lease, which keeps the code: it is nil when the collection is closed
	if !ok || q == nil || s.lean.last != q {
		return p.runLeased(cpu, in, b, nil)
	}
	if !q.leaf {
		return p.runOn(s, cpu, q, b, nil)
	}
	if len(q.words) > 0 {
		s.lean.place(q, b)
	}
	head := (*[0]byte)(b)
	r0 := rt.Leaf(s.native.rt.Context, q.entry)
	runtime.KeepAlive(head)
	runtime.KeepAlive(p) // and with it the code, and the maps whose addresses are in it
	mem.Count(&s.lean.counters.leaves, 1)
	s.lean.cpu.Release()
	return r0, nil
}

// runQuick is Run if the input is no slice of bytes, or the likeliest CPU is taken.
func (p *Program) runQuick(in any) (uint64, error) {
	b, ok := in.([]byte)
	var v *Packet
	if !ok {
		v, b = quickPacket(in)
		ok = v != nil
	}
	if !ok || p == nil || len(b) > MaxPacket || p.quick.Load() == nil {
		return p.run(uncancelled, in, nil, nil) // lets b escape: its memory does not move
	}
	return p.runLeased(vcpu.Lease(), in, b, v)
}

// runLeased is runQuick with a CPU. v or, if it is nil, b is the packet in in.
func (p *Program) runLeased(cpu *vcpu.CPU, in any, b []byte, v *Packet) (uint64, error) {
	s, ok := cpu.Data.(*slot)
	q := p.quick.Load()
	if !ok || q == nil || s.lean.last != q {
		if s = p.ready(cpu, q); s == nil {
			return p.run(uncancelled, in, nil, nil)
		}
	}
	return p.runOn(s, cpu, q, b, v)
}

// runOn runs p on cpu, whose slot s has met q.
func (p *Program) runOn(s *slot, cpu *vcpu.CPU, q *quick, b []byte, v *Packet) (uint64, error) {
	if q.others {
		p.prepare(s, cpu, b, v)
	}
	if len(q.words) > 0 {
		s.lean.place(q, b)
	}
	m := &s.native
	c := m.rt.Context
	c.Arg[0] = s.lean.addr
	c.Frame = m.top
	if q.calls {
		return p.runCalls(s, q, b, v)
	}
	head := (*[0]byte)(b)
	n, insns := s.lean.counters, q.weight
	if q.metered {
		m.cur, m.left, m.given = p, q.left, q.granted
		c.Meter = int64(q.granted)
	}
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(head)
	runtime.KeepAlive(p)
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

// quickPacket returns the packet that in points to, and its bytes, if a quick run
// may have it; nil otherwise. It has bytes, lest an address after the last of the
// buffer be needed, and no metadata.
func quickPacket(in any) (v *Packet, b []byte) {
	v, _ = in.(*Packet)
	if v == nil || v.Head >= v.Tail || v.Meta != v.Head || checkPacket(v) != nil {
		return nil, nil
	}
	return v, v.Data()
}

// setTo makes p what v is or, if that is nil, b: word by word (see setPacket).
func setTo(p *helpers.Packet, b []byte, v *Packet) {
	if v != nil {
		p.Buf, p.Meta, p.Head, p.Tail = v.Buf, v.Meta, v.Head, v.Tail
		return
	}
	p.Buf, p.Meta, p.Head, p.Tail = b[:len(b):len(b)], 0, 0, len(b)
}

// ready returns the slot of cpu, which is leased, ready for a quick run; or nil, and
// the lease is over, if there can be none.
func (p *Program) ready(cpu *vcpu.CPU, q *quick) *slot {
	if q != nil && cpu.Index() >= 0 {
		s := slotOf(cpu)
		s.native.prepare(s)
		if q.room > len(s.words) {
			s.room(8 * q.room)
		}
		if s.meet(p, q, cpu) {
			return s
		}
	}
	cpu.Release()
	return nil
}

// place puts the addresses of the packet into the context.
func (l *lean) place(q *quick, b []byte) {
	at := packetAddr(b)
	for _, w := range q.words {
		if w.end {
			l.words[w.word] = at + uint64(len(b))
		} else {
			l.words[w.word] = at
		}
	}
}

// packetAddr returns the address of a packet: pointers to one are never null.
func packetAddr(b []byte) uint64 {
	if at := mem.Addr(b); at != 0 {
		return at
	}
	return mem.Addr(noPacket)
}

// runCalls is what remains of a quick run that may leave for the host: what helpers
// need is made ready when one asks for it (early).
func (p *Program) runCalls(s *slot, q *quick, b []byte, v *Packet) (r0 uint64, err error) {
	m := &s.native
	c := m.rt.Context
	setTo(&s.lean.pkt, b, v)
	c.Packet = packetAddr(b)
	c.PacketEnd = c.Packet + uint64(len(b))
	c.Tails, c.Kind, c.Meter = rt.MaxTails, p.target.Kind, 0
	m.cur, m.frame, m.left, m.given, m.fixed = p, m.top, q.left, 0, q.weight
	if q.metered {
		c.Meter, m.given = int64(q.granted), q.granted
	}
	m.rt.Go(&p.target)
	defer s.leave() // helpers may panic
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(b)
	runtime.KeepAlive(p)
	if v != nil && s.prog != nil {
		s.takeBack(v)
	}
	if exit != rt.Done && !m.caught() {
		return 0, m.err
	}
	s.ok = true
	return c.R0, nil
}

// leave ends a quick run that could have left for the host. One that was cut short
// ends like any other: it may have borrowed something.
func (s *slot) leave() {
	if s.prog == nil && !s.ok {
		s.beginLate()
	}
	if s.prog != nil {
		s.lean.last = nil // what it is ready for is not what a quick run begins with
		s.close()
		return
	}
	m, n := &s.native, s.lean.counters
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, m.insns())
	m.cur, m.fixed, m.given, s.ok = nil, 0, 0, false
	m.rt.Leave()
	s.lean.pkt.Buf = nil
	s.lean.cpu.Release()
}

// beginLate makes s ready for helpers, in the middle of a quick run.
func (s *slot) beginLate() {
	p, kept := s.native.cur, &s.lean.pkt
	s.native.rt.Env = s
	s.lease = s.lean.cpu
	s.beginWith(p, s.space[:p.ctxRoom:p.ctxRoom])
	if !s.lean.last.others { // what the program did not ask for is not there yet
		clear(s.ctx)
	}
	setTo(&s.pkt, nil, kept)
	kept.Buf = nil
	s.SetPacket()
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
	s.lean.last, s.lean.counters, s.lean.cpu = q, n, cpu
	s.native.rt.Env, s.ok = (*early)(s), false
	c := s.native.rt.Context
	c.Arg[0] = s.lean.addr
	c.Frame = s.native.top
	c.CPU = uint64(cpu.ID()) & q.cpus
	return true
}

// prepare fills the context but for the packet's pointers. The host's own
// Prepare may panic; then the lease ends.
func (p *Program) prepare(s *slot, cpu *vcpu.CPU, b []byte, v *Packet) {
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
	setTo(&s.pkt, b, v)
	prepare(s.space[:p.typ.Ctx.HostSize], &s.pkt)
	panics = false
}
