package opt

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A Loop is a call of the host's that calls a function of the program again and
// again, which code can do itself: loop, if Layout is nil, else
// for_each_map_elem of an array, without flags. An engine may call the host
// instead; the call is among Program.Calls.
type Loop struct {
	Func   int // of the program
	Map    int32
	Layout *maps.Layout
}

// loops finds the calls that are Loops. Requires Info.Call and Info.Target.
func (p *Program) loops(v *verifier.Verified) error {
	if !slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Kind == CallCallback }) {
		return nil
	}
	for f := range p.Program.Funcs {
		fn := &p.Program.Funcs[f]
		var held holding
		for pc := fn.Entry; pc < fn.End; pc = p.Next(pc) {
			i := &p.Info[pc]
			if i.Target || i.Dead {
				held = holding{}
			}
			if i.Dead {
				continue
			}
			if i.Call >= 0 && p.Calls[i.Call].Kind == CallCallback {
				i.Loop = p.loop(v, pc, &held)
				p.subs = p.subs || i.Loop != nil
			}
			held.step(p, pc)
		}
	}
	return nil
}

// loop returns what the callback's call at pc is, or nil.
func (p *Program) loop(v *verifier.Verified, pc prog.PC, h *holding) *Loop {
	g := int(h.fn[prog.R2]) - 1
	if g < 0 || !h.zero[prog.R4] {
		return nil
	}
	switch p.Calls[p.Info[pc].Call].Func {
	case helpers.Loop:
		return &Loop{Func: g}
	case helpers.ForEachMapElem:
		m := v.Fact(pc).Map
		if m < 0 || m >= len(p.layouts) || p.layouts[m] == nil {
			return nil
		}
		if l := p.layouts[m]; l.Kind == maps.LayoutArray && l.Entries < 1<<31 && l.ValueStride < 1<<31 && l.CPUStep < 1<<31 {
			return &Loop{Func: g, Map: int32(m), Layout: l}
		}
	}
	return nil
}

// A holding is what registers are known to hold on a straight line.
type holding struct {
	fn   [prog.NumRegs]int32 // index of the function whose address it is, from 1 on
	zero [prog.NumRegs]bool  // it is 0
}

// step makes h what is known after the instruction at pc.
func (h *holding) step(p *Program, pc prog.PC) {
	in := p.Insns[pc]
	if in.Op == copyOp && in.Off == 0 {
		h.fn[in.Dst], h.zero[in.Dst] = h.fn[in.Src], h.zero[in.Src]
		return
	}
	_, writes := p.effect(pc)
	if in.IsCall(isa.CallSub) {
		writes |= callRegs
	}
	for r := prog.R0; r < prog.NumRegs; r++ {
		if writes.Has(r) {
			h.fn[r], h.zero[r] = 0, false
		}
	}
	switch {
	case in.IsWide() && in.Src == isa.PseudoFunc:
		h.fn[in.Dst] = int32(p.FuncAt(prog.PC(in.Imm))) + 1
	case in.Op == alu|isa.Op(isa.Mov), in.Op == alu64|isa.Op(isa.Mov):
		h.zero[in.Dst] = in.Imm == 0
	}
}
