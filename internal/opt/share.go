package opt

import (
	"math"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// A shared is a Sum that nothing but addresses were made of so far.
type shared struct {
	n    int // accesses, from 1 on; 0: there is none
	sum  prog.PC
	at   [maxShared]prog.PC
	from Regs // that it was computed of
}

// maxShared is how many accesses may share a sum; one more than that are better
// served by the sum itself.
const maxShared = 4

// share makes the accesses to a Sum add it up themselves, if nothing else reads
// it: in is the current instruction.
//
// Sound: what the sum consists of does not change up to the last access that
// needs it, and all accesses lie on the straight line. So the registers hold
// there what they held at the sum, even where no instruction reads them again:
// what is live for the host between calls, of which there is none, is what
// nothing has written.
func (m *matcher) share(in prog.Insn, x *line) {
	reads := x.reads
	i := &m.Info[m.at]
	if i.Idiom.Kind == Sum {
		reads = bit(i.Idiom.Src)
		if i.Idiom.Index != NoIndex {
			reads |= bit(i.Idiom.Index)
		}
	}
	if p, ok := m.address(in); ok && i.Idiom.Kind == NoIdiom {
		if s := &m.sums[p]; s.n > 0 && s.n <= maxShared && !(in.Op.Class() == isa.STX && in.Src == p) && m.within(s, in) {
			s.at[s.n-1] = m.at
			s.n++
			reads &^= bit(p)
			x.reads |= s.from
		}
	}
	for p := range m.sums {
		s, r := &m.sums[p], prog.Reg(p)
		if s.n == 0 {
			continue
		}
		switch {
		case reads.Has(r):
			s.n = 0
		case x.writes.Has(r) || !m.lives(r):
			m.settle(s)
		case x.writes&s.from != 0:
			s.n = 0
		}
	}
	if i.Idiom.Kind == Sum && i.Idiom.Wide && i.Idiom.Src != i.Idiom.Dst && i.Idiom.Index != i.Idiom.Dst && i.Load == 0 {
		m.sums[i.Idiom.Dst] = shared{n: 1, sum: m.at, from: reads}
	}
}

// settle makes s's accesses what they can be. The sum is not read again.
func (m *matcher) settle(s *shared) {
	if s.n > 1 {
		sum := &m.Info[s.sum]
		for _, pc := range s.at[:s.n-1] {
			x := sum.Idiom
			x.Kind = Access
			x.Imm += int32(m.Insns[pc].Off)
			m.Info[pc].Idiom = x
		}
		sum.Merged, sum.Idiom = true, Idiom{}
	}
	s.n = 0
}

// within reports whether what in accesses is an Imm away from what s is made of.
func (m *matcher) within(s *shared, in prog.Insn) bool {
	n := int64(m.Info[s.sum].Idiom.Imm) + int64(in.Off)
	return n >= math.MinInt32 && n <= math.MaxInt32
}

// address returns the register that in, a plain load or store, finds its
// address in.
func (m *matcher) address(in prog.Insn) (prog.Reg, bool) {
	if m.Info[m.at].Field != nil {
		return 0, false
	}
	switch in.Op.Class() {
	case isa.LDX:
		return in.Src, true
	case isa.ST, isa.STX:
		return in.Dst, in.Op.Mode() != isa.ATOMIC
	}
	return 0, false
}
