package opt

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// A need is what a function still reads: registers, and its stack in cells of 4
// bytes, the lowest in bit 0.
type need struct {
	regs  Regs
	stack [stackSize / cell / 64]uint64
}

const (
	stackSize = 512
	cell      = 4
)

// unneeded leaves out the stores to the stack of function f that nothing reads, what
// computes registers for them alone, and so on. It is for functions that have
// spilled, and whose stack nobody else can reach, since they use R10 for nothing
// but loads and stores. order is backwards(f).
//
// Sound: needs are the least solution of the equations in which a computation
// whose result is not needed needs nothing. So by induction on the length of a run,
// what it needs is the same with and without the steps that are left out. The
// stack of a function ends with it.
func (p *Program) unneeded(f int, order []int32) {
	if !p.reloads || !p.spills(p.flowOf(f)) {
		return
	}
	first := p.Funcs[f].blocks.from
	p.need = slices.Grow(p.need[:0], 2*len(order)+1)[:2*len(order)+1] // before each block, after each, nowhere
	clear(p.need)
	after := p.need[len(order):]
	none := &p.need[2*len(order)]
	before := func(k int32) *need {
		if k == nowhere {
			return none
		}
		return &p.need[k-first]
	}
	for _, k := range order {
		p.graph[k].seen = false
	}
	for again := true; again; {
		again = false
		for _, k := range order {
			b := &p.graph[k]
			now := *before(b.jump)
			now.or(before(b.next))
			if b.seen && now == after[k-first] {
				continue
			}
			b.seen, after[k-first] = true, now
			for j := b.to - 1; j >= b.from; j-- {
				p.before(&p.flow[j], &now)
			}
			if in := before(k); now != *in {
				*in = now
				again = p.Funcs[f].loops
			}
		}
	}
	for _, k := range order {
		b := &p.graph[k]
		now := after[k-first]
		for j := b.to - 1; j >= b.from; j-- {
			s := &p.flow[j]
			if p.Insns[s.pc] != nothing && p.idle(s, &now) {
				p.replace(s.pc, nothing)
				s.reads, s.writes = 0, 0
			} else {
				p.before(s, &now)
			}
		}
	}
}

// spills reports whether a function stores to its stack, and uses R10 for nothing
// but that and loads.
func (p *Program) spills(steps []step) (stores bool) {
	for k := range steps {
		in := p.Insns[steps[k].pc]
		if in.Dst != prog.R10 && in.Src != prog.R10 || in == nothing {
			continue
		}
		access := in.Op.Mode() == isa.MEM && in.Off >= -stackSize && int(in.Off)+in.Op.Size().Bytes() <= 0
		switch in.Op.Class() {
		case isa.LDX:
			access = access || in.Op.Mode() == isa.MEMSX && in.Off >= -stackSize && int(in.Off)+in.Op.Size().Bytes() <= 0
		case isa.ST, isa.STX:
			access = access && in.Src != prog.R10
			stores = true
		default:
			return false
		}
		if !access {
			return false
		}
	}
	return stores
}

// or adds what m needs.
func (n *need) or(m *need) {
	n.regs |= m.regs
	for i := range n.stack {
		n.stack[i] |= m.stack[i]
	}
}

// before makes n, which is needed after s, what is needed before it.
func (p *Program) before(s *step, n *need) {
	if p.idle(s, n) {
		return
	}
	in := p.Insns[s.pc]
	switch c := in.Op.Class(); {
	case c == isa.LDX && in.Src == prog.R10:
		touched, _ := cells(in)
		for i := range n.stack {
			n.stack[i] |= touched[i]
		}
	case (c == isa.ST || c == isa.STX) && in.Dst == prog.R10:
		_, covered := cells(in)
		for i := range n.stack {
			n.stack[i] &^= covered[i]
		}
	}
	n.regs = n.regs&^s.writes | s.reads
}

// idle reports whether s does nothing that is needed, if out is after it.
func (p *Program) idle(s *step, out *need) bool {
	in := p.Insns[s.pc]
	switch c := in.Op.Class(); {
	case c == isa.ALU, c == isa.ALU64, c == isa.LDX && in.Src == prog.R10:
		return out.regs&s.writes == 0
	case (c == isa.ST || c == isa.STX) && in.Dst == prog.R10:
		touched, _ := cells(in)
		for i := range touched {
			if out.stack[i]&touched[i] != 0 {
				return false
			}
		}
		return true
	}
	return false
}

// cells returns the cells of the stack that an access through R10 touches, and
// those that it covers.
func cells(in prog.Insn) (touched, covered [stackSize / cell / 64]uint64) {
	from := int(in.Off) + stackSize
	to := from + in.Op.Size().Bytes()
	for c := from / cell; c*cell < to; c++ {
		touched[c/64] |= 1 << (c % 64)
		if from <= c*cell && c*cell+cell <= to {
			covered[c/64] |= 1 << (c % 64)
		}
	}
	return touched, covered
}
