package verifier

import (
	"fmt"

	"github.com/skepvm/skep/verifier/internal/state"
)

// Laws checks, on the states that were explored at the join point of the last
// Step, what the solver relies on. c is the run as Step got it. A join and a
// widening describe what either state describes; a state below another
// describes no more than it; renumbering and copying lose nothing, cleaning
// only forgets. It does nothing between join points.
func (w *Watch) Laws(c *Concrete) error {
	n := w.m.n
	if !w.on || n == nil || w.last != w.m.sv.g.blocks[n.block].start || !w.m.sv.g.blocks[n.block].joins {
		return nil
	}
	states := n.kept[:min(len(n.kept), maxLaws)]
	for _, s := range states {
		if s.Holds(c) != nil {
			continue
		}
		if err := unary(n, s, c); err != nil {
			return err
		}
		for _, t := range states {
			if err := w.binary(s, t, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxLaws bounds the states that Laws compares with each other.
const maxLaws = 6

// unary checks the operations on one state, which describes c.
func unary(n *node, s *state.State, c *Concrete) error {
	u := s.Clone()
	u.Canon()
	if err := u.Holds(c); err != nil {
		return fmt.Errorf("renumbering: %w; was\n%v\nis\n%v", err, s, u)
	}
	u.Clean(n.live)
	if err := u.Holds(c); err != nil {
		return fmt.Errorf("cleaning: %w; was\n%v\nis\n%v", err, s, u)
	}
	if !s.Same(s) || !s.Leq(s) {
		return fmt.Errorf("not below itself:\n%v", s)
	}
	u.Free()
	return nil
}

// binary checks the operations on two states, the first of which describes c.
func (w *Watch) binary(s, t *state.State, c *Concrete) error {
	if !s.Same(t) {
		return nil
	}
	if s.Leq(t) {
		if err := t.Holds(c); err != nil {
			return fmt.Errorf("above: %w; below\n%v\nabove\n%v", err, s, t)
		}
	}
	for _, p := range [2][2]*state.State{{s, t}, {t, s}} {
		u := state.Join(p[0], p[1], state.Union, false)
		if err := u.Holds(c); err != nil {
			return fmt.Errorf("join: %w; of\n%v\nand\n%v\nis\n%v", err, p[0], p[1], u)
		}
		wide := state.Join(p[0], p[1], w.m.sv.widening(), true)
		if err := wide.Holds(c); err != nil {
			return fmt.Errorf("widening: %w; of\n%v\nand\n%v\nis\n%v", err, p[0], p[1], wide)
		}
		u.Free()
		wide.Free()
	}
	return nil
}
