package opt

import (
	"github.com/skepvm/skep/verifier"
)

// charges finds what loops cost.
//
// Requires blocks. Instructions are put in an order in which nearly all edges lead forwards: the
// reverse of that in which a depth-first walk leaves them. The meter is charged
// where an edge leads backwards, which is once in a loop, and on entry to a
// function, for all of it. Sound as an upper bound: let the credit of a run be
// what was charged less what was executed. A function begins with a credit of
// its instructions; going forwards spends at most one for each instruction that
// it leaves behind, so at x the credit is at least the number of instructions
// from x to the end of the order; going back from y to x adds the instructions
// from x to y, which restores that.
func (p *Program) charges(*verifier.Verified) error {
	for f := range p.Funcs {
		if !p.Funcs[f].loops {
			continue
		}
		order := p.backwards(f)
		at := int32(0)
		for _, k := range order {
			b := &p.graph[k]
			at -= b.to - b.from
			b.at = at
		}
		for _, k := range order {
			p.charge(&p.graph[k], p.graph[k].jump)
			p.charge(&p.graph[k], p.graph[k].next)
		}
	}
	return nil
}

// charge charges for the edge between two blocks if it leads backwards.
func (p *Program) charge(from *block, to int32) {
	if to == nowhere {
		return
	}
	last := from.at + from.to - from.from - 1
	if d := last + 1 - p.graph[to].at; d > 0 {
		i := &p.Info[p.flow[p.graph[to].from].pc]
		i.Charge = max(i.Charge, d)
		p.charged = true
	}
}
