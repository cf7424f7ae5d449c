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

// unneeded leaves out the stores to the function's stack that nothing reads, what
// computes registers for them alone, and so on. It is for functions that have
// spilled, and whose stack nobody else can reach, since they use R10 for nothing
// but loads and stores. loops: a step jumps back.
//
// Sound: needs are the least solution of the equations in which a computation
// whose result is not needed needs nothing. So by induction on the length of a run,
// what it needs is the same with and without the steps that are left out. The
// stack of a function ends with it.
func (p *Program) unneeded(steps []step, loops bool) {
	if !p.reloads || !p.spills(steps) {
		return
	}
	in := slices.Grow(p.memory.need[:0], len(p.Insns)+1)[:len(p.Insns)+1] // before each instruction
	p.memory.need = in
	in[len(p.Insns)] = need{}
	for k := range steps {
		in[steps[k].pc] = need{}
	}
	for again := true; again; {
		again = false
		for k := len(steps) - 1; k >= 0; k-- {
			s := &steps[k]
			now := p.before(s, in[s.jump].or(&in[s.next]))
			if now != in[s.pc] {
				in[s.pc] = now
				again = loops
			}
		}
	}
	for k := range steps {
		s := &steps[k]
		if out := in[s.jump].or(&in[s.next]); p.Insns[s.pc] != nothing && p.idle(s, &out) {
			p.replace(s.pc, nothing)
			s.reads, s.writes = 0, 0
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

// or returns what n or m needs.
func (n need) or(m *need) need {
	n.regs |= m.regs
	for i := range n.stack {
		n.stack[i] |= m.stack[i]
	}
	return n
}

// before returns what is needed before s, if out is after it.
func (p *Program) before(s *step, out need) need {
	if p.idle(s, &out) {
		return out
	}
	in := p.Insns[s.pc]
	switch c := in.Op.Class(); {
	case c == isa.LDX && in.Src == prog.R10:
		touched, _ := cells(in)
		for i := range out.stack {
			out.stack[i] |= touched[i]
		}
	case (c == isa.ST || c == isa.STX) && in.Dst == prog.R10:
		_, covered := cells(in)
		for i := range out.stack {
			out.stack[i] &^= covered[i]
		}
	}
	out.regs = out.regs&^s.writes | s.reads
	return out
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
