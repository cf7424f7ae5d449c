package vm

import (
	"context"
	"errors"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A native is the machine code of a program, bound to its maps.
type native struct {
	code  *jit.Code
	addr  uintptr // of its first byte, once it is sealed
	at    *rt.Target
	impls []helpers.Impl
	rings []ringAt
}

// newNative binds code to ms.
func newNative(code *jit.Code, ms []maps.Map, at *rt.Target) *native {
	n := &native{code: code, at: at, rings: ringsOf(ms)}
	for _, c := range code.Calls() {
		switch c.Kind {
		case jit.CallTail:
			n.impls = append(n.impls, nativeTail)
		case jit.CallPacket:
			n.impls = append(n.impls, nativePacket)
		default:
			impl := proven(c, ms)
			if plain := c.Func.Plain(); plain != nil && c.Func.Inline() == helpers.InlineNone {
				for len(at.Plain) < len(code.Calls()) {
					at.Plain = append(at.Plain, nil)
				}
				at.Plain[len(n.impls)] = plain
			}
			switch c.Func.Inline() {
			case helpers.InlineRingSubmit, helpers.InlineRingDiscard:
				if len(n.rings) > 0 {
					impl = nativeCommit(impl, c.Func.Inline() == helpers.InlineRingDiscard)
				}
			case helpers.InlineRingOutput:
				if len(n.rings) > 0 {
					impl = nativeOutput(impl)
				}
			}
			n.impls = append(n.impls, impl)
		}
	}
	_, frames := code.Main()
	at.Weight, at.Span, at.Helpers = uint64(code.Weight()), uint64(frames)*jit.FrameSize-jit.StackSize, n.impls
	return n
}

// ready says that the code is where it stays, and may be entered.
func (n *native) ready() { n.at.Enter(n.addr + uintptr(n.code.Tail())) }

// slice is how many instructions machine code runs between two looks at
// whether the run was cancelled: code cannot be preempted, so this bounds how
// long the collector may have to wait. It is 1 to 4 µs as a rule, and below a
// millisecond if each third instruction waits 600 ns for memory, as on a machine
// that others are at work on. A look takes about 15 ns: 0.5 % of a loop of two
// instructions.
const slice = 1 << 12

// A machine is the executor of machine code.
type machine struct {
	slot   *slot
	rt     rt.Run
	frames []byte
	base   uint64 // address of frames
	top    uint64 // R10 of a run's first frame

	kept  []*Program // targets of tail calls: their code must not go away
	frame uint64     // of the main program that runs

	left  uint64 // instructions that the meter has not been given yet
	given uint64 // those that it was
	fixed uint64 // of main programs, which no meter counts
	err   error  // ended the run
	done  <-chan struct{}

	thrown bool // cookie is the program's result
	cookie uint64
}

// prepare returns m, ready to run in s.
func (m *machine) prepare(s *slot) *machine {
	if m.slot == nil {
		m.slot = s
		m.rt.Context = rt.NewContext(jit.Frames)
		m.rt.Yield = m.yield
		m.rt.Look = m.look
		m.rt.Moved = m.moved
		m.frames = m.rt.Context.Frames()
		m.base = m.rt.Context.FrameBase()
		m.top = m.base + jit.StackSize
		s.offerLean()
	}
	return m
}

func (m *machine) exec() (r0 uint64, err error) {
	n := m.slot.prog.native
	m.rt.Context.Arg[0] = m.slot.machine.CtxAddr()
	return m.begin(n.main(), uint64(n.code.Weight()))
}

func (m *machine) enter(fn, a1, a2, a3 uint64) (r0 uint64, err error) {
	n := m.slot.prog.native
	off, _, ok := n.code.Function(fn)
	if !ok {
		return 0, fmt.Errorf("%#x is no subprogram", fn)
	}
	m.rt.Context.Arg = [5]uint64{a1, a2, a3}
	return m.begin(n.addr+uintptr(off), 1)
}

// begin runs the slot's program from entry on, of which fixed instructions are
// not counted by the meter.
func (m *machine) begin(entry uintptr, fixed uint64) (r0 uint64, err error) {
	s, c := m.slot, m.rt.Context
	m.rt.Env = s
	c.Meter = 0
	c.Frame = m.top
	c.CPU = uint64(s.cpu)
	c.Tails = rt.MaxTails
	c.Kind = s.prog.target.Kind
	m.given, m.err, m.done = 0, nil, nil
	m.left = meterLimit(s.run.MaxInsns, s.prog.native)
	if ctx := s.run.Context; ctx != nil {
		m.done = ctx.Done()
	}
	if m.cancelled() {
		return 0, m.err
	}
	m.fixed = fixed
	m.grant()
	r0, ok := m.run(s.prog, entry)
	if !ok {
		return 0, m.err
	}
	return r0, nil
}

// meterLimit returns what the meter may count in a run of n that may execute limit
// instructions, or any number if limit is 0: the main program's own are not
// counted, so they are taken off.
func meterLimit(limit uint64, n *native) uint64 {
	if limit == 0 {
		return 1<<64 - 1
	}
	return limit - min(limit, uint64(n.code.Weight()))
}

// charge takes n instructions from what is left, beyond those that the meter
// counts, and reports whether there were so many.
func (m *machine) charge(n uint64) bool {
	c := m.rt.Context
	m.slot.lean.last = nil
	if n > m.left && n-m.left > uint64(max(c.Meter, 0)) {
		return false
	}
	now := min(n, m.left)
	m.left -= now
	m.fixed += now
	c.Meter -= int64(n - now)
	return true
}

// main returns where the program is entered.
func (n *native) main() uintptr {
	off, _ := n.code.Main()
	return n.addr + uintptr(off)
}

// run runs code of p at the context's frame. ok is false if the run is over.
func (m *machine) run(p *Program, entry uintptr) (r0 uint64, ok bool) {
	m.rt.Go(p.native.at)
	m.frame = m.rt.Context.Frame
	exit := rt.Enter(&m.rt, entry)
	return m.rt.Context.R0, exit == rt.Done || m.caught()
}

// caught reports whether the program threw, and makes the cookie its result, or
// what its handler makes of that, which runs where the program did.
func (m *machine) caught() bool {
	if !m.thrown {
		return false
	}
	m.thrown = false
	c := m.rt.Context
	c.Resume()
	p := m.running()
	n, h := p.native, p.prog.Handler
	if h == 0 {
		c.R0 = m.cookie
		return true
	}
	c.Frame, c.Arg = m.frame, [5]uint64{m.cookie}
	return rt.Enter(&m.rt, n.addr+uintptr(n.code.Handler())) == rt.Done
}

// running returns the program whose code runs: not the run's after a tail call.
func (m *machine) running() *Program {
	if t := m.rt.Target(); t != nil {
		return t.Owner.(*Program)
	}
	return nil
}

// nativeThrow is what code calls for bpf_throw: the program ends, whatever
// functions of it are at work.
func nativeThrow(env helpers.Env, cookie, _, _, _, _ uint64) uint64 {
	m := &slotIn(env).native
	if m.err == nil {
		m.thrown, m.cookie = true, cookie
	}
	m.rt.Context.Stop()
	return 0
}

// nest is run for code that runs within a helper of other code.
func (m *machine) nest(p *Program, entry uintptr) (r0 uint64, ok bool) {
	s, c := m.slot, m.rt.Context
	cur, main, frame, save := m.running(), m.frame, c.Frame, c.Save
	if p != cur {
		s.machine.Switch(p.code)
	}
	defer func() { // also if a helper panics and an outer one recovers
		if m.running() != cur {
			s.machine.Switch(cur.code)
		}
		m.rt.Go(cur.native.at)
		m.frame, c.Frame, c.Save = main, frame, save
	}()
	return m.run(p, entry)
}

// grant gives the meter what it may spend before the next look.
func (m *machine) grant() {
	c := m.rt.Context
	debt := uint64(max(-c.Meter, 0))
	n := min(max(slice, debt), m.left)
	m.slot.lean.last = nil
	m.left -= n
	m.given += n
	c.Meter += int64(n)
}

// fill gives the meter a whole slice, in place of a yield, so that tail calls are
// code's own again.
func (m *machine) fill() {
	m.look()
	c := m.rt.Context
	if n := min(slice-c.Meter, int64(min(m.left, slice))); n > 0 {
		m.left -= uint64(n)
		m.given += uint64(n)
		c.Meter += n
	}
}

// yield is called when the meter is spent.
func (m *machine) yield(c *rt.Context) {
	if m.cancelled() {
		c.Stop()
		return
	}
	if uint64(-c.Meter) > m.left {
		m.stop(prog.PC(c.Arg[0]), ErrMaxInsns)
		return
	}
	m.grant()
}

// look ends a run that was cancelled.
func (m *machine) look() {
	if m.cancelled() {
		m.rt.Context.Stop()
	}
}

func (m *machine) over() bool { return m.rt.Context.Stopped() }

// cancelled reports whether the run was cancelled, and notes why.
func (m *machine) cancelled() bool {
	if m.done == nil {
		return false
	}
	select {
	case <-m.done:
		if m.err == nil {
			m.err = context.Cause(m.slot.run.Context)
		}
		return true
	default:
		return false
	}
}

// stop ends the run at pc of the program that runs, with err.
func (m *machine) stop(pc prog.PC, err error) {
	if m.err == nil {
		m.err = m.slot.fault(&checked.Fault{Prog: m.running().prog, PC: pc, Reason: err.Error(), Err: err})
	}
	m.rt.Context.Stop()
}

func (m *machine) abort(err error) { m.stop(prog.PC(m.rt.Context.Save[0]), err) }

// insns returns how many instructions the run has executed, at most.
func (m *machine) insns() uint64 {
	if m.fixed == 0 {
		return 0
	}
	return m.fixed + m.given - uint64(m.rt.Context.Meter)
}

func (m *machine) end() {
	if m.rt.Context.HeldTop > 0 {
		m.dropHeld()
	}
	m.err, m.done, m.fixed, m.given, m.thrown = nil, nil, 0, 0, false
	m.rt.Leave()
	if len(m.kept) > 0 {
		clear(m.kept)
		m.kept = m.kept[:0]
	}
	if m.rt.Context.Stopped() {
		m.rt.Context.Resume()
	}
}

func (m *machine) stack(addr uint64, n int) (b []byte, ok bool) {
	o := addr - m.base
	if o >= uint64(len(m.frames)) {
		return nil, false
	}
	if at := o % jit.FrameSize; at+uint64(n) > jit.StackSize && (at != jit.LoopKey || n > 4) {
		return nil, true
	}
	return m.frames[o : o+uint64(n) : o+uint64(n)], true
}

// hasRoom reports whether n frames fit, the first with its R10 at frame, and ends
// the run if they do not.
func (m *machine) hasRoom(frame uint64, n int) bool {
	if frame-jit.StackSize-m.base+uint64(n)*jit.FrameSize <= jit.Frames {
		return true
	}
	m.abort(errDepth)
	return false
}

var errDepth = errors.New("call depth is 8 frames already")

func (m *machine) call(fn, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	c := m.rt.Context
	m.slot.work(1)
	if m.err != nil {
		return 0, m.err
	}
	p := m.running()
	off, frames, ok := p.native.code.Function(fn)
	if !ok {
		m.abort(fmt.Errorf("call of %#x, which is no subprogram", fn))
	}
	if !ok || !m.hasRoom(c.Frame, frames) {
		return 0, m.err
	}
	c.Arg = [5]uint64{a1, a2, a3, a4, a5}
	r0, ok := m.nest(p, p.native.addr+uintptr(off))
	if !ok {
		return 0, m.err
	}
	return r0, nil
}

// nativePacket is what code calls for a legacy packet load.
func nativePacket(env helpers.Env, off, size, _, _, _ uint64) uint64 {
	v, ok := checked.PacketLoad(env, int32(uint32(off)), int(size))
	if !ok {
		return 1 << 63
	}
	return v
}

// nativeTail is what code calls for a tail call: see jit.CallTail.
func nativeTail(env helpers.Env, ctx, handle, index, nested, _ uint64) uint64 {
	s := wholeIn(env)
	m := &s.native
	if m.rt.Context.Tails == 0 {
		return 0
	}
	p := s.target(s.machine.Map(handle), uint32(index))
	if p == nil {
		return 0
	}
	m.kept = append(m.kept, p)
	if p.native == nil {
		m.goOnChecked(p)
		return jit.TailRan
	}
	frame := m.frame
	if nested != 0 {
		frame = m.rt.Context.Frame
	}
	if _, frames := p.native.code.Main(); !m.hasRoom(frame, frames) {
		return 0
	}
	if !m.charge(uint64(p.native.code.Weight())) {
		m.abort(ErrMaxInsns)
		return 0
	}
	m.rt.Context.Tails--
	m.fill()
	if nested == 0 {
		s.machine.Switch(p.code)
		m.rt.Go(p.native.at)
		return uint64(p.native.main())
	}
	m.rt.Context.Arg[0] = ctx
	if _, ok := m.nest(p, p.native.main()); !ok {
		return 0
	}
	return jit.TailRan
}

// moved is called when code has gone on in t.
func (m *machine) moved(t *rt.Target) {
	if m.slot.prog == nil { // a quick run is one of its first program
		m.slot.beginLate()
	}
	p := t.Owner.(*Program)
	m.kept = append(m.kept, p)
	m.slot.machine.Switch(p.code)
}

// goOnChecked runs p, which has no machine code, in the checked interpreter,
// and leaves its result in Context.R0.
func (m *machine) goOnChecked(p *Program) {
	s, c := m.slot, m.rt.Context
	left := m.left
	if left < 1<<63 { // otherwise there is no limit
		left += uint64(c.Meter)
	}
	before := s.machine.Insns()
	s.exec = &s.reference
	defer func() {
		s.exec = m
		s.machine.Switch(m.running().code)
	}()
	r0, err := s.machine.GoOn(p.code, rt.MaxTails-int(c.Tails)+1, left)
	c.Tails = rt.MaxTails - uint64(s.machine.Tails())
	if f, ok := err.(*checked.Fault); ok {
		err = s.fault(f)
	}
	if err != nil {
		m.err = err
		c.Stop()
	}
	m.charge(s.machine.Insns() - before)
	c.R0 = r0
}
