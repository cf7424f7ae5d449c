package bpftest

import (
	"math/rand/v2"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Mutate returns insns with one to three random changes: a field, an operation,
// an instruction dropped, doubled or exchanged with the next. Jumps keep their
// distance in slots. Many mutants are unsafe and some do not link.
func Mutate(insns []prog.Insn, r *rand.Rand) []prog.Insn {
	out := slices.Clone(insns)
	for range 1 + r.IntN(3) {
		out = mutateOnce(out, r)
	}
	return out
}

func mutateOnce(insns []prog.Insn, r *rand.Rand) []prog.Insn {
	pc := r.IntN(len(insns))
	in := &insns[pc]
	if in.Op == 0 || in.IsWide() { // either slot of a wide instruction
		if in.Op == 0 || in.Src == 0 {
			in.Imm = mutateInt(in.Imm, r)
		}
		return insns
	}
	nop := prog.Insn{Op: aluOp(isa.ALU64, isa.Mov, isa.X), Dst: in.Dst, Src: in.Dst}
	switch r.IntN(12) {
	case 0, 1, 2:
		in.Imm = mutateInt(in.Imm, r)
	case 3:
		in.Off += int16([]int{1, -1, 2, -2, 4, -4, 8, -8, 16, -16}[r.IntN(10)])
	case 4:
		in.Dst = prog.Reg(r.IntN(10))
	case 5:
		in.Src = prog.Reg(r.IntN(11))
	case 6: // another operation of the class
		if c := in.Op.Class(); c == isa.ALU || c == isa.ALU64 || c == isa.JMP || c == isa.JMP32 {
			in.Op = in.Op&0x0f | isa.Op(r.IntN(14)<<4)
		}
	case 7: // the other width, or another size
		in.Op ^= []isa.Op{1 << 2, 1 << 3, 2 << 3, 3}[r.IntN(4)]
	case 8, 9: // gone, without moving what jumps over it
		*in = nop
	case 10:
		if pc+1 < len(insns) && insns[pc+1].Op != 0 && !insns[pc+1].IsWide() {
			insns[pc], insns[pc+1] = insns[pc+1], insns[pc]
		}
	case 11:
		other := insns[r.IntN(len(insns))]
		if other.Op != 0 && !other.IsWide() {
			*in = other
		}
	}
	return insns
}

func mutateInt(v int32, r *rand.Rand) int32 {
	switch r.IntN(6) {
	case 0:
		return v + 1
	case 1:
		return v - 1
	case 2:
		return -v
	case 3:
		return v ^ 1<<r.IntN(32)
	case 4:
		return v << r.IntN(8)
	}
	return []int32{0, 1, -1, 7, 8, 31, 32, 63, 64, 255, 256, 1<<31 - 1, -1 << 31}[r.IntN(13)]
}
