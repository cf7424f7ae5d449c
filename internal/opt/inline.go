package opt

import (
	"encoding/binary"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// An Inline is a call of the host's that code can do without.
type Inline struct {
	Form InlineForm

	// Lookups: the map, and how it keeps its values.
	Map    int32
	Layout *maps.Layout
	// Entry is the entry that the call always gets the value of (InlineEntry).
	Entry uint32
}

// An InlineForm is what code does in place of a call.
type InlineForm uint8

const (
	// InlineCPU: R0 = the run's CPU.
	InlineCPU InlineForm = iota
	// InlineNull: R0 = 0.
	InlineNull
	// InlineEntry: R0 = the address of the run's CPU's value of Entry.
	InlineEntry
	// InlineArray: R0 = the address of the run's CPU's value of the entry
	// whose number is at R2, or 0 if there is none.
	InlineArray
)

// Reads returns the registers that code reads in place of the call.
func (x *Inline) Reads() Regs {
	if x.Form == InlineArray {
		return bit(prog.R2)
	}
	return 0
}

// inline finds the calls that code can do without, given the layouts of the
// program's maps, by index; nil where it is not known.
func (p *Program) inline(v *verifier.Verified) error {
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		c, ok := p.callee(p.Insns[pc])
		if !ok || c.Kind != CallPlain || c.Func == nil || p.Info[pc].Dead {
			continue
		}
		switch c.Func.Inline() {
		case helpers.InlineCPU:
			p.Info[pc].Inline = &Inline{Form: InlineCPU}
		case helpers.InlineMapLookup:
			if f := v.Fact(pc); f.Map >= 0 && f.Map < len(p.layouts) && p.layouts[f.Map] != nil {
				p.Info[pc].Inline = lookup(int32(f.Map), p.layouts[f.Map], f.Key)
			}
		}
	}
	return nil
}

// lookup returns how code looks key, if it is not nil, or what R2 points to, up
// in map m.
func lookup(m int32, l *maps.Layout, key []byte) *Inline {
	x := &Inline{Map: m, Layout: l}
	switch {
	case l.Kind != maps.LayoutArray || l.Stride >= 1<<31 || l.CPUStep >= 1<<31:
		return nil
	case key == nil:
		x.Form = InlineArray
	case binary.LittleEndian.Uint32(key) < l.Entries:
		x.Form, x.Entry = InlineEntry, binary.LittleEndian.Uint32(key)
	default:
		x.Form = InlineNull
	}
	return x
}
