package vm

import (
	"encoding/binary"
	"runtime"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/internal/vcpu"
)

// A quick is what a run of a program needs that calls nothing of its host:
// nothing is there then that asks for the packet, lends memory or panics, so a
// run is a lease, the context's fields that the program touches, and the code.
type quick struct {
	entry   uintptr
	weight  uint64        // instructions of a run beyond those that the meter counts
	fields  []packetField // that the code touches
	others  bool          // it touches other fields, too
	metered bool
	granted uint64 // what the meter begins with
	left    uint64 // what it may get after that
	anyCPU  bool   // the run's CPU is always 0
}

// newQuick returns nil if runs of p need more.
func newQuick(p *Program) *quick {
	n := p.native
	if n == nil || len(n.code.Calls()) > 0 || p.typ.Input != hook.InputPacket || p.coll.opts.Timing {
		return nil
	}
	q := &quick{
		entry:   n.main(),
		weight:  uint64(n.code.Weight()),
		metered: n.code.Metered(),
		anyCPU:  p.coll.opts.Deterministic,
	}
	limit := meterLimit(p.maxInsns, n)
	q.granted = min(slice, limit)
	q.left = limit - q.granted
	for _, f := range n.code.Fields() {
		switch f.Kind {
		case hook.FieldPacket, hook.FieldPacketEnd, hook.FieldPacketMeta:
			q.fields = append(q.fields, packetField{f.HostOff, f.Kind})
		default:
			q.others = true
		}
	}
	return q
}

// runQuick runs p, which has a quick, on the packet b. ok is false if the run
// needs what no run before it has made: then nothing has happened.
//
// The caller lets b escape to the heap, where it does not move.
func (p *Program) runQuick(b []byte) (r0 uint64, err error, ok bool) {
	q := p.quick
	cpu := vcpu.Lease()
	s, _ := cpu.Data.(*slot)
	if s == nil || s.native.slot == nil || len(s.space) < p.ctxRoom || len(b) > MaxPacket || p.coll.closed.Load() {
		cpu.Release()
		return 0, nil, false
	}
	m, n := &s.native, p.stats.of(cpu)
	if n == nil {
		cpu.Release()
		return 0, nil, false
	}
	if q.others {
		p.prepare(s, cpu, b)
	}
	for i := range q.fields {
		f := &q.fields[i]
		at := mem.Addr(b)
		if at == 0 {
			at = mem.Addr(noPacket)
		}
		if f.kind == hook.FieldPacketEnd {
			at += uint64(len(b))
		}
		binary.NativeEndian.PutUint64(s.space[f.off:], at)
	}
	c := m.rt.Context
	c.Arg[0] = mem.Addr(s.space)
	c.Frame = m.top
	c.CPU = uint64(cpu.ID())
	if q.anyCPU {
		c.CPU = 0
	}
	insns := q.weight
	if q.metered {
		m.cur, m.left, m.given = p, q.left, q.granted
		c.Meter = int64(q.granted)
	}
	exit := rt.Enter(&m.rt, q.entry)
	runtime.KeepAlive(b)
	runtime.KeepAlive(p) // and with it the code, and the maps whose addresses are in it
	r0 = c.R0
	if q.metered {
		insns += m.given - uint64(c.Meter)
		m.cur = nil
	}
	mem.Count(&n.runs, 1)
	mem.Count(&n.insns, insns)
	if exit != rt.Done {
		mem.Count(&n.errors, 1)
		r0, err = 0, m.err
		m.err = nil
		c.Resume()
	}
	cpu.Release()
	return r0, err, true
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
