package verifier

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// structure checks what needs no analysis. Encodings and jump targets were
// checked when the program was linked.
func (v *verifier) structure() error {
	for fn := range v.p.Funcs {
		if err := v.reachable(fn); err != nil {
			return err
		}
	}
	return nil
}

// reachable reports the first instruction of function fn to which no path
// leads.
func (v *verifier) reachable(fn int) error {
	first, last := v.g.entry[fn], len(v.g.blocks)
	if fn+1 < len(v.g.entry) {
		last = v.g.entry[fn+1]
	}
	seen := make([]bool, last-first)
	seen[0] = true
	for todo := []int{first}; len(todo) > 0; {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, s := range v.g.blocks[b].succs {
			if !seen[s-first] {
				seen[s-first] = true
				todo = append(todo, s)
			}
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		return v.errorAt(Unreachable, v.g.blocks[first+i].start, nil, "no path leads here")
	}
	return nil
}

// newThresholds collects the constants that widening stops at: those that
// the program compares with, masks with and adds, and the sizes of its maps.
func (v *verifier) newThresholds() scalar.Thresholds {
	t := []uint64{0, 1, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 1<<31 - 1, 1<<32 - 1, 1<<63 - 1}
	around := func(c int64) { t = append(t, uint64(c-1), uint64(c), uint64(c+1)) }
	for pc := prog.PC(0); int(pc) < len(v.p.Insns); pc = next(v.p, pc) {
		in := v.p.Insns[pc]
		switch {
		case isJump(in) && in.Op.JmpOp() != isa.Call && in.Op.Source() == isa.K,
			in.Op.Class() == isa.ALU64 || in.Op.Class() == isa.ALU:
			around(int64(in.Imm))
			if in.Op.Class() == isa.JMP32 || in.Op.Class() == isa.ALU {
				around(int64(uint32(in.Imm)))
			}
		case in.IsWide() && in.Src == 0:
			around(int64(uint64(uint32(in.Imm)) | uint64(uint32(v.p.Insns[pc+1].Imm))<<32))
		}
	}
	for _, m := range v.p.Maps {
		around(int64(m.ValueSize))
		around(int64(m.MaxEntries))
	}
	return scalar.NewThresholds(t...)
}
