package opt

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// control finds what calls call and where jumps lead.
func (p *Program) control(v *verifier.Verified) error {
	calls := map[Call]int32{}
	f := -1 // function of pc
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		in, i := p.Insns[pc], &p.Info[pc]
		if f+1 < len(p.Funcs) && pc == p.Program.Funcs[f+1].Entry {
			f++
			i.Target = true
		}
		p.Funcs[f].Weight++
		if i.Dead {
			continue
		}
		if t, ok := target(in, pc); ok {
			p.Info[t].Target = true
			if t <= pc {
				p.back = append(p.back, Head{t, pc + 1, pc + 1})
			}
		}
		switch {
		case in.IsWide() && in.Src == isa.PseudoFunc:
			p.Funcs[p.FuncAt(prog.PC(in.Imm))].Callback = true
		case in.Op == isa.Op(isa.JMP)|isa.Op(isa.MayGoto):
			p.Funcs[p.FuncAt(pc)].MayGoto = true
		case in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X):
			p.CallX = true
		case in.Op.Class() == isa.ALU64 && in.Op.ALUOp() == isa.Mov && in.Op.Source() == isa.X && in.Off == 1:
			return p.unsupported(pc, "an address-space cast")
		}
		if !mayCall(in) {
			continue
		}
		p.subs = p.subs || in.IsCall(isa.CallSub)
		c, ok := p.callee(in)
		if !ok || i.Inline != nil && !i.Inline.Calls() {
			continue
		}
		if c.Func == nil && c.Kind != CallPacket {
			return p.unsupported(pc, "the function is not known")
		}
		if c.Map = -1; c.Kind == CallPlain && c.Func.Inline() != helpers.InlineNone {
			c.Map = int32(v.Fact(pc).Map)
		}
		index, seen := calls[c]
		if !seen {
			index = int32(len(p.Calls))
			calls[c] = index
			p.Calls = append(p.Calls, c)
		}
		i.Call = index
	}
	return nil
}

// target is Insn.Target, quick to say no.
func target(in prog.Insn, pc prog.PC) (t prog.PC, ok bool) {
	if c := in.Op.Class(); c != isa.JMP && c != isa.JMP32 {
		return 0, false
	}
	return in.Target(pc)
}

// mayCall is quick to say that in calls nothing of the host.
func mayCall(in prog.Insn) bool {
	c := in.Op.Class()
	return c == isa.JMP && in.Op.JmpOp() == isa.Call || c == isa.LD && !in.IsWide()
}

// callee returns what of the host in calls; ok is false if nothing.
func (p *Program) callee(in prog.Insn) (c Call, ok bool) {
	switch {
	case in.IsCall(isa.CallHelper):
		c.Func = p.Type.Helpers.Helper(helpers.ID(in.Imm))
	case in.IsCall(isa.CallKfunc):
		name := p.Externs[in.Imm].Name
		if c.Func = p.Type.Helpers.Kfunc(name); c.Func == nil {
			c.Func = helpers.Kfunc(name)
		}
		if c.Func == nil {
			c.Func = helpers.Builtin(name)
		}
	case in.Op.Class() == isa.LD && !in.IsWide():
		return Call{Kind: CallPacket}, true
	default:
		return c, false
	}
	if c.Func != nil {
		switch c.Func.Proto.Control {
		case helpers.TailCall:
			c.Kind = CallTail
		case helpers.Callback:
			c.Kind = CallCallback
		}
	}
	return c, true
}

// depth finds how many frames each function needs for direct calls. Callbacks
// are entered by the host, which looks for room itself.
func (p *Program) depth(*verifier.Verified) error {
	if !p.subs {
		for f := range p.Funcs {
			p.Funcs[f].Depth = 1
		}
		return nil
	}
	const busy = -1
	var visit func(f int) error
	visit = func(f int) error {
		fn := &p.Program.Funcs[f]
		p.Funcs[f].Depth = busy
		most := 0
		for pc := fn.Entry; pc < fn.End; pc = p.Next(pc) {
			in := p.Insns[pc]
			g := 0
			switch {
			case p.Info[pc].Dead:
				continue
			case p.Info[pc].Loop != nil:
				g = p.Info[pc].Loop.Func
			case in.IsCall(isa.CallSub):
				g = p.FuncAt(pc + 1 + prog.PC(in.Imm))
			default:
				continue
			}
			switch p.Funcs[g].Depth {
			case busy:
				return p.unsupported(pc, "recursion")
			case 0:
				if err := visit(g); err != nil {
					return err
				}
			}
			if most = max(most, p.Funcs[g].Depth); most >= MaxFrames {
				return p.unsupported(pc, "more than %d frames", MaxFrames)
			}
		}
		p.Funcs[f].Depth = most + 1
		return nil
	}
	for f := range p.Funcs {
		if p.Funcs[f].Depth == 0 {
			if err := visit(f); err != nil {
				return err
			}
		}
	}
	return nil
}
