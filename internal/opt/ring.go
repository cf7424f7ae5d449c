package opt

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// records finds the records of ring buffers that code can make itself. Requires
// Info.Call and Info.Target.
func (p *Program) records(v *verifier.Verified) error {
	if !slices.ContainsFunc(p.layouts, func(l *maps.Layout) bool { return l != nil && l.Kind == maps.LayoutRing }) {
		return nil
	}
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		i := &p.Info[pc]
		if i.Dead || i.Call < 0 || i.Inline != nil || p.Calls[i.Call].Func == nil {
			continue
		}
		switch form := p.Calls[i.Call].Func.Inline(); form {
		case helpers.InlineRingReserve:
			i.Inline = p.reserve(pc, v.Fact(pc).Map)
		case helpers.InlineRingSubmit, helpers.InlineRingDiscard:
			i.Inline = &Inline{Form: InlineCommit, Drop: form == helpers.InlineRingDiscard}
		}
	}
	return nil
}

// reserve returns how code reserves a record for the call at pc, which gets map
// m; nil if it calls.
func (p *Program) reserve(pc prog.PC, m int) *Inline {
	if m < 0 || m >= len(p.layouts) || p.layouts[m] == nil || p.layouts[m].Kind != maps.LayoutRing {
		return nil
	}
	l := p.layouts[m]
	size, ok := p.Constant(pc, prog.R2)
	if !ok || l.Entries > 1<<30 || uint64(size) > uint64(l.Entries/2) {
		return nil
	}
	return &Inline{Form: InlineReserve, Map: int32(m), Layout: l, Size: uint32(size)}
}
