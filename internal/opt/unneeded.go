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
	stack cellSet
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
			if p.before(s, &now) && p.Insns[s.pc] != nothing {
				p.replace(s.pc, nothing)
				s.reads, s.writes = 0, 0
			}
		}
	}
}

// spills reports whether a function stores to its stack, and uses R10 for nothing
// but that and loads.
func (p *Program) spills(steps []step) (stores bool) {
	for k := range steps {
		in := &p.Insns[steps[k].pc]
		if in.Dst != prog.R10 && in.Src != prog.R10 || *in == nothing {
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

// before makes n, which is needed after s, what is needed before it, and reports
// whether s does nothing that is needed.
func (p *Program) before(s *step, n *need) (idle bool) {
	in := &p.Insns[s.pc]
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		if n.regs&s.writes == 0 {
			return true
		}
	case isa.LDX:
		if in.Src != prog.R10 {
			break
		}
		if n.regs&s.writes == 0 {
			return true
		}
		touched, _ := cells(in)
		n.stack[0] |= touched[0]
		n.stack[1] |= touched[1]
	case isa.ST, isa.STX:
		if in.Dst != prog.R10 {
			break
		}
		touched, covered := cells(in)
		if n.stack[0]&touched[0]|n.stack[1]&touched[1] == 0 {
			return true
		}
		n.stack[0] &^= covered[0]
		n.stack[1] &^= covered[1]
	}
	n.regs = n.regs&^s.writes | s.reads
	return false
}

// A cellSet is a set of cells of the stack.
type cellSet [stackSize / cell / 64]uint64

// cells returns the cells of the stack that an access through R10 touches, and
// those that it covers.
func cells(in *prog.Insn) (touched, covered cellSet) {
	from := uint(int(in.Off) + stackSize)
	to := from + uint(in.Op.Size().Bytes())
	return cellsFrom(from/cell, (to+cell-1)/cell), cellsFrom((from+cell-1)/cell, to/cell)
}

// cellsFrom returns the cells from from, at most a word of them, up to end.
func cellsFrom(from, end uint) (s cellSet) {
	if from >= end {
		return s
	}
	word := uint64(1)<<(end-from) - 1
	s[from/64] = word << (from % 64)
	if (end-1)/64 != from/64 {
		s[1] = word >> (64 - from%64)
	}
	return s
}
