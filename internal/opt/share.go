package opt

import (
	"math"
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// A shared is a Sum that nothing but addresses were made of so far.
type shared struct {
	n    int // accesses, from 1 on
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
func (m *matcher) share(in *prog.Insn, x *line) {
	i := &m.Info[m.at]
	sum := i.Idiom.Kind == Sum
	if m.open == 0 && !sum {
		return
	}
	reads := x.reads
	if sum {
		reads = i.Idiom.reads()
	} else if p, ok := m.address(in); ok && i.Idiom.Kind == NoIdiom && m.open.Has(p) {
		if s := &m.sums[p]; s.n <= maxShared && !(in.Op.Class() == isa.STX && in.Src == p) && m.within(s, in) {
			s.at[s.n-1] = m.at
			s.n++
			reads &^= bit(p)
			x.reads |= s.from
		}
	}
	for rest := m.open; rest != 0; rest &= rest - 1 {
		r := prog.Reg(bits.TrailingZeros16(uint16(rest)))
		s := &m.sums[r]
		switch {
		case reads.Has(r):
		case x.writes.Has(r) || !m.lives(r):
			m.settle(s)
		case x.writes&s.from == 0:
			continue
		}
		m.open &^= bit(r)
	}
	if sum && i.Idiom.Wide && i.Idiom.Src != i.Idiom.Dst && i.Idiom.Index != i.Idiom.Dst {
		m.sums[i.Idiom.Dst] = shared{n: 1, sum: m.at, from: reads}
		m.open |= bit(i.Idiom.Dst)
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
}

// within reports whether what in accesses is an Imm away from what s is made of.
func (m *matcher) within(s *shared, in *prog.Insn) bool {
	n := int64(m.Info[s.sum].Idiom.Imm) + int64(in.Off)
	return n >= math.MinInt32 && n <= math.MaxInt32
}

// address returns the register that in, a plain load or store, finds its
// address in.
func (m *matcher) address(in *prog.Insn) (prog.Reg, bool) {
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
