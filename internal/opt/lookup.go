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
			if x.Form == InlineArray && !x.GivenCPU {
				p.key(pc, x)
			}
			x.Test = p.test(pc, x)
			if pc < end && x.Layout.CPUs > 1 && !x.GivenCPU {
				x.Base = p.Funcs[f].base(x.Map, x)
			}
		}
	}
	return nil
}

// key finds the register that holds the key of the lookup at pc: it was stored
// where R2 points, shortly before. The address need not be computed then.
//
// Sound: between the store and the call nothing else stores but to other places of
// the stack, and nothing writes the register but a handle that is not needed. What
// lies between is lowered as it is, so that the register is the host's, too, and no
// idiom reads the address. The address is not made then: the key may be in R2.
func (p *Program) key(pc prog.PC, x *Inline) {
	const far = 12
	address, slot, own := none, int32(0), false // where R2 was made, of R10
	written := Regs(0)
	at := pc
	for range far {
		if p.Info[at].Target || at == 0 {
			return
		}
		at--
		if p.Insns[at].Op == 0 && at > 0 && p.Insns[at-1].IsWide() {
			at--
		}
		in, i := p.Insns[at], &p.Info[at]
		if i.Dead || endsFlow(in.Op) || i.Load != 0 || in.Op.Class() == isa.LD && !in.IsWide() {
			return
		}
		if in.IsWide() && in.Src == isa.PseudoMapFD && i.Merged {
			continue
		}
		reads, writes := p.effect(at)
		switch class := in.Op.Class(); {
		case i.Merged && own && in == prog.Insn{Op: alu64 | isa.Op(isa.Mov) | isa.Op(isa.X), Dst: prog.R2, Src: prog.R10}:
			own = false // the beginning of the address
			continue
		case address == none && i.Idiom.Kind == Sum && i.Idiom.Dst == prog.R2 && i.Idiom.Src == prog.R10 && i.Idiom.Index == NoIndex && i.Idiom.Wide && in.Dst == prog.R2:
			address, slot, own = at, i.Idiom.Imm, true
			continue
		case i.Merged || i.Idiom.Kind != NoIdiom:
			return
		case class == isa.ST || class == isa.STX:
			n := int32(in.Op.Size().Bytes())
			off := int32(in.Off)
			if in.Dst != prog.R10 || address == none || in.Op.Mode() != isa.MEM {
				return
			}
			if off != slot || n != 4 {
				if off < slot+4 && slot < off+n {
					return
				}
				break // to another place
			}
			if class == isa.ST || written.Has(in.Src) || own {
				return
			}
			x.Key = in.Src + 1
			x.Most = p.mostOf(at, in.Src)
			p.Info[address].Merged, p.Info[address].Idiom = true, Idiom{}
			return
		case address == none && (reads | writes).Has(prog.R2):
			return
		case class == isa.JMP || class == isa.JMP32:
			return
		case class == isa.ALU || class == isa.ALU64:
			if op := in.Op.ALUOp(); op != isa.Mov && op != isa.Add {
				return // a host may take registers for it in which nothing lives
			}
		}
		written |= writes
	}
}

// mostOf returns the most that r can be at pc, by the instruction that made it, if
// that is the one before.
func (p *Program) mostOf(pc prog.PC, r prog.Reg) uint64 {
	if pc == 0 || p.Info[pc].Target {
		return most32
	}
	in := p.Insns[pc-1]
	if p.Info[pc-1].Dead || in.Op == 0 || in.Dst != r {
		return most32
	}
	switch {
	case in.Op == alu64|isa.Op(isa.And) && in.Imm >= 0, in.Op == alu|isa.Op(isa.And):
		return uint64(uint32(in.Imm))
	case in.Op.Class() == isa.LDX && p.Info[pc-1].Field == nil:
		return min(loads(&in), most32)
	}
	return most32
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
