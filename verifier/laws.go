package verifier

import (
	"fmt"

	"github.com/skepvm/skep/verifier/internal/state"
)

// Laws checks, on the states that were explored at the join point of the last
// Step, what the solver relies on. c is the run as Step got it. A join and a
// widening describe what either state describes; a state below another
// describes no more than it; renumbering and copying lose nothing, cleaning
// only forgets; and a Checker decides what Holds decides, of this run and of
// others close to it. Between join points there is nothing to check, and done is
// false.
func (w *Watch) Laws(c *Concrete) (done bool, err error) {
	if w.at == nil || w.at.from != nil || !w.ps.sv.g.blocks[w.at.n.block].joins {
		return false, nil
	}
	n := w.at.n
	states := n.kept[:min(len(n.kept), maxLaws)]
	for _, s := range states {
		if err := w.checker(s, c); err != nil {
			return true, err
		}
		if s.Holds(c) != nil {
			continue
		}
		if err := unary(n, s, c); err != nil {
			return true, err
		}
		for _, t := range states {
			if err := w.binary(s, t, c); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// checker compares a Checker of s with Holds: on c, and with one bit of c
// changed in each register and each known cell.
func (w *Watch) checker(s *state.State, c *Concrete) error {
	k, trial := state.NewChecker(s, nil), &state.Trial{}
	agree := func(what string) error {
		if fast, slow := k.Holds(c, trial), s.Holds(c); fast != (slow == nil) {
			return fmt.Errorf("%s: the checker says %v, the state %v; in\n%v", what, fast, slow, s)
		}
		return nil
	}
	if err := agree("the run"); err != nil || len(c.Frames) != len(s.Frames) {
		return err
	}
	for i := range c.Frames {
		f := &c.Frames[i]
		for r := range f.Regs {
			was := f.Regs[r]
			for _, x := range [...]uint64{was ^ 1, was ^ 1<<31, ^was, 0} {
				f.Regs[r] = x
				if err := agree(fmt.Sprintf("r%d of frame %d is %#x", r, i, x)); err != nil {
					f.Regs[r] = was
					return err
				}
			}
			f.Regs[r] = was
		}
		for _, cell := range s.Frames[i].Stack.Cells() {
			b := f.Stack[int(cell.Off)+state.StackSize:][:cell.Size]
			for j := range b {
				b[j] ^= 1 << (j % 8)
				err := agree(fmt.Sprintf("byte %d at fp%d of frame %d", j, cell.Off, i))
				if b[j] ^= 1 << (j % 8); err != nil {
					return err
				}
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
		wide := state.Join(p[0], p[1], w.ps.sv.widening(), true)
		if err := wide.Holds(c); err != nil {
			return fmt.Errorf("widening: %w; of\n%v\nand\n%v\nis\n%v", err, p[0], p[1], wide)
		}
		u.Free()
		wide.Free()
	}
	return nil
}
