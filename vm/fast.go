package vm

import (
	"context"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/interp"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A fast is the executor of the fast interpreter.
type fast struct {
	slot *slot
	m    *interp.Machine

	cur   *Program   // that runs: not the run's after a tail call
	kept  []*Program // targets of tail calls: their code must not go away
	tails int

	left  uint64 // instructions that the meter has not been given yet
	given uint64 // those that it was
	err   error  // ended the run
	done  <-chan struct{}
}

// usableInterp reports why this host cannot use the fast interpreter.
func usableInterp(Engine) error { return interp.Supported() }

// makeInterp makes p ready for the fast interpreter.
func (c *Collection) makeInterp(p *Program, v *verifier.Verified, ms []maps.Map) (err error) {
	layouts := make([]*maps.Layout, len(ms))
	for i, m := range ms {
		layouts[i] = maps.LayoutOf(m)
	}
	p.fast, err = interp.Compile(v, interp.Binding{
		Maps:  layouts,
		Value: func(m int) uint64 { return baseAddr(ms[m]) },
		Impl: func(call interp.Call) helpers.Impl {
			if call.Kind == opt.CallPacket {
				return nativePacket
			}
			return proven(call, ms)
		},
		Owner: p,
	})
	return err
}

// prepare returns f, ready to run in s.
func (f *fast) prepare(s *slot) *fast {
	if f.slot == nil {
		f.slot = s
		f.m = interp.NewMachine(s, (*fastHost)(f))
	}
	return f
}

func (f *fast) exec() (r0 uint64, err error) { return f.begin(f.m.Exec) }

func (f *fast) enter(fn, a1, a2, a3 uint64) (r0 uint64, err error) {
	return f.begin(func() (uint64, bool) { return f.m.Call(fn, a1, a2, a3, 0, 0) })
}

// begin makes the machine ready and has it run.
func (f *fast) begin(run func() (r0 uint64, ok bool)) (r0 uint64, err error) {
	f.tails, f.given, f.err, f.done = 0, 0, nil, nil
	if f.left = f.slot.run.MaxInsns; f.left == 0 {
		f.left = 1<<64 - 1
	}
	if ctx := f.slot.run.Context; ctx != nil {
		f.done = ctx.Done()
	}
	if f.cancelled() {
		return 0, f.err
	}
	f.cur = f.slot.prog
	f.m.Begin(f.slot.prog.fast, f.slot.machine.CtxAddr(), f.slot.cpu)
	f.grant()
	r0, ok := run()
	if !ok {
		return 0, f.err
	}
	return r0, nil
}

func (f *fast) running() *Program { return f.cur }

// grant gives the meter what it may spend before the next look.
func (f *fast) grant() {
	debt := uint64(max(-f.m.Meter(), 0))
	n := min(max(slice, debt), f.left)
	f.left -= n
	f.given += n
	f.m.Charge(int64(n))
}

// look ends a run that was cancelled.
func (f *fast) look() {
	vcpu.GiveWay()
	if f.cancelled() {
		f.m.Stop()
	}
}

func (f *fast) over() bool { return f.m.Stopped() }

// cancelled reports whether the run was cancelled, and notes why.
func (f *fast) cancelled() bool {
	if f.done == nil {
		return false
	}
	select {
	case <-f.done:
		if f.err == nil {
			f.err = context.Cause(f.slot.run.Context)
		}
		return true
	default:
		return false
	}
}

// stop ends the run at pc of the program that runs, with err.
func (f *fast) stop(pc prog.PC, err error) {
	if f.err == nil {
		f.err = f.slot.fault(&checked.Fault{Prog: f.cur.prog, PC: pc, Reason: err.Error(), Err: err})
	}
	f.m.Stop()
}

func (f *fast) abort(err error) { f.stop(f.m.PC(), err) }

func (f *fast) call(fn, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	f.slot.work(1)
	r0, ok := f.m.Call(fn, a1, a2, a3, a4, a5)
	if !ok {
		return 0, f.err
	}
	return r0, nil
}

func (f *fast) stack(addr uint64, n int) ([]byte, bool) { return f.m.Bytes(addr, n) }

func (f *fast) insns() uint64 {
	if f.given == 0 {
		return 0
	}
	n := f.given - uint64(f.m.Meter()) + uint64(f.slot.prog.fast.Weight())
	return n + f.slot.machine.Insns() // after a tail call to a program of another engine
}

func (f *fast) end() {
	f.m.End()
	f.cur, f.err, f.done, f.given = nil, nil, nil, 0
	clear(f.kept)
	f.kept = f.kept[:0]
}

// A fastHost is a fast as its interp.Machine sees it.
type fastHost fast

func (h *fastHost) Yield(m *interp.Machine) {
	f := (*fast)(h)
	vcpu.GiveWay()
	switch {
	case f.cancelled():
		m.Stop()
	case uint64(-m.Meter()) > f.left:
		f.stop(m.PC(), ErrMaxInsns)
	default:
		f.grant()
	}
}

func (h *fastHost) Tail(m *interp.Machine, handle uint64, index uint32) (c *interp.Code, r0 uint64, ran bool) {
	f, s := (*fast)(h), h.slot
	if f.tails >= rt.MaxTails {
		return nil, 0, false
	}
	p := s.target(s.machine.Map(handle), index)
	if p == nil {
		return nil, 0, false
	}
	f.kept = append(f.kept, p)
	if p.fast == nil {
		return nil, f.goOnChecked(p), true
	}
	f.tails++
	return p.fast, 0, false
}

func (h *fastHost) Switched(c *interp.Code) {
	h.cur = c.Owner().(*Program)
	h.slot.machine.Switch(h.cur.code)
}

func (h *fastHost) Look() { (*fast)(h).look() }

func (h *fastHost) Abort(err error) { (*fast)(h).abort(err) }

// goOnChecked runs p, which runs in another engine, in the checked interpreter.
func (f *fast) goOnChecked(p *Program) (r0 uint64) {
	s := f.slot
	left := f.left
	if left < 1<<63 { // otherwise there is no limit
		left += uint64(f.m.Meter())
	}
	before := s.machine.Insns()
	s.exec = &s.reference
	defer func() {
		s.exec = f
		s.machine.Switch(f.cur.code)
	}()
	r0, err := s.machine.GoOn(p.code, f.tails+1, left)
	f.tails = s.machine.Tails()
	if c, ok := err.(*checked.Fault); ok {
		err = s.fault(c)
	}
	if err != nil {
		f.err = err
		f.m.Stop()
	}
	spent := s.machine.Insns() - before
	if spent > f.left { // the rest was the meter's
		more := spent - f.left
		f.m.Charge(-int64(more))
		f.given -= more
	}
	f.left -= min(spent, f.left)
	return r0
}
