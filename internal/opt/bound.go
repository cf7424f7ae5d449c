package opt

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// How many instructions a run may execute without a look at whether it should go
// on, so that it ends well within a millisecond however bad a day the CPU has.
const (
	// MaxUnmetered is for any program: some 10 microseconds as a rule, and below
	// a millisecond if each fourth instruction waits 100 ns for memory. (To wait
	// longer, or more often, takes more instructions, which compute an address
	// each time.)
	MaxUnmetered = 1 << 15
	// MaxUnmeteredDivide is for programs that access nothing but so little
	// memory that it stays in the cache, and neither call the host nor have
	// atomic operations: if each second is a division that takes 25 ns.
	MaxUnmeteredDivide = 1 << 16
	// MaxUnmeteredLight is for those of them that do not divide:
	// at 3 ns, which takes a branch that is mispredicted every two instructions,
	// or a chain of loads that all miss the first cache.
	MaxUnmeteredLight = 1 << 18

	// maxLight is how many bytes of packet, and of maps, such a program may
	// reach.
	maxLight = 1 << 16
)

// bound finds out whether a run is proven to be so short that it need not be
// metered. A tail call makes a longer run of several short ones. Requires Calls.
func (p *Program) bound(v *verifier.Verified) error {
	w := v.Stats().WorstCase
	tail := slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Kind == CallTail })
	later := slices.ContainsFunc(p.Calls, func(c Call) bool { return c.Func != nil && c.Func.RunsLater() }) // a run of its own
	if w > 0 && w <= MaxUnmeteredLight && !tail && !later && !p.CallX && p.Metered() && w <= p.unmetered(v) {
		p.Bound = w
	}
	return nil
}

// unmetered returns how long a run of p may be that is not metered.
func (p *Program) unmetered(v *verifier.Verified) int64 {
	if len(p.Calls) > 0 {
		return MaxUnmetered
	}
	most := int64(MaxUnmeteredLight)
	touched := make([]bool, len(p.Maps))
	reach := int64(0) // bytes of maps
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		in := p.Insns[pc]
		if p.Info[pc].Dead {
			continue
		}
		switch c := in.Op.Class(); c {
		case isa.ALU, isa.ALU64:
			if op := in.Op.ALUOp(); op == isa.Div || op == isa.Mod {
				most = MaxUnmeteredDivide
			}
			continue
		case isa.STX:
			if in.Op.Mode() == isa.ATOMIC {
				return MaxUnmetered
			}
		case isa.LDX, isa.ST:
		default:
			continue
		}
		const near = verifier.RegionCtx | verifier.RegionStack | verifier.RegionCallerStack
		f := v.Fact(pc)
		if f.Region == 0 || f.Region&^(near|verifier.RegionPacket|verifier.RegionMapValue) != 0 ||
			f.Region&verifier.RegionPacket != 0 && (f.Min < 0 || f.Max > maxLight) {
			return MaxUnmetered
		}
		if f.Region&verifier.RegionMapValue == 0 {
			continue
		}
		if f.Map < 0 {
			return MaxUnmetered
		}
		if !touched[f.Map] {
			touched[f.Map] = true
			spec := p.Maps[f.Map]
			if spec.ValueSize > maxLight || spec.MaxEntries > maxLight {
				return MaxUnmetered
			}
			reach += int64(spec.ValueSize) * int64(spec.MaxEntries)
		}
		if reach > maxLight {
			return MaxUnmetered
		}
	}
	return most
}
