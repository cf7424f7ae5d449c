package vm

import (
	"fmt"

	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
)

// An executor is an engine in a slot: it runs the slot's program there, one run
// at a time. What a run touches besides an engine's own stack is the slot's:
// context, packet, maps, and what helpers lend.
type executor interface {
	// exec runs the slot's program, whose input is in place, and returns R0.
	exec() (r0 uint64, err error)
	// enter runs a function of the slot's program instead.
	enter(fn, a1, a2, a3 uint64) (r0 uint64, err error)
	// running returns the program that runs: another one after a tail call.
	running() *Program
	// call is helpers.Env.Call.
	call(fn, a1, a2, a3, a4, a5 uint64) (r0 uint64, err error)
	// stack returns the n bytes at addr of the programs' stack; ok is false if
	// addr is not in it, and b is nil if not all of the n bytes are in one frame.
	stack(addr uint64, n int) (b []byte, ok bool)
	// abort is helpers.Env.Abort.
	abort(err error)
	// look ends the run if it was cancelled.
	look()
	// over reports whether the run ends as soon as the helper that runs returns.
	over() bool
	// insns returns how many instructions the run has executed.
	insns() uint64
	// end forgets the run, however it ended.
	end()
}

// A maker makes programs ready for an engine that needs a proof.
type maker struct {
	engine Engine
	// usable reports why this process cannot use the engine, given what
	// Options.Engine asks for; nil if it can.
	usable func(asked Engine) error
	// make gives p the form in which the engine runs it. ms are p's maps.
	make func(c *Collection, p *Program, v *verifier.Verified, ms []maps.Map) error
	// in returns the engine's executor in s.
	in func(s *slot) executor
}

// makers are the engines that need a proof, the fastest first.
var makers = []maker{
	{JIT, usableJIT, (*Collection).makeNative, func(s *slot) executor { return s.native.prepare(s) }},
	{Interp, usableInterp, (*Collection).makeInterp, func(s *slot) executor { return s.fast.prepare(s) }},
}

// A reference is the checked interpreter.
type reference struct {
	*checked.Machine
	slot *slot
}

func (r *reference) exec() (r0 uint64, err error) {
	return r.result(r.Exec())
}

// result makes an error of the machine's the caller's.
func (r *reference) result(r0 uint64, err error) (uint64, error) {
	if f, ok := err.(*checked.Fault); ok {
		err = r.slot.fault(f)
	}
	if err != nil {
		return 0, err
	}
	return r0, nil
}

func (r *reference) enter(fn, a1, a2, a3 uint64) (r0 uint64, err error) {
	return r.result(r.ExecFunc(fn, a1, a2, a3))
}

func (r *reference) running() *Program { return r.Owner().(*Program) }

func (r *reference) call(fn, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	return r.Call(fn, a1, a2, a3, a4, a5)
}

func (r *reference) stack(uint64, int) ([]byte, bool) { return nil, false } // Machine.Bytes knows it

func (r *reference) abort(err error) { r.Abort(err) }

func (r *reference) look() {} // it looks by itself

func (r *reference) over() bool { return false } // it looks when the helper has returned

func (r *reference) insns() uint64 { return r.Insns() }

func (r *reference) end() {}

// checkMaps reports which of p's maps ms an engine that trusts the proof must
// not touch: values of a host's own map may not be whole.
func (c *Collection) checkMaps(p *Program, ms []maps.Map) error {
	for i, m := range ms {
		spec := p.prog.Maps[i]
		if spec.ValueSize == 0 || spec.Type == maps.ProgArray || !c.shared(spec.Name) {
			continue // programs do not get at values, or they are this package's
		}
		if _, ok := m.(maps.Slabber); !ok && !maps.Bundled(m) {
			return fmt.Errorf("map %s is the host's own: accesses to its values must be checked", spec.Name)
		}
	}
	return nil
}
