package opt

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// control looks at each instruction for the first time: which loads and stores touch
// the context, what calls call and which of them code can do without, and where jumps
// lead. Requires nothing.
func (p *Program) control(v *verifier.Verified) error {
	for f := range p.Funcs {
		p.Funcs[f].Stale = int32(v.StaleStack(f)+15) &^ 15
	}
	var calls calls
	if h := p.Program.Handler; h != 0 {
		p.Funcs[h].Callback = true
	}
	f := -1 // function of pc
	entry := prog.PC(0)
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		in, i := &p.Insns[pc], &p.Info[pc]
		i.Call = -1
		if pc == entry {
			f++
			i.Target = true
			if entry = none; f+1 < len(p.Funcs) {
				entry = p.Program.Funcs[f+1].Entry
			}
		}
		p.Funcs[f].Weight++
		if !v.Reached(pc) {
			i.Dead = true
			continue
		}
		var err error
		switch in.Op.Class() {
		case isa.ALU, isa.ALU64:
			switch in.Op.ALUOp() {
			case isa.Div, isa.Mod:
				i.NonZero = in.Op.Source() == isa.X && v.Fact(pc).NonZero
			case isa.Mov:
				if in.Op.Class() == isa.ALU64 && in.Op.Source() == isa.X && in.Off == 1 {
					err = p.unsupported(pc, "an address-space cast")
				}
			}
		case isa.LDX:
			if in.Src == prog.R10 {
				p.reloads = true
			} else {
				err = p.access(v, pc, in)
			}
		case isa.ST, isa.STX:
			if in.Dst != prog.R10 {
				err = p.access(v, pc, in)
			}
		case isa.LD:
			switch {
			case !in.IsWide():
				err = p.calling(v, pc, in, &calls)
			case in.Src == isa.PseudoFunc:
				p.Funcs[p.FuncAt(prog.PC(in.Imm))].Callback = true
			case in.Src == isa.PseudoMapFD:
				p.sites = append(p.sites, pc)
			}
		default:
			if t, ok := target(in, pc); ok {
				p.Info[t].Target = true
				if t <= pc {
					p.back = append(p.back, Head{t, pc + 1, pc + 1})
				}
				p.Funcs[f].MayGoto = p.Funcs[f].MayGoto || in.Op == isa.Op(isa.JMP)|isa.Op(isa.MayGoto)
			} else if in.Op.JmpOp() == isa.Call {
				err = p.calling(v, pc, in, &calls)
			}
		}
		if err != nil {
			return err
		}
	}
	p.Calls = slices.Clone(p.hostCalls)
	return nil
}

// access finds which field of the context, if any, the load or store in touches.
func (p *Program) access(v *verifier.Verified, pc prog.PC, in *prog.Insn) error {
	if v.Region(pc)&verifier.RegionCtx == 0 {
		return nil
	}
	f := v.Fact(pc)
	switch {
	case f.Region != verifier.RegionCtx:
		return p.unsupported(pc, "the address is the context's on one path and another on another")
	case in.Op.Class() == isa.STX && in.Op.Mode() == isa.ATOMIC:
		return p.unsupported(pc, "an atomic operation on the context")
	case in.Off < 0 || f.Field == nil || f.Min != int64(in.Off) || f.Max != f.Min ||
		uint32(in.Off)+uint32(in.Op.Size().Bytes()) > f.Field.Off+f.Field.Size:
		return p.unsupported(pc, "no field of the context is there")
	}
	p.Info[pc].Field = f.Field
	if !slices.Contains(p.fields, f.Field) {
		p.fields = append(p.fields, f.Field)
	}
	return nil
}

// calling finds what the instruction at pc, in, calls. A call through a register,
// if it always calls the same, becomes a direct call.
func (p *Program) calling(v *verifier.Verified, pc prog.PC, in *prog.Insn, seen *calls) error {
	i := &p.Info[pc]
	if in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X) {
		d := v.Fact(pc).Direct
		if d.Op == 0 {
			p.CallX = true
			return nil
		}
		p.replace(pc, d)
		in = &d
	}
	p.sites = append(p.sites, pc)
	p.subs = p.subs || in.IsCall(isa.CallSub)
	c, ok := p.callee(*in)
	if !ok {
		return nil
	}
	if c.Func == nil && c.Kind != CallPacket {
		return p.unsupported(pc, "the function is not known")
	}
	if c.Map = -1; c.Kind == CallPlain {
		if form := c.Func.Inline(); form != helpers.InlineNone {
			f := v.Fact(pc)
			if i.Inline = p.inline(form, &f); i.Inline != nil && !i.Inline.Calls() {
				return nil
			}
			c.Map = int32(f.Map)
		}
	}
	i.Call = seen.add(p, c)
	return nil
}

// calls finds calls in Program.Calls.
type calls struct{ index map[Call]int32 }

// few is how many calls are looked through, rather than found in an index.
const few = 12

// add returns the index of c in p.hostCalls, where it makes sure that c is.
func (s *calls) add(p *Program, c Call) int32 {
	n := int32(len(p.hostCalls))
	switch {
	case n < few:
		if k := slices.Index(p.hostCalls, c); k >= 0 {
			return int32(k)
		}
	case s.index == nil:
		s.index = map[Call]int32{}
		for k, c := range p.hostCalls {
			s.index[c] = int32(k)
		}
		fallthrough
	default:
		if k, ok := s.index[c]; ok {
			return k
		}
		s.index[c] = n
	}
	p.hostCalls = append(p.hostCalls, c)
	return n
}

// target is Insn.Target of a jump.
func target(in *prog.Insn, pc prog.PC) (t prog.PC, ok bool) {
	switch op := in.Op.JmpOp(); {
	case in.Op.Class() == isa.JMP32:
		if op == isa.JA {
			return pc + 1 + prog.PC(in.Imm), true
		}
	case op == isa.Call, op == isa.Exit:
		return 0, false
	}
	return pc + 1 + prog.PC(in.Off), true
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
		first, _ := slices.BinarySearch(p.sites, fn.Entry)
		for _, pc := range p.sites[first:] {
			if pc >= fn.End {
				break
			}
			in := p.Insns[pc]
			g := 0
			switch {
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
	if h := p.Program.Handler; h != 0 { // in the place of the first one
		p.Funcs[0].Depth = max(p.Funcs[0].Depth, p.Funcs[h].Depth)
	}
	return nil
}
