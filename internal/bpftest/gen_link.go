package bpftest

import (
	"slices"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Program links the program for its type on p.
func (g *Generated) Program(p hook.Platform) (*prog.Program, error) { return g.Link(p, g.Insns) }

// Link links insns, the program's own or a mutant's, for its type on p.
//
// Raw instructions cannot name functions of the host, so that calls of
// GenKfuncs are linked as calls of some helper and get their names afterwards.
func (g *Generated) Link(p hook.Platform, insns []prog.Insn) (*prog.Program, error) {
	insns = slices.Clone(insns)
	var calls []int
	for pc := range insns {
		in := &insns[pc]
		if in.IsCall(isa.CallKfunc) && in.Imm >= 0 && int(in.Imm) < len(GenKfuncs) {
			calls = append(calls, pc)
			in.Src = isa.CallHelper
		}
	}
	linked, err := prog.FromInsns("generated", p.Type(g.Type), insns, g.Maps)
	if err != nil || len(calls) == 0 {
		return linked, err
	}
	for _, pc := range calls {
		linked.Insns[pc].Src = isa.CallKfunc
	}
	for _, name := range GenKfuncs {
		linked.Externs = append(linked.Externs, prog.Extern{Name: name})
	}
	linked.License = "GPL"
	return linked, nil
}
