package opt

import (
	"math"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// tally matches what Set does, first being its first move and to what follows it, where
// a sum is all that needs it: a carry, or what is counted. It merges the first move
// and the sum.
//
// Sound: no other way leads to the sum, and no other instruction reads what it adds.
func (m *matcher) tally(to prog.PC, first *prog.Insn) bool {
	i, sum := &m.Info[to], m.Insns[to]
	if c := sum.Op.Class(); c != isa.ALU && c != isa.ALU64 {
		return false
	}
	if sum.Op.ALUOp() != isa.Add || sum.Op.Source() != isa.X || sum.Src != first.Dst || sum.Dst == first.Dst ||
		i.Dead || i.Merged || i.Idiom.Kind != NoIdiom || i.Load != 0 || i.Live.Has(first.Dst) {
		return false
	}
	after := m.at + 2
	if to == after {
		if m.jumpsTo(to) != 1 {
			return false
		}
	} else if m.Info[after].Target || to == m.steps[0].pc || !endsFlow(m.Insns[to-1].Op) || m.jumpsTo(to) != 2 {
		return false
	}
	m.merge(Idiom{Kind: Tally, Wide: sum.Op.Class() == isa.ALU64, Dst: sum.Dst, Imm: first.Imm}, 1)
	i.Merged = true
	return true
}

// jumpsTo returns how many jumps of the current function lead to pc, where one does.
func (m *matcher) jumpsTo(pc prog.PC) uint8 {
	bs := m.blocksOf(m.f)
	first := m.Program.Funcs[m.f].blocks.from
	if !m.counted {
		m.counted = true
		m.entered = slices.Grow(m.entered[:0], len(bs))[:len(bs)]
		clear(m.entered)
		for k := range bs {
			if to := bs[k].jump; to != nowhere {
				if n := &m.entered[to-first]; *n < math.MaxUint8 {
					*n++
				}
			}
		}
	}
	return m.entered[m.begin[pc]-first]
}
