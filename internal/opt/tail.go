package opt

import (
	"slices"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// tails finds the tail calls that can be jumps: those of the main program, for a
// subprogram's caller gets the result. Requires Info.Call.
func (p *Program) tails(v *verifier.Verified) error {
	if !slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Kind == CallTail }) {
		return nil
	}
	for _, pc := range p.sites {
		i := &p.Info[pc]
		if pc >= p.Program.Funcs[0].End || i.Call < 0 || p.Calls[i.Call].Kind != CallTail {
			continue
		}
		m := v.Fact(pc).Map
		if m < 0 || m >= len(p.layouts) || p.layouts[m] == nil || p.layouts[m].Kind != maps.LayoutProgs || p.layouts[m].Entries > 1<<28 {
			continue
		}
		i.Inline = &Inline{Form: InlineTail, Map: int32(m), Layout: p.layouts[m]}
	}
	return nil
}

// Place returns the place that the tail call at pc always asks for; ok is false if
// that is not clear.
func (p *Program) Place(pc prog.PC) (place uint32, ok bool) {
	v, ok := p.Constant(pc, prog.R3)
	return uint32(v), ok
}
