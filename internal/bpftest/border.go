package bpftest

import (
	"math/rand/v2"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Border returns insns, a program that is safe, with one small change of the
// kind that programmers get wrong: a bound, size or offset that is off by a
// little, a comparison turned round, of other sign or width, a check or another
// instruction left out, a jump to the instruction beside its target, a wrong
// register. Such programs lie right at the border of safety, on either side of
// it. Slots keep their places. what names the change.
func Border(insns []prog.Insn, r *rand.Rand) (out []prog.Insn, what string) {
	for range 64 {
		pc := r.IntN(len(insns))
		if insns[pc].Op == 0 {
			continue // the second slot of a wide instruction
		}
		out = slices.Clone(insns)
		b := border{r: r, insns: out, pc: pc}
		if what = b.change(&out[pc]); what != "" && !slices.Equal(out, insns) {
			return out, what
		}
	}
	return slices.Clone(insns), "nothing"
}

type border struct {
	r     *rand.Rand
	insns []prog.Insn
	pc    int
}

// change changes in, and returns a name for that; "" if it found nothing.
func (b *border) change(in *prog.Insn) string {
	switch b.r.IntN(9) {
	case 0: // nothing in its place; what follows uses what was there
		if in.IsWide() {
			return ""
		}
		*in = nop
		return "dropped"
	case 1:
		return b.register(in)
	}
	switch c := in.Op.Class(); {
	case in.IsWide():
		return b.wide(in)
	case c == isa.LDX, c == isa.ST, c == isa.STX:
		return b.access(in)
	case c == isa.ALU, c == isa.ALU64:
		return b.alu(in)
	case c == isa.JMP, c == isa.JMP32:
		return b.jump(in)
	}
	in.Imm = b.near(in.Imm)
	return "packet offset"
}

var nop = prog.Insn{Op: jumpOp(isa.JMP, isa.JA, isa.K)}

// near returns a number that could have been meant instead of v.
func (b *border) near(v int32) int32 {
	switch b.r.IntN(8) {
	case 0:
		return v << 1
	case 1:
		return v<<1 | 1
	case 2:
		return v >> 1
	case 3:
		return -v
	case 4:
		return v ^ 1<<b.r.IntN(32)
	}
	return v + b.step()
}

// step returns the size of something, or its negative.
func (b *border) step() int32 {
	return []int32{1, -1, 1, -1, 2, -2, 4, -4, 8, -8, 16, -16}[b.r.IntN(12)]
}

func (b *border) register(in *prog.Insn) string {
	switch b.r.IntN(3) {
	case 0:
		in.Dst = prog.Reg(b.r.IntN(10))
		return "destination"
	case 1:
		if in.Op.Class() == isa.LDX || in.Op.Class() == isa.STX || in.Op.Source() == isa.X && in.Op.Class() != isa.LD {
			in.Src = prog.Reg(b.r.IntN(11))
			return "source"
		}
	case 2:
		if in.Op.Source() == isa.X && in.Dst != prog.R10 && in.Src != prog.R10 {
			in.Dst, in.Src = in.Src, in.Dst
			return "operands exchanged"
		}
	}
	return ""
}

// wide changes which map is meant, or the offset in its value.
func (b *border) wide(in *prog.Insn) string {
	second := &b.insns[b.pc+1]
	switch in.Src {
	case isa.PseudoMapFD, isa.PseudoMapIdx:
		in.Imm ^= 1
		return "map"
	case isa.PseudoMapValue, isa.PseudoMapIdxValue:
		second.Imm += b.step()
		return "offset in a map's value"
	case 0:
		in.Imm = b.near(in.Imm)
		return "constant"
	}
	return ""
}

func (b *border) access(in *prog.Insn) string {
	switch b.r.IntN(3) {
	case 0:
		in.Op = in.Op&^isa.Op(isa.DW|isa.W|isa.H|isa.B) | isa.Op(sizes[b.r.IntN(len(sizes))])
		return "size of an access"
	case 1:
		if in.Op.Mode() == isa.MEM && in.Op.Class() == isa.LDX {
			in.Op ^= isa.Op(isa.MEM) ^ isa.Op(isa.MEMSX)
			return "sign extension of a load"
		}
	}
	in.Off += int16(b.step())
	return "offset of an access"
}

// mistaken are the ALU operations that are mistaken for another.
var mistaken = map[isa.ALUOp][]isa.ALUOp{
	isa.Add: {isa.Sub}, isa.Sub: {isa.Add}, isa.And: {isa.Or, isa.Mod}, isa.Or: {isa.And, isa.Xor, isa.Add}, isa.Xor: {isa.Or},
	isa.Lsh: {isa.Rsh}, isa.Rsh: {isa.Arsh, isa.Lsh}, isa.Arsh: {isa.Rsh}, isa.Div: {isa.Mod}, isa.Mod: {isa.Div, isa.And},
	isa.Mul: {isa.Add, isa.Lsh},
}

func (b *border) alu(in *prog.Insn) string {
	op := in.Op.ALUOp()
	switch b.r.IntN(5) {
	case 0:
		if op != isa.End {
			in.Op ^= isa.Op(isa.ALU) ^ isa.Op(isa.ALU64)
			return "width of an operation"
		}
	case 1:
		if alt := mistaken[op]; alt != nil {
			in.Op = in.Op&0x0f | isa.Op(alt[b.r.IntN(len(alt))])
			return "operation"
		}
	case 2:
		switch {
		case op == isa.Mov && in.Op.Source() == isa.X:
			in.Off = []int16{0, 8, 16, 32}[b.r.IntN(4)]
			return "sign extension of a move"
		case op == isa.Div || op == isa.Mod:
			in.Off ^= 1
			return "sign of a division"
		}
	}
	switch {
	case op == isa.End:
		in.Imm = []int32{16, 32, 64}[b.r.IntN(3)]
		return "width of a byte swap"
	case in.Op.Source() == isa.K && op != isa.Neg:
		in.Imm = b.near(in.Imm)
		return "constant"
	}
	return ""
}

// beside are the comparisons that are mistaken for another: strict or not,
// turned round, of the other sign.
var beside = map[isa.JmpOp][]isa.JmpOp{
	isa.JEq: {isa.JNe, isa.JGe, isa.JSLe}, isa.JNe: {isa.JEq, isa.JGt, isa.JLt}, isa.JSet: {isa.JEq, isa.JNe},
	isa.JGt: {isa.JGe, isa.JLe, isa.JSGt}, isa.JGe: {isa.JGt, isa.JLt, isa.JSGe},
	isa.JLt: {isa.JLe, isa.JGe, isa.JSLt}, isa.JLe: {isa.JLt, isa.JGt, isa.JSLe},
	isa.JSGt: {isa.JSGe, isa.JSLe, isa.JGt}, isa.JSGe: {isa.JSGt, isa.JSLt, isa.JGe},
	isa.JSLt: {isa.JSLe, isa.JSGe, isa.JLt}, isa.JSLe: {isa.JSLt, isa.JSGt, isa.JLe},
}

func (b *border) jump(in *prog.Insn) string {
	op := in.Op.JmpOp()
	alt := beside[op]
	switch {
	case op == isa.Call && in.Src == isa.CallHelper:
		in.Imm = []int32{mapLookupElem, mapUpdateElem, mapDeleteElem, in.Imm + 1, in.Imm - 1}[b.r.IntN(5)]
		return "helper"
	case op == isa.Call, op == isa.Exit, op == isa.MayGoto:
		return ""
	case alt == nil: // a goto
		in.Off += int16(1 - 2*b.r.IntN(2))
		return "target of a jump"
	}
	switch b.r.IntN(6) {
	case 0:
		in.Op = in.Op&0x0f | isa.Op(alt[b.r.IntN(len(alt))])
		return "comparison"
	case 1:
		in.Op ^= isa.Op(isa.JMP) ^ isa.Op(isa.JMP32)
		return "width of a comparison"
	case 2:
		in.Off += int16(1 - 2*b.r.IntN(2))
		return "target of a jump"
	case 3:
		*in = prog.Insn{Op: nop.Op, Off: in.Off}
		return "check always taken"
	}
	if in.Op.Source() == isa.K {
		in.Imm = b.near(in.Imm)
		return "constant of a comparison"
	}
	in.Op = in.Op&0x0f | isa.Op(alt[b.r.IntN(len(alt))])
	return "comparison"
}
