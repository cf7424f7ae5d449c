package opt

import (
	"math"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A step is an instruction that a path leads to, as the passes over the graph see it.
type step struct {
	pc                  prog.PC
	reads, writes, live Regs
	calls               bool // a function of the program or the host
}

// A block is a straight line of a function: jumps lead to its first instruction
// alone, and only its last one leads elsewhere. Blocks lie in the order of the
// program.
type block struct {
	span             // of memory.flow
	jump, next int32 // where it goes on, by a jump or to what lies behind
	at         int32 // of its first instruction in the order of charges; unseen
	in, out    Regs  // live before and after
	seen       bool  // by the pass under way
}

// A span is part of a list: [from:to].
type span struct{ from, to int32 }

const (
	// nowhere is the block where nothing is live: where a block goes on that does not.
	nowhere int32 = 0

	unseen int32 = math.MaxInt32
)

// blocks makes the graph of each function. Requires Info.Target and what calls do;
// after it no pass but liveness changes what instructions read and write.
func (p *Program) blocks(*verifier.Verified) error {
	p.flow = slices.Grow(p.flow, len(p.Insns))[:len(p.Insns)]
	p.graph = append(p.graph, block{})
	for f := range p.Program.Funcs {
		fn := &p.Program.Funcs[f]
		p.Funcs[f].blocks.from = int32(len(p.graph))
		p.Funcs[f].loops = p.split(fn.Entry, fn.End)
		p.Funcs[f].blocks.to = int32(len(p.graph))
	}
	return nil
}

// split appends the blocks of the function from entry to end, and reports whether
// one leads back.
func (p *Program) split(entry, end prog.PC) (loops bool) {
	first := len(p.graph)
	flow := p.flow
	var b *block // the last, if it goes on
	for pc := entry; pc < end; pc = p.Next(pc) {
		i := &p.Info[pc]
		if i.Dead {
			b = nil
			continue
		}
		if i.Target || b == nil {
			p.begin[pc] = int32(len(p.graph))
			at := p.graph[len(p.graph)-1].to
			p.graph = append(p.graph, block{span: span{at, at}, jump: int32(none), at: unseen})
			b = &p.graph[len(p.graph)-1]
		}
		in := &p.Insns[pc]
		s := &flow[b.to]
		b.to++
		*s = step{pc: pc}
		s.reads, s.writes = p.effect(pc)
		switch c := in.Op.Class(); c {
		case isa.JMP, isa.JMP32:
			if t, ok := target(in, pc); ok {
				if !p.Info[t].Dead {
					b.jump = int32(t)
					loops = loops || t <= pc
				}
				b = nil
			} else if endsFlow(in.Op) {
				b = nil
			} else {
				s.calls = in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)
			}
		case isa.LD:
			s.calls = !in.IsWide()
		}
	}
	for k := first; k < len(p.graph); k++ {
		b := &p.graph[k]
		if last := p.flow[b.to-1].pc; k+1 < len(p.graph) && !endsFlow(p.Insns[last].Op) && p.flow[b.to].pc == p.Next(last) {
			b.next = int32(k) + 1
		}
		if to := prog.PC(b.jump); to == none {
			b.jump = nowhere
		} else {
			b.jump = p.begin[to]
		}
	}
	return loops
}

// blocksOf returns the blocks of function f. Requires blocks.
func (p *Program) blocksOf(f int) []block {
	return p.graph[p.Funcs[f].blocks.from:p.Funcs[f].blocks.to]
}

// flowOf returns the instructions of function f that a path leads to. Requires blocks.
func (p *Program) flowOf(f int) []step {
	bs := p.blocksOf(f)
	if len(bs) == 0 {
		return nil
	}
	return p.flow[bs[0].from:bs[len(bs)-1].to]
}

// backwards returns the blocks of function f in an order in which nearly all come
// after those that they lead to: a depth-first walk leaves them like that. It is
// valid until the next call.
func (p *Program) backwards(f int) []int32 {
	all := p.Funcs[f].blocks
	p.order = p.order[:0]
	if p.Funcs[f].loops {
		p.walk(all)
		if len(p.order) == int(all.to-all.from) {
			return p.order
		}
		p.order = p.order[:0]
	}
	for k := all.to - 1; k >= all.from; k-- {
		p.order = append(p.order, k)
	}
	return p.order
}

// walk appends to p.order the blocks that a function's first one leads to, each when
// all that it leads to, but for what is on the way there, has been. What lies behind
// a block is walked last, so that it comes before it in the order where it can.
func (p *Program) walk(all span) {
	for k := all.from; k < all.to; k++ {
		p.graph[k].seen = false
	}
	p.graph[nowhere].seen = true
	way := p.way[:0]
	if all.from < all.to {
		way = append(way, all.from)
	}
	for len(way) > 0 {
		k := way[len(way)-1]
		b := &p.graph[k]
		if !b.seen {
			b.seen = true
			if !p.graph[b.jump].seen {
				way = append(way, b.jump)
				continue
			}
		}
		if !p.graph[b.next].seen {
			way = append(way, b.next)
			continue
		}
		way = way[:len(way)-1]
		p.order = append(p.order, k)
	}
	p.way = way
}
