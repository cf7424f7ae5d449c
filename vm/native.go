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
	impls []helpers.Impl
}

// newNative binds code to ms.
func newNative(code *jit.Code, ms []maps.Map) *native {
	n := &native{code: code}
	for _, c := range code.Calls() {
		switch c.Kind {
		case jit.CallTail:
			n.impls = append(n.impls, nativeTail)
		case jit.CallPacket:
			n.impls = append(n.impls, nativePacket)
		default:
			n.impls = append(n.impls, proven(c, ms))
		}
	}
	return n
}

// tailCalls reports whether the program may go on in another.
func (n *native) tailCalls() bool {
	for _, c := range n.code.Calls() {
		if c.Kind == jit.CallTail {
			return true
		}
	}
	return false
}

// slice is how many instructions machine code runs between two looks at
// whether the run was cancelled: code cannot be preempted, so this bounds how
// long the collector may have to wait. At half a nanosecond to one each it is
// about 100 µs.
const slice = 1 << 17

// maxTailCalls is how many tail calls a run may make (kernel,
// MAX_TAIL_CALL_CNT).
const maxTailCalls = 33

// A machine is what a slot needs to run machine code.
type machine struct {
	rt     rt.Run
	frames []byte
	base   uint64 // address of frames

	cur   *Program   // whose code runs: not the run's after a tail call
	kept  []*Program // targets of tail calls: their code must not go away
	frame uint64     // of the main program that runs
	tails int

	left  uint64 // instructions that the meter has not been given yet
	given uint64 // those that it was
	err   error  // ended the run
	done  <-chan struct{}
}

// prepare makes m ready for the first run.
func (m *machine) prepare(s *slot) {
	if m.rt.Context != nil {
		return
	}
	m.rt.Context = rt.NewContext(jit.Frames)
	m.rt.Env = s
	m.rt.Yield = s.yield
	m.frames = m.rt.Context.Frames()
	m.base = m.rt.Context.FrameBase()
}

// execNative runs the machine code of the slot's program.
func (s *slot) execNative() (r0 uint64, err error) {
	m := &s.native
	m.prepare(s)
	c := m.rt.Context
	c.Resume()
	c.Meter = 0
	c.Frame = m.base + jit.StackSize
	c.Arg[0] = s.machine.CtxAddr()
	m.tails, m.given, m.err, m.done = 0, 0, nil, nil
	m.left = s.run.MaxInsns
	if m.left == 0 {
		m.left = 1<<64 - 1
	}
	if ctx := s.run.Context; ctx != nil {
		m.done = ctx.Done()
	}
	if s.cancelled() {
		return 0, m.err
	}
	m.grant()
	r0, ok := m.enter(s.prog, s.prog.native.main())
	if !ok {
		return 0, m.err
	}
	return r0, nil
}

// main returns where the program is entered.
func (n *native) main() uintptr {
	off, _ := n.code.Main()
	return n.addr + uintptr(off)
}

// enter runs code of p at the context's frame. ok is false if the run is over.
func (m *machine) enter(p *Program, entry uintptr) (r0 uint64, ok bool) {
	m.cur, m.rt.Helpers = p, p.native.impls
	m.frame = m.rt.Context.Frame
	exit := rt.Enter(&m.rt, entry)
	return m.rt.Context.R0, exit == rt.Done
}

// nest is enter for code that runs within a helper of other code.
func (s *slot) nest(p *Program, entry uintptr) (r0 uint64, ok bool) {
	m, c := &s.native, s.native.rt.Context
	cur, main, frame, save := m.cur, m.frame, c.Frame, c.Save
	if p != cur {
		s.machine.Switch(p.code)
	}
	defer func() { // also if a helper panics and an outer one recovers
		if m.cur != cur {
			s.machine.Switch(cur.code)
		}
		m.cur, m.rt.Helpers = cur, cur.native.impls
		m.frame, c.Frame, c.Save = main, frame, save
	}()
	return m.enter(p, entry)
}

// grant gives the meter what it may spend before the next look.
func (m *machine) grant() {
	c := m.rt.Context
	debt := uint64(max(-c.Meter, 0))
	n := min(max(slice, debt), m.left)
	m.left -= n
	m.given += n
	c.Meter += int64(n)
}

// yield is called when the meter is spent.
func (s *slot) yield(c *rt.Context) {
	m := &s.native
	if s.cancelled() {
		c.Stop()
		return
	}
	if uint64(-c.Meter) > m.left {
		s.stop(prog.PC(c.Arg[0]), ErrMaxInsns)
		return
	}
	m.grant()
}

// cancelled reports whether the run was cancelled, and notes why.
func (s *slot) cancelled() bool {
	m := &s.native
	if m.done == nil {
		return false
	}
	select {
	case <-m.done:
		if m.err == nil {
			m.err = context.Cause(s.run.Context)
		}
		return true
	default:
		return false
	}
}

// stop ends the run at pc of the program that runs, with err.
func (s *slot) stop(pc prog.PC, err error) {
	m := &s.native
	if m.err == nil {
		m.err = newFault(&checked.Fault{Prog: m.cur.prog, PC: pc, Reason: err.Error(), Err: err})
	}
	m.rt.Context.Stop()
}

// nativeInsns returns how many instructions the run has executed, at most.
func (s *slot) nativeInsns() uint64 {
	m := &s.native
	if m.rt.Context == nil || m.given == 0 {
		return 0
	}
	return m.given - uint64(m.rt.Context.Meter) + uint64(s.prog.native.code.Weight())
}

// endNative forgets what the run was given.
func (s *slot) endNative() {
	m := &s.native
	m.cur, m.rt.Helpers, m.err, m.done, m.given = nil, nil, nil, nil, 0
	clear(m.kept)
	m.kept = m.kept[:0]
}

// bytes returns the n bytes of the stack at addr; ok is false if addr is
// not in the stack.
func (m *machine) bytes(addr uint64, n int) (b []byte, ok bool) {
	o := addr - m.base
	if o >= uint64(len(m.frames)) {
		return nil, false
	}
	if o%jit.FrameSize+uint64(n) > jit.StackSize {
		return nil, true
	}
	return m.frames[o : o+uint64(n) : o+uint64(n)], true
}

// hasRoom reports whether n frames fit, the first with its R10 at frame, and ends
// the run if they do not.
func (s *slot) hasRoom(frame uint64, n int) bool {
	if frame-jit.StackSize-s.native.base+uint64(n)*jit.FrameSize <= jit.Frames {
		return true
	}
	s.Abort(errDepth)
	return false
}

var errDepth = errors.New("call depth is 8 frames already")

// callNative runs the function that fn means, for a helper.
func (s *slot) callNative(fn, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	m, c := &s.native, s.native.rt.Context
	if m.err != nil {
		return 0, m.err
	}
	off, frames, ok := m.cur.native.code.Function(fn)
	if !ok {
		s.Abort(fmt.Errorf("call of %#x, which is no subprogram", fn))
	}
	if !ok || !s.hasRoom(c.Frame, frames) {
		return 0, m.err
	}
	c.Arg = [5]uint64{a1, a2, a3, a4, a5}
	r0, ok := s.nest(m.cur, m.cur.native.addr+uintptr(off))
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
	s := env.(*slot)
	m := &s.native
	if m.tails >= maxTailCalls {
		return 0
	}
	p := s.target(s.machine.Map(handle), uint32(index))
	if p == nil {
		return 0
	}
	if p.native == nil {
		s.Abort(fmt.Errorf("tail call to program %s, which has no machine code: %s", p.name, p.reason))
		return 0
	}
	frame := m.frame
	if nested != 0 {
		frame = m.rt.Context.Frame
	}
	if _, frames := p.native.code.Main(); !s.hasRoom(frame, frames) {
		return 0
	}
	m.tails++
	m.kept = append(m.kept, p)
	if nested == 0 {
		s.machine.Switch(p.code)
		m.cur, m.rt.Helpers = p, p.native.impls
		return uint64(p.native.main())
	}
	m.rt.Context.Arg[0] = ctx
	if _, ok := s.nest(p, p.native.main()); !ok {
		return 0
	}
	return 1
}
