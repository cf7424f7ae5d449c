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
	for _, pc := range p.sites {
		i := &p.Info[pc]
		if i.Call < 0 || i.Inline != nil || p.Calls[i.Call].Func == nil {
			continue
		}
		switch form := p.Calls[i.Call].Func.Inline(); form {
		case helpers.InlineRingReserve:
			i.Inline = p.reserve(pc, v.Fact(pc).Map)
		case helpers.InlineRingOutput:
			i.Inline = p.output(pc, v.Fact(pc).Map)
		case helpers.InlineRingSubmit, helpers.InlineRingDiscard:
			i.Inline = &Inline{Form: InlineCommit, Drop: form == helpers.InlineRingDiscard}
		}
	}
	return nil
}

// reserve returns how code reserves a record for the call at pc, which gets map
// m; nil if it calls.
func (p *Program) reserve(pc prog.PC, m int) *Inline {
	l := p.ring(m)
	size, ok := p.Constant(pc, prog.R2)
	if l == nil || !ok || uint64(size) > uint64(l.Entries/2) {
		return nil
	}
	return &Inline{Form: InlineReserve, Map: int32(m), Layout: l, Size: uint32(size)}
}

// output is reserve for a record that is made at once.
func (p *Program) output(pc prog.PC, m int) *Inline {
	l := p.ring(m)
	size, ok := p.Constant(pc, prog.R3)
	if l == nil || !ok || size <= 0 || size > maxInlineLoad {
		return nil
	}
	if flags, ok := p.Constant(pc, prog.R4); !ok || flags&^(maps.RingBufNoWakeup|maps.RingBufForceWakeup) != 0 {
		return nil
	}
	return &Inline{Form: InlineOutput, Map: int32(m), Layout: l, Size: uint32(size)}
}

// ring returns the layout of map m if it is a ring buffer in which code can make
// records, else nil.
func (p *Program) ring(m int) *maps.Layout {
	if m < 0 || m >= len(p.layouts) || p.layouts[m] == nil || p.layouts[m].Kind != maps.LayoutRing || p.layouts[m].Entries > 1<<30 {
		return nil
	}
	return p.layouts[m]
}
