package verifier

import (
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Code that does not run where the program mentions it is proved apart, from
// what its contract says: callbacks of timers, which run later, the function that
// handles exceptions, and global functions with so many calls that following each
// is too much.

// A rootKey names such a proof.
type rootKey struct {
	fn     int
	m      int32 // callbacks: the map whose timer it is; −1: a global function
	packet uint8 // bits of the arguments that are memory in the packet, which the function may move
	loose  uint8 // bits of the arguments that are memory not known to be aligned to 8 bytes
}

// A root is the proof.
type root struct {
	done  bool
	worst int64 // instructions
	chain *chain

	above, frames int // the most that stackDepth has seen above it
}

// A purpose is why a function is proved by itself.
type purpose uint8

const (
	standsForCalls    purpose = iota // its contract does, in place of following each
	runsLater                        // a timer calls it
	handlesExceptions                // bpf_throw calls it
)

// prove proves function fn, entered in state s, by itself.
func (sv *solver) prove(k rootKey, s *state.State, what purpose) (*root, error) {
	if r := sv.roots[k]; r != nil {
		return r, nil
	}
	r := &root{chain: sv.g.newChain(k.fn, state.Apart)}
	sv.roots[k] = r
	sub := &solver{
		verifier: sv.verifier, ctx: sv.ctx, deadline: sv.deadline, loop: -1,
		root: r.chain, visits: sv.visits, maxVisits: sv.maxVisits, patient: sv.patient, stored: sv.stored, bytes: sv.bytes, async: what == runsLater, handles: what == handlesExceptions, forMap: k.m,
	}
	sub.steps = append(sub.steps, step{})
	err := sub.arrive(sub.root, sv.g.entry[k.fn], s, 0, 0)
	if err == nil {
		err = sub.run()
	}
	sv.visits = sub.visits
	if err != nil {
		return nil, err
	}
	if what != standsForCalls { // it has a stack of its own
		if err := sub.stackDepth(); err != nil {
			return nil, err
		}
	}
	r.worst, err = sub.terminates()
	r.done = true
	return r, err
}

// setTimerCallback proves that the function at entry may be called back by a
// timer in a value of map i: with the map, the key and the value, on a stack of
// its own, holding nothing.
func (m *machine) setTimerCallback(entry, i int32) error {
	v := m.sv.verifier
	fn := v.p.FuncAt(prog.PC(entry))
	if fn < 0 || v.p.Funcs[fn].Entry != prog.PC(entry) {
		return m.fail(BadArgument, "the callback is no function's first instruction")
	}
	s := state.New(&state.Pool{NoAddresses: v.o.Strict}, int32(fn), v.o.MaxPacket) // the other proof goes on meanwhile
	s.Frames[0].Kind = state.Apart
	spec := v.spec(i)
	s.SetReg(1, state.Reg{Kind: state.MapPtr, Obj: s.NewObj(state.Obj{Kind: state.MapPtr, Index: i})})
	s.SetReg(2, state.Reg{Kind: state.MapKey, Obj: s.NewObj(state.Obj{Kind: state.MapKey, Index: i, Size: spec.KeySize, ReadOnly: true})})
	s.SetReg(3, state.Reg{Kind: state.MapValue, Obj: s.NewObj(v.valueOf(i))})
	_, err := m.sv.prove(rootKey{fn: fn, m: i}, s, runsLater)
	return err
}
