package opt

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// constants finds the calls that code can do without since their arguments are
// constants. Requires Info.Call and Info.Target.
func (p *Program) constants(v *verifier.Verified) error {
	if !p.hasConstants() {
		return nil
	}
	for _, pc := range p.sites {
		i := &p.Info[pc]
		if i.Call < 0 || i.Inline != nil || p.Calls[i.Call].Func == nil {
			continue
		}
		switch p.Calls[i.Call].Func.Inline() {
		case helpers.InlineStoreBytes:
			i.Inline = p.storeBytes(pc, v.Fact(pc).Size)
		case helpers.InlineCsumDiff:
			i.Inline = p.csumDiff(pc)
		}
	}
	return nil
}

// hasConstants reports whether the program calls what constants looks for.
func (p *Program) hasConstants() bool {
	for i := range p.Calls {
		if f := p.Calls[i].Func; f != nil && (f.Inline() == helpers.InlineStoreBytes || f.Inline() == helpers.InlineCsumDiff) {
			return true
		}
	}
	return false
}

// storeBytes returns how code stores n bytes for the call at pc; nil if it calls.
// The first flag asks for a checksum to be kept that no packet here has.
func (p *Program) storeBytes(pc prog.PC, n uint32) *Inline {
	if flags, ok := p.Constant(pc, prog.R5); !ok || flags != 0 && flags != 1 || n == 0 || n > maxInlineLoad {
		return nil
	}
	return &Inline{Form: InlineStoreBytes, Size: n}
}

// csumDiff returns how code computes the checksum that the call at pc asks for; nil
// if it calls. There has to be memory for each size that is not 0.
func (p *Program) csumDiff(pc prog.PC) *Inline {
	from, ok1 := p.Constant(pc, prog.R2)
	to, ok2 := p.Constant(pc, prog.R4)
	if !ok1 || !ok2 || from < 0 || to < 0 || from > maxInlineCsum || to > maxInlineCsum || from+to > maxInlineCsum || (from|to)%4 != 0 {
		return nil
	}
	return &Inline{Form: InlineCsumDiff, From: uint32(from), Size: uint32(to)}
}
