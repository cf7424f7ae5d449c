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

// A quick is what a run of a program needs as long as it asks nothing of its host:
// nothing is there then that wants the packet, lends memory or panics, so a run is a
// lease, what the program sees of its context, and the code. What is the same each
// time stays in the slot (meet).
// The compiler knows no better than to do what is written here, so it is
// written to take few instructions and no second look at memory.
type quick struct {
	entry   uintptr
	leaf    bool // a run is the packet's place in the context, and the code
	packet  bool // it may look where the packet is: the words data and end
	calls   bool // it may leave for the host
	metered bool
	whole   bool // it may look at the whole context, or others for it
	each    bool // which is made before each run: it does not stay as it is

	data, end uint32    // words of the context
	more      []ctxWord // others that follow the packet

	room    int    // words of the context
	cpus    uint64 // the bits of the run's CPU that the code sees: all, or none
	weight  uint64 // instructions of a run beyond those that the meter counts
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
	calls := n.code.Calls()
	tails := slices.ContainsFunc(calls, func(c jit.Call) bool { return c.Kind == jit.CallTail })
	q := &quick{
		entry:   n.main(),
		room:    (p.ctxRoom + 7) / 8,
		weight:  uint64(n.code.Weight()),
		metered: n.code.Metered() || tails, // targets may be
		calls:   len(calls) > 0,
		whole:   tails,
		cpus:    ^uint64(0),
	}
	if q.calls && len(p.objects) > 0 {
		return nil
	}
	if p.coll.opts.Deterministic {
		q.cpus = 0
	}
	q.left = meterLimit(p.maxInsns, n)
	if q.metered {
		q.granted = min(slice, q.left)
		q.left -= q.granted
	}
	seen := func(uint32) bool { return tails }
	if !tails {
		fields := n.code.Fields()
		seen = func(off uint32) bool {
			return slices.ContainsFunc(fields, func(f *hook.Field) bool { return f.HostOff == off })
		}
		for _, f := range fields {
			switch f.Kind {
			case hook.FieldPacket, hook.FieldPacketEnd, hook.FieldPacketMeta:
			default:
				if f.Kind == hook.FieldObject && !f.Nullable {
					return nil // there has to be an object
				}
				q.whole = true
			}
		}
	}
	if !q.follow(p.packetFields, seen) {
		return nil
	}
	if q.calls && (p.typ.Prepare != nil || p.typ.Initial != nil) {
		q.whole = true // a helper may look, and Prepare comes before the program
	}
	q.each = q.whole && (p.typ.Ctx.Writable() || p.typ.Prepare != nil)
	q.leaf = !q.each && !q.metered && !q.calls
	p.stats.weight = q.weight
	return q
}

// follow notes which fields of a context follow the packet, of those that are seen.
// ok is false if they do not lie in words.
func (q *quick) follow(fields []packetField, seen func(off uint32) bool) (ok bool) {
	for _, f := range fields {
		if seen(f.off) {
			q.packet = true
		}
	}
	var first, last bool
	for _, f := range fields {
		word, end := f.off/8, f.kind == hook.FieldPacketEnd
		switch {
		case !q.packet:
		case f.off%8 != 0:
			return false
		case !end && !first:
			q.data, first = word, true
		case end && !last:
			q.end, last = word, true
		case seen(f.off):
			q.more = append(q.more, ctxWord{word, end})
		}
	}
	return !q.packet || first && last
}

// uncancelled is the context of runs that nothing ends: none.
var uncancelled context.Context

// A lean is what quick runs need of a slot.
type lean struct {
	words []uint64 // of the context; empty until a run has made the slot ready
	addr  uint64   // of words

	// What the slot is ready for, and where that is counted: all is in place, but
	// for what runs change (see meet). nil: for nothing.
	last     *quick
	counters *counters
	cpu      *vcpu.CPU
	whole    bool // last's

	// Of a run that may leave for the host: its packet, if it is more than bytes.
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
	if q.calls {
		return p.runCalls(s, cpu, q, b, nil)
	}
	if !q.leaf {
		return p.runOn(s, cpu, q, b, nil)
	}
	if q.packet {
		at := packetAddr(b)
		s.lean.place(q, at, at+uint64(len(b)))
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
		if s = p.ready(cpu, q, b, v); s == nil {
			return p.run(uncancelled, in, nil, nil)
		}
	}
	return p.runOn(s, cpu, q, b, v)
}

// runOn runs p on cpu, whose slot s has met q.
func (p *Program) runOn(s *slot, cpu *vcpu.CPU, q *quick, b []byte, v *Packet) (uint64, error) {
	if q.calls {
		return p.runCalls(s, cpu, q, b, v)
	}
	if q.each {
		p.prepare(s, cpu, b, v)
	}
	at := packetAddr(b)
	if q.packet {
		s.lean.place(q, at, at+uint64(len(b)))
	}
	m := &s.native
	c := m.rt.Context
	c.Frame = m.top
	c.Meter = int64(q.granted)
	head := (*[0]byte)(b)
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(head)
	runtime.KeepAlive(p)
	n := s.lean.counters
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, m.insns())
	if exit != rt.Done {
		return 0, s.stopped(cpu)
	}
	r0 := c.R0
	cpu.Release()
	return r0, nil
}

// runCalls is runOn for programs that may leave for the host: what helpers need is
// made ready when one asks for it (early).
func (p *Program) runCalls(s *slot, cpu *vcpu.CPU, q *quick, b []byte, v *Packet) (r0 uint64, err error) {
	if q.each {
		p.prepare(s, cpu, b, v)
	}
	at := packetAddr(b)
	end := at + uint64(len(b))
	if q.packet {
		s.lean.place(q, at, end)
	}
	m := &s.native
	c := m.rt.Context
	c.Arg[0] = s.lean.addr
	c.Frame = m.top
	c.Meter = int64(q.granted)
	c.Packet, c.PacketEnd = at, end
	c.Tails = rt.MaxTails
	m.rt.Again()
	if v != nil {
		setTo(&s.lean.pkt, nil, v)
	}
	ended := false
	defer func() {
		if !ended { // a helper panicked, or the rest of this function is not enough
			s.leave()
		}
	}()
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(b)
	runtime.KeepAlive(p)
	if exit == rt.Done && s.lean.last == q {
		ended = true
		n := s.lean.counters
		if q.metered {
			mem.Count(&n.runs, 1)
			mem.Count(&n.insns, q.weight+q.granted-uint64(c.Meter))
		} else {
			mem.Count(&n.leaves, 1)
		}
		if v != nil {
			s.lean.pkt.Buf = nil
		}
		r0 = c.R0
		cpu.Release()
		return r0, nil
	}
	if v != nil && s.prog != nil {
		s.takeBack(v)
	}
	if exit != rt.Done && !m.caught() {
		return 0, m.err
	}
	s.ok = true
	return c.R0, nil
}

// leave ends a quick run that has left for the host, and did more there than helpers
// do that need nothing. One that was cut short, or is not done with all that it
// holds, ends like any other.
func (s *slot) leave() {
	if ok := s.ok; s.prog == nil && (!ok || s.native.rt.Context.HeldTop > 0) {
		s.beginLate()
		s.ok = ok
	}
	s.lean.last, s.lean.pkt.Buf = nil, nil
	if s.prog != nil {
		s.close()
		return
	}
	m, n := &s.native, s.lean.counters
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, m.insns())
	s.ok = false
	s.lean.cpu.Release()
}

// beginLate makes s ready for helpers, in the middle of a quick run.
func (s *slot) beginLate() {
	m := &s.native
	p, c := m.running(), m.rt.Context
	at, end := c.Packet, c.PacketEnd
	m.rt.Env = s
	s.lease = s.lean.cpu
	s.beginWith(p, s.space[:p.ctxRoom:p.ctxRoom])
	if !s.lean.whole { // what the program did not ask for is not there yet
		clear(s.ctx)
	}
	if v := &s.lean.pkt; v.Buf != nil {
		setTo(&s.pkt, nil, v)
	} else {
		setTo(&s.pkt, mem.At(at, int(end-at)), nil)
	}
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

// ready returns the slot of cpu, which is leased, ready for a quick run on the packet
// that v or, if it is nil, b is; or nil, and the lease is over, if there can be none.
func (p *Program) ready(cpu *vcpu.CPU, q *quick, b []byte, v *Packet) *slot {
	if q != nil && cpu.Index() >= 0 {
		s := slotOf(cpu)
		s.native.prepare(s)
		if q.room > len(s.words) {
			s.room(8 * q.room)
		}
		if s.meet(p, q, cpu) {
			if q.whole && !q.each {
				p.prepare(s, cpu, b, v)
			}
			return s
		}
	}
	cpu.Release()
	return nil
}

// place puts the addresses of the packet into the context.
func (l *lean) place(q *quick, at, end uint64) {
	l.words[q.data], l.words[q.end] = at, end
	if q.more != nil {
		l.placeMore(q.more, at, end)
	}
}

func (l *lean) placeMore(words []ctxWord, at, end uint64) {
	for _, w := range words {
		l.words[w.word] = at
		if w.end {
			l.words[w.word] = end
		}
	}
}

// packetAddr returns the address of a packet: pointers to one are never null.
func packetAddr(b []byte) uint64 {
	if len(b) == 0 {
		b = noPacket
	}
	return mem.Addr(b)
}

// meet makes q, which is p's, what ran last on cpu, and the slot ready for it: what
// is set here stays so from run to run. A run that changes it, or goes on to need
// more, leaves last nil. ok is false if runs there are counted elsewhere.
func (s *slot) meet(p *Program, q *quick, cpu *vcpu.CPU) (ok bool) {
	n := p.stats.of(cpu)
	if n == nil {
		return false
	}
	s.lean.last, s.lean.counters, s.lean.cpu, s.lean.whole = q, n, cpu, q.whole
	m := &s.native
	m.rt.Env, s.ok = (*early)(s), false
	m.rt.Go(&p.target)
	m.frame, m.fixed, m.given, m.left = m.top, q.weight, q.granted, q.left
	c := m.rt.Context
	c.Arg[0] = s.lean.addr
	c.Frame = m.top
	c.Meter = int64(q.granted)
	c.CPU = uint64(cpu.ID()) & q.cpus
	c.Kind = p.target.Kind
	return true
}

// prepare fills the context but for the packet's pointers. The host's own
// Prepare may panic; then the lease ends.
func (p *Program) prepare(s *slot, cpu *vcpu.CPU, b []byte, v *Packet) {
	clear(s.space[:p.ctxRoom])
	copy(s.space, p.typ.Initial)
	if p.typ.Prepare == nil {
		return
	}
	panics := true
	defer func() {
		s.pkt = helpers.Packet{}
		if panics {
			s.lean.last = nil
			cpu.Release()
		}
	}()
	setTo(&s.pkt, b, v)
	p.typ.Prepare(s.space[:p.typ.Ctx.HostSize], &s.pkt)
	panics = false
}
