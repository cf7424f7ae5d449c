package opt

import (
	"cmp"
	"slices"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A Head is the lowest instruction of a loop as it lies in the program, which
// need not be the one that it is entered by. Jumps lead back to it from before
// Near and, perhaps, Far.
type Head struct {
	PC        prog.PC
	Near, Far prog.PC // one past the nearest and the farthest jump back
}

// heads finds the Heads worth aligning. Where stretches that jumps lead back
// over overlap, the shortest is the loop that matters, and what begins inside it
// is left alone: padding there would be run in each iteration. Requires
// control. Linear: a stretch is compared with a few that begin before it.
func (p *Program) heads(*verifier.Verified) error {
	slices.SortFunc(p.back, func(a, b Head) int { return cmp.Compare(a.PC, b.PC) })
	all := p.inner[:0]
	for _, h := range p.back {
		if n := len(all); n > 0 && all[n-1].PC == h.PC {
			all[n-1].Near, all[n-1].Far = min(all[n-1].Near, h.Near), max(all[n-1].Far, h.Far)
			continue
		}
		all = append(all, h)
	}
	const few = 8
	for i, h := range all {
		inside := func(o Head) bool { return h.PC < o.Near && o.Near-o.PC < h.Near-h.PC }
		if !slices.ContainsFunc(all[max(0, i-few):i], inside) {
			p.loopHeads = append(p.loopHeads, h)
			for _, end := range [...]prog.PC{h.Near, h.Far} {
				if int(end) < len(p.Insns) {
					p.Info[end].End = true
				}
			}
		}
	}
	p.inner, p.Heads = all, p.loopHeads
	return nil
}
