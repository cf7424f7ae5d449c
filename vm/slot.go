package vm

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// A slot is the memory of a virtual CPU in which runs take place, one at a
// time: machine, context, packet, and what the run has borrowed. It is what
// helpers get as helpers.Env.
type slot struct {
	machine   *checked.Machine // the memory of every run
	exec      executor         // what runs prog: one of the following
	lean      lean
	reference reference
	native    machine
	fast      fast

	lease   *vcpu.CPU
	cpu     int // as programs see it
	run     checked.Run
	started time.Time // with Options.Timing
	ok      bool      // the run ended without an error

	prog  *Program
	ctx   []byte   // the host's bytes of the context, and room for the program's layout
	space []byte   // what ctx is cut from
	words []uint64 // the same
	pkt   helpers.Packet
	state *state
	held  []held
	lent  []lent

	lock   *atomic.Uint32 // the spin lock that the run holds; nil: none
	lockAt uint64         // its address

	element   [elements]uint64 // addresses of those that Space has for ShareElement
	elementAt uint

	done uint64 // of helpers' work, since the last look; see work

	dynptrs helpers.Dynptrs
	timer   *timer // whose callback the run is; nil: of none
}

// A held is borrowed memory.
type held struct {
	addr  uint64
	bytes []byte
	owner helpers.Releaser
}

// A lent is the memory of a host object that the run may read.
type lent struct {
	addr, size uint64
	object     any
}

var _ helpers.Env = (*slot)(nil)

// slotOf returns the slot of a leased CPU.
func slotOf(c *vcpu.CPU) *slot {
	if s, ok := c.Data.(*slot); ok {
		return s
	}
	s := &slot{}
	s.machine = checked.NewMachine(s)
	s.machine.Tail = s.tail
	s.reference = reference{s.machine, s}
	c.Data = s
	return s
}

// noPacket is where a packet without memory is. None of it can be reached.
var noPacket = make([]byte, 8)

// tail returns the code in place index of the prog array m.
func (s *slot) tail(m maps.Map, index uint32) *checked.Code {
	if p := s.target(m, index); p != nil {
		return p.code
	}
	return nil
}

// target returns the program in place index of the prog array m, if the run
// may continue with it, else nil.
//
// Sound: the code of a program whose collection is not closed stays while the
// slot is leased, for the lease began before the collection is closed.
func (s *slot) target(m maps.Map, index uint32) *Program {
	array, ok := m.(maps.ProgramArray)
	if !ok {
		return nil
	}
	p, ok := array.Load(index).(*Program)
	if !ok || p.code == nil || p.typ != s.prog.typ || p.coll.closed.Load() {
		return nil
	}
	return p
}

func (s *slot) CPU() int { return s.cpu }

func (s *slot) Bytes(addr uint64, n int) []byte {
	if n >= largeWork {
		s.workOn(uint64(n))
	}
	if n > 0 {
		if b, ok := s.exec.stack(addr, n); ok {
			return b
		}
		if b := s.machine.Bytes(addr, n); b != nil {
			return b
		}
		if b := s.heldBytes(addr, n); b != nil {
			return b
		}
		s.machine.Refresh() // what code looks up is not shared
	}
	return s.machine.Bytes(addr, n)
}

func (s *slot) Share(b []byte) uint64 { return s.machine.Share(b) }

// elements is how many elements of a walk are remembered.
const elements = 64

// ShareElement is Share of what a walk of a map is at: engines that trust the proof
// look no addresses up, and what has been forgotten, helpers alone do not find.
func (s *slot) ShareElement(b []byte) uint64 {
	addr := mem.Addr(b)
	if len(b) == 0 || s.exec == executor(&s.reference) || s.machine.Space.Holds(addr, len(b)) {
		return s.Share(b)
	}
	old := &s.element[s.elementAt%elements]
	s.elementAt++
	if *old != 0 {
		s.machine.Space.Remove(*old)
		s.machine.Forget()
	}
	*old = s.Share(b)
	return *old
}

func (s *slot) ShareMap(m maps.Map) uint64 { return s.machine.ShareMap(m) }

func (s *slot) Map(handle uint64) maps.Map {
	if int64(handle) > 0 && s.exec != executor(&s.reference) { // what runs was proven to have it from provenInner
		return maps.FromHandle(handle)
	}
	return s.machine.Map(handle)
}

func (s *slot) Call(fn uint64, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	return s.exec.call(fn, a1, a2, a3, a4, a5)
}

func (s *slot) Acquire(b []byte, r helpers.Releaser) uint64 {
	addr := mem.Addr(b)
	if s.exec == executor(&s.reference) { // others do not look addresses up
		_, readOnly := r.(helpers.ReadOnly)
		s.machine.Space.Add("borrowed memory", mem.Reference, b, readOnly)
	}
	s.held = append(s.held, held{addr, b, r})
	return addr
}

func (s *slot) Release(addr uint64) (b []byte, r helpers.Releaser, ok bool) {
	for i := len(s.held) - 1; i >= 0; i-- { // the last is the likeliest
		if h := s.held[i]; h.addr == addr || addr-h.addr < uint64(len(h.bytes)) {
			last := len(s.held) - 1
			s.held[i] = s.held[last]
			s.held[last] = held{}
			s.held = s.held[:last]
			if s.exec == executor(&s.reference) {
				s.machine.Space.Remove(h.addr)
			}
			return h.bytes, h.owner, true
		}
	}
	return nil, nil, false
}

func (s *slot) ShareObject(b []byte, object any) uint64 {
	if len(b) == 0 || object == nil {
		return 0
	}
	addr := s.machine.Space.Add("a host object", mem.Plain, b, true)
	s.lent = append(s.lent, lent{addr, uint64(len(b)), object})
	return addr
}

func (s *slot) Object(addr uint64) any {
	for i := len(s.held) - 1; i >= 0; i-- {
		if h := &s.held[i]; addr-h.addr < uint64(len(h.bytes)) {
			return h.owner
		}
	}
	for i := len(s.lent) - 1; i >= 0; i-- {
		if l := &s.lent[i]; addr-l.addr < l.size {
			return l.object
		}
	}
	return nil
}

func (s *slot) Ctx() []byte { return s.ctx[:s.prog.typ.Ctx.HostSize] }

func (s *slot) Packet() *helpers.Packet {
	if s.prog.hasPacket {
		return &s.pkt
	}
	return nil
}

// SetPacket publishes a changed packet. One that has grown beyond what proofs count
// on, MaxPacket, ends the run.
func (s *slot) SetPacket() {
	p := &s.pkt
	if p.Tail-p.Meta > MaxPacket {
		s.Abort(fmt.Errorf("packet of %d bytes, limit %d: %w", p.Tail-p.Meta, MaxPacket, ErrPacketSize))
	}
	s.machine.Space.SetPacket(p.Buf[p.Meta:p.Tail:p.Tail], !s.prog.typ.PacketWrite)
	base := mem.Addr(p.Buf)
	if base == 0 {
		base = mem.Addr(noPacket) // pointers to the packet are never null
	}
	for _, f := range s.prog.packetFields {
		at := base
		switch f.kind {
		case hook.FieldPacket:
			at += uint64(p.Head)
		case hook.FieldPacketEnd:
			at += uint64(p.Tail)
		case hook.FieldPacketMeta:
			at += uint64(p.Meta)
		}
		binary.NativeEndian.PutUint64(s.ctx[f.off:], at)
	}
	if c := s.native.rt.Context; c != nil {
		c.Packet, c.PacketEnd = base+uint64(p.Head), base+uint64(p.Tail)
	}
}

func (s *slot) State() any {
	if s.state == nil {
		if s.prog.states == nil {
			return nil
		}
		s.state = s.prog.states.take(s.lease.ID()) // most runs ask for none
	}
	return s.state.State
}

func (s *slot) Dynptrs() *helpers.Dynptrs { return &s.dynptrs }

func (s *slot) Host() *helpers.Host { return s.prog.coll.host }

func (s *slot) Abort(err error) { s.exec.abort(err) }

// begin makes the slot ready for a run of p.
func (s *slot) begin(p *Program) {
	s.beginWith(p, s.room(p.ctxRoom + p.objRoom)[:p.ctxRoom:p.ctxRoom])
	for i := range p.objects {
		s.placeZeros(&p.objects[i])
	}
}

// beginWith is begin with the given bytes as the context.
func (s *slot) beginWith(p *Program, ctx []byte) {
	s.prog = p
	s.ok = false
	s.lean.last = nil
	s.exec = &s.reference
	if p.in != nil {
		s.exec = p.in(s)
	}
	if p.coll.opts.Timing {
		s.started = time.Now()
	}
	s.cpu = s.lease.ID()
	if p.coll.opts.Deterministic {
		s.cpu = 0
	}
	s.ctx = ctx
	s.run.Ctx, s.run.CtxLen, s.run.MaxInsns = s.ctx, p.typ.Ctx.Size, p.maxInsns
	if c := s.native.rt.Context; c != nil {
		c.Packet, c.PacketEnd = 0, 0
	}
	s.machine.Begin(p.code, &s.run)
}

// room returns n zeroed bytes for a context.
func (s *slot) room(n int) []byte {
	if n > len(s.space) || s.space == nil {
		s.words, s.space = mem.Alloc(max(1, (n+7)/8))
		s.offerLean()
	}
	b := s.space[:n]
	clear(b)
	return b
}

// end gives back what the run has borrowed and forgets the rest. It runs
// however the run ends.
func (s *slot) end() {
	if s.lock != nil {
		s.unlock()
	}
	s.dynptrs.Reset()
	s.timer = nil
	if s.elementAt > 0 {
		s.element, s.elementAt = [elements]uint64{}, 0
	}
	for len(s.held) > 0 {
		last := len(s.held) - 1
		h := s.held[last]
		s.held[last] = held{}
		s.held = s.held[:last]
		h.owner.Discard(h.bytes)
	}
	s.machine.End()
	s.exec.end()
	if s.state != nil {
		s.prog.states.put(s.lease.ID(), s.state)
	}
	if len(s.lent) > 0 {
		clear(s.lent)
		s.lent = s.lent[:0]
	}
	s.prog, s.lease, s.exec, s.ctx, s.state = nil, nil, nil, nil, nil
	s.pkt = helpers.Packet{}
	s.run = checked.Run{}
}

// setPacket makes p the run's packet.
//
// A copy of *p as a whole would load its words in pairs, and wait for the stores
// of a caller that has just written them one by one.
func (s *slot) setPacket(p *helpers.Packet) error {
	if err := checkPacket(p); err != nil {
		return err
	}
	s.pkt.Buf, s.pkt.Meta, s.pkt.Head, s.pkt.Tail = p.Buf, p.Meta, p.Head, p.Tail
	s.prog.typ.Fill(s.Ctx(), &s.pkt)
	s.SetPacket()
	return nil
}

func checkPacket(p *helpers.Packet) error {
	if p.Meta < 0 || p.Meta > p.Head || p.Head > p.Tail || p.Tail > len(p.Buf) {
		return fmt.Errorf("packet of %d bytes: metadata from %d, head at %d, tail at %d are out of order", len(p.Buf), p.Meta, p.Head, p.Tail)
	}
	if len(p.Buf) > MaxPacket {
		return fmt.Errorf("packet of %d bytes, limit %d: %w", len(p.Buf), MaxPacket, ErrPacketSize)
	}
	return nil
}
