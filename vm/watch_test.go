package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A watcher runs verified programs in the checked interpreter and compares
// each step with what was proven. The first program may call the others as its
// tail.
type watcher struct {
	r      *rand.Rand
	slot   *slot
	proofs []*watched // the first is the one that runs
	worst  uint64     // instructions that a run may take

	// before is called before each instruction is looked at, if it is not nil.
	before func(c *checked.Code, pc int, regs *[16]uint64)

	// What runs now is the last: an exit of a program that a subprogram called
	// as its tail goes back to the one before.
	stack []*activation
	spare []*activation

	steps uint64 // of all runs
	laws  uint64 // how often the laws were checked
	key   [8]byte
	value []byte
	err   error
}

// A watched is a program with its proof.
type watched struct {
	v    *verifier.Verified
	p    *Program
	h    *hostility
	maps []maps.Map // in the program's order
}

// An activation is a program under way.
type activation struct {
	*watched
	watch *verifier.Watch
	c     verifier.Concrete
	base  uint64 // R10 of the outermost frame
	pc    int    // of the instruction before; −1: none

	jumped bool // the instruction at jump was a conditional jump
	jump   prog.PC
}

const frameSize = 512

// errTooLong is the violation of running longer than was proven.
var errTooLong = errors.New("the run takes more instructions than the worst case")

func newWatcher(r *rand.Rand, proofs ...*watched) *watcher {
	w, tails := &watcher{r: r, proofs: proofs}, false
	for _, d := range proofs {
		for _, spec := range d.v.Program().Maps {
			d.maps = append(d.maps, d.p.coll.specs[spec])
			tails = tails || spec.Type == maps.ProgArray
		}
		if d.h == nil {
			d.h = newHostility(r, d.v.Program().Insns)
		}
		w.worst = max(w.worst, min(uint64(d.v.Stats().WorstCase), 1<<40))
	}
	if tails {
		w.worst *= 34 // the most that a chain of tail calls has
	}
	return w
}

// run runs the first program once.
func (w *watcher) run(in any) error {
	s, err := w.proofs[0].p.open(context.Background())
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.give(in); err != nil {
		return err
	}
	w.slot = s
	w.spare = append(w.spare, w.stack...)
	w.stack = w.stack[:0]
	const most = 20_000
	s.machine.Limit(min(w.worst+1, most))
	s.machine.Observe = w.observe
	s.exec = &s.reference
	_, err = s.exec.exec()
	switch n := s.machine.Insns(); {
	case w.err != nil:
		return w.err
	case errors.Is(err, ErrMaxInsns) && w.worst < most, err == nil && n > w.worst:
		return errTooLong
	case err != nil && !errors.Is(err, ErrMaxInsns):
		return fmt.Errorf("fault: %w", err)
	case err == nil && len(s.held) > 0:
		return fmt.Errorf("the run ends with %d references", len(s.held))
	}
	return nil
}

// object returns the live memory that holds addr.
func (w *watcher) object(addr uint64) (start, size uint64, ok bool) {
	g := w.slot.machine.Space.Region(addr)
	if g == nil {
		if b := w.slot.machine.Bytes(addr, 4); b != nil { // on the stack: the number that an iterator gave
			return addr, 4, true
		}
		return 0, 0, false
	}
	if g.Stride == 0 {
		return mem.Addr(g.Bytes), uint64(len(g.Bytes)), true
	}
	at := (addr - mem.Addr(g.Bytes)) / uint64(g.Stride) * uint64(g.Stride)
	return mem.Addr(g.Bytes) + at, uint64(g.Size), true
}

// observe is called before each instruction.
func (w *watcher) observe(c *checked.Code, pc int, regs *[16]uint64) {
	if w.err != nil {
		return
	}
	if w.before != nil {
		w.before(c, pc, regs)
	}
	a, err := w.current(c, pc, regs)
	if a == nil || err != nil {
		w.err = err
		return
	}
	w.steps++
	depth := int(regs[10]-a.base) / frameSize
	if depth == len(a.c.Frames) {
		a.enter(w.slot, int32(a.pc), regs[10])
	}
	a.c.Frames = a.c.Frames[:depth+1]
	a.c.Frames[depth].Regs = [11]uint64(regs[:11])
	a.pc = pc
	a.packet(w.slot)
	if err := a.watch.Step(prog.PC(pc), &a.c); err != nil {
		w.err = err
	} else if err := w.facts(a, prog.PC(pc), regs); err != nil {
		w.err = fmt.Errorf("fact of instruction %d: %w", pc, err)
	}
	// The laws cost thousands of steps.
	if w.laws < 2+w.steps/20_000 && w.err == nil && w.r.IntN(16) == 0 {
		if done, err := a.watch.Laws(&a.c); err != nil {
			w.err = fmt.Errorf("states before instruction %d: %w", pc, err)
		} else if done {
			w.laws++
		}
	}
	if w.r.Uint32()&31 == 0 {
		w.disturb(a)
	}
}

// current returns the activation that c runs in now; nil if it is of a program
// without a proof here.
func (w *watcher) current(c *checked.Code, pc int, regs *[16]uint64) (*activation, error) {
	for n := len(w.stack); n > 0; n-- {
		a := w.stack[n-1]
		if regs[10] < a.base {
			continue // it has ended, in a frame that was its own
		}
		if c.Owner() == any(a.p) && (pc != 0 || !a.leaves()) {
			w.spare = append(w.spare, w.stack[n:]...)
			w.stack = w.stack[:n]
			return a, nil
		}
		break
	}
	// A tail call: the program that called it is over, or waits below.
	for n := len(w.stack); n > 0 && w.stack[n-1].base >= regs[10]; n-- {
		w.spare = append(w.spare, w.stack[n-1])
		w.stack = w.stack[:n-1]
	}
	for _, d := range w.proofs {
		if c.Owner() == any(d.p) {
			if pc != 0 {
				return nil, fmt.Errorf("program %s goes on at instruction %d: proven to begin at its first", d.p.name, pc)
			}
			a := w.activate(d)
			a.base = regs[10]
			a.c.Ctx = regs[1]
			a.enter(w.slot, -1, regs[10])
			w.stack = append(w.stack, a)
			return a, nil
		}
	}
	return nil, nil
}

// leaves reports whether the instruction before may have been a tail call.
func (a *activation) leaves() bool {
	const tailCall = 12
	return a.pc >= 0 && a.v.Program().Insns[a.pc].IsCall(0) && a.v.Program().Insns[a.pc].Imm == tailCall
}

// activate returns an activation of d at its beginning.
func (w *watcher) activate(d *watched) *activation {
	for i, a := range w.spare {
		if a.watched == d {
			last := len(w.spare) - 1
			w.spare[i] = w.spare[last]
			w.spare = w.spare[:last]
			a.watch.Restart()
			a.c.Frames, a.pc, a.jumped = a.c.Frames[:0], -1, false
			return a
		}
	}
	a := &activation{watched: d, watch: d.v.Watch(), pc: -1}
	a.c.Object = w.object
	a.c.Map = func(i int32) (uint64, bool) {
		return 0xeb9f_0001_0000_0000 | uint64(uint32(i)), int(i) < len(d.v.Program().Maps)
	}
	a.c.Func = func(pc int32) uint64 { return 0xeb9f_0002_0000_0000 | uint64(uint32(pc)) }
	return a
}

// enter adds the frame of the function called at call, whose stack ends at fp.
func (a *activation) enter(s *slot, call int32, fp uint64) {
	a.c.Frames = append(a.c.Frames, verifier.ConcreteFrame{Call: call, Stack: s.machine.Bytes(fp-frameSize, frameSize)})
}

// packet takes the packet's place from the context.
func (a *activation) packet(s *slot) {
	var end uint64
	meta := false
	for _, f := range a.p.packetFields {
		x := binary.NativeEndian.Uint64(s.ctx[f.off:])
		switch f.kind {
		case hook.FieldPacket:
			a.c.Packet = x
		case hook.FieldPacketEnd:
			end = x
		case hook.FieldPacketMeta:
			a.c.Meta, meta = x, true
		}
	}
	a.c.PacketLen = end - a.c.Packet
	if !meta {
		a.c.Meta = a.c.Packet
	}
	a.c.MetaLen = a.c.Packet - a.c.Meta
}
