package opt

import (
	"cmp"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// pins gives addresses of maps' values that loops load, again and again, to
// registers that the function does not use. Functions that call do without,
// since a call keeps only what the program knows of. Requires Heads' jumps.
func (p *Program) pins(*verifier.Verified) error {
	if len(p.back) == 0 {
		return nil
	}
	back := p.back
	for f := range p.Funcs {
		p.Funcs[f].Pins = p.pinsOf(p.flowOf(f), &back)
	}
	return nil
}

// pinsOf returns the pins of a function: of each map that it uses in a loop the first
// constant there, of maps that it uses more often first. jumps are those
// that lead back from there on; it takes off what it has seen.
func (p *Program) pinsOf(steps []step, jumps *[]Head) []Pin {
	type use struct {
		pc    prog.PC
		count int
	}
	var uses []use // of maps, in order of appearance
	var used Regs
	end := prog.PC(0) // loops seen so far reach up to there
	for k := range steps {
		s := &steps[k]
		pc := s.pc
		for len(*jumps) > 0 && (*jumps)[0].PC <= pc {
			end = max(end, (*jumps)[0].Far)
			*jumps = (*jumps)[1:]
		}
		if p.Info[pc].Dead {
			continue
		}
		in := p.Insns[pc]
		if s.calls || in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X) {
			return nil
		}
		used |= s.reads | s.writes
		if in.IsWide() && in.Src == isa.PseudoMapValue && pc < end {
			i := slices.IndexFunc(uses, func(u use) bool { return p.Insns[u.pc].Imm == in.Imm })
			switch {
			case i >= 0:
				uses[i].count++
			case len(uses) < prog.NumRegs:
				uses = append(uses, use{pc, 1})
			}
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int { return cmp.Compare(b.count, a.count) })
	var pins []Pin
	for r := prog.R9; r > prog.R0 && len(pins) < len(uses); r-- {
		if !used.Has(r) {
			pins = append(pins, Pin{r, uses[len(pins)].pc})
		}
	}
	return pins
}

// constant makes the current instruction, if it loads what is pinned, or
// something in the same map, a Sum.
func (m *matcher) constant(in *prog.Insn) {
	if r, off, ok := m.pinned(m.at); ok {
		m.Info[m.at].Idiom = Idiom{Kind: Sum, Wide: true, Dst: in.Dst, Src: r, Index: NoIndex, Imm: off}
	}
}

// pinned returns the register that is off less than what the instruction at pc
// loads.
func (m *matcher) pinned(pc prog.PC) (r prog.Reg, off int32, ok bool) {
	in := m.Insns[pc]
	if len(m.pins) == 0 || !in.IsWide() || in.Src != isa.PseudoMapValue {
		return 0, 0, false
	}
	for _, x := range m.pins {
		if m.Insns[x.PC].Imm == in.Imm {
			n := int64(uint32(m.Insns[pc+1].Imm)) - int64(uint32(m.Insns[x.PC+1].Imm))
			return x.Reg, int32(n), n == int64(int32(n))
		}
	}
	return 0, 0, false
}
