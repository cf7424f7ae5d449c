package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// MaxBases is how many per-CPU maps a function keeps the address for its CPU of.
const MaxBases = 2

// lookups makes lookups in arrays one with what is around them: the test of what
// they find, and the address of the CPU's values, which a function finds once if it
// looks up in a loop. Requires idioms.
func (p *Program) lookups(*verifier.Verified) error {
	back := p.back
	for f := range p.Program.Funcs {
		fn := &p.Program.Funcs[f]
		end := prog.PC(0) // loops seen so far reach up to there
		for pc := fn.Entry; pc < fn.End; pc = p.Next(pc) {
			for len(back) > 0 && back[0].PC <= pc {
				end = max(end, back[0].Far)
				back = back[1:]
			}
			i := &p.Info[pc]
			if i.Dead {
				continue
			}
			if in := p.Insns[pc]; in.IsWide() && in.Src == isa.PseudoMapFD && !i.Live.Has(in.Dst) && i.Idiom.Kind == NoIdiom {
				i.Merged = true // the call does without it
			}
			x := i.Inline
			if x == nil || x.Form != InlineArray && x.Form != InlineEntry {
				continue
			}
			x.Test = p.test(pc, x)
			if pc < end && x.Layout.CPUs > 1 && !x.GivenCPU {
				x.Base = p.Funcs[f].base(x.Map, x)
			}
		}
	}
	return nil
}

// test returns the instruction after the one at pc if it is a test of what x
// finds, which is then Merged; 0 if it is not.
func (p *Program) test(pc prog.PC, x *Inline) prog.PC {
	n := p.Next(pc)
	if x.Calls() || p.Info[pc].Unset != 0 || int(n) >= len(p.Insns) {
		return 0
	}
	in, i := p.Insns[n], &p.Info[n]
	if op := in.Op; op != isa.Op(isa.JMP)|isa.Op(isa.JEq) && op != isa.Op(isa.JMP)|isa.Op(isa.JNe) || in.Dst != prog.R0 || in.Imm != 0 {
		return 0
	}
	if i.Target || i.Dead || i.Merged || i.Idiom.Kind != NoIdiom || i.Load != 0 {
		return 0
	}
	i.Merged = true
	return n
}

// base returns which of f's bases x's map has, from 1 on; 0: none.
func (f *Func) base(m int32, x *Inline) int {
	for i := range f.Bases {
		if f.Bases[i].Map == m {
			return i + 1
		}
	}
	if len(f.Bases) == MaxBases {
		return 0
	}
	f.Bases = append(f.Bases, x)
	return len(f.Bases)
}
