package checked

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// translate returns the op of the valid instruction in at pc. A jump's target
// is a PC still.
func (b *binder) translate(pc prog.PC, in prog.Insn) op {
	o := op{
		dst: uint8(in.Dst), src: uint8(in.Src),
		sub: uint8(in.Op.ALUOp()), off: int32(in.Off), imm: uint64(int64(in.Imm)),
	}
	switch in.Op.Class() {
	case isa.ALU64:
		o.code = aluCode(in, alu64Codes)
		if o.code == 0 {
			o.code = pick(in, opALU64K, opALU64X)
		}
		if o.code == opAddK && in.Op.ALUOp() == isa.Sub {
			o.imm = -o.imm
		}
	case isa.ALU:
		o.code = aluCode(in, alu32Codes)
		if o.code == 0 {
			o.code = pick(in, opALU32K, opALU32X)
		}
		if o.code == opAdd32K && in.Op.ALUOp() == isa.Sub {
			o.imm = -o.imm
		}
	case isa.JMP, isa.JMP32:
		return b.translateJump(pc, in, o)
	case isa.LDX:
		o.code = map[isa.Size]opcode{isa.B: opLd1, isa.H: opLd2, isa.W: opLd4, isa.DW: opLd8}[in.Op.Size()]
		if in.Op.Mode() == isa.MEMSX {
			o.code += opLdSX1 - opLd1
		}
		if in.Src == prog.R10 {
			b.stackForm(in, &o, opLd1, opStackLd1)
		}
	case isa.ST:
		o.code = map[isa.Size]opcode{isa.B: opStK1, isa.H: opStK2, isa.W: opStK4, isa.DW: opStK8}[in.Op.Size()]
	case isa.STX:
		if in.Op.Mode() == isa.ATOMIC {
			o.code = opAtomic
			o.sub = uint8(in.Op.Size().Bytes())
			break
		}
		o.code = map[isa.Size]opcode{isa.B: opSt1, isa.H: opSt2, isa.W: opSt4, isa.DW: opSt8}[in.Op.Size()]
		if in.Dst == prog.R10 {
			b.stackForm(in, &o, opSt1, opStackSt1)
		}
	default: // LD
		if in.IsWide() {
			o.code, o.imm = opMovK, b.values[pc]
			break
		}
		o.code = opPacket
		o.sub = uint8(in.Op.Size().Bytes())
		o.off = 0
		if in.Op.Mode() == isa.IND {
			o.off = 1
		}
	}
	if in.Op.ALUOp() == isa.End && (in.Op.Class() == isa.ALU || in.Op.Class() == isa.ALU64) {
		o.code, o.sub = opSwap, uint8(in.Op)
	}
	return o
}

// aluCode returns the loop's own code for in, or 0 if isa is to compute it.
func aluCode(in prog.Insn, codes map[isa.ALUOp][2]opcode) opcode {
	if in.Off != 0 { // signed division, sign-extending move
		return 0
	}
	pair := codes[in.Op.ALUOp()]
	return pick(in, pair[0], pair[1])
}

func pick(in prog.Insn, k, x opcode) opcode {
	if in.Op.Source() == isa.X {
		return x
	}
	return k
}

// K and X forms of what the loop computes itself. Subtracting a constant is
// adding its negative.
var (
	alu64Codes = map[isa.ALUOp][2]opcode{
		isa.Mov: {opMovK, opMovX}, isa.Add: {opAddK, opAddX}, isa.Sub: {opAddK, opSubX}, isa.Mul: {opMulK, opMulX},
		isa.And: {opAndK, opAndX}, isa.Or: {opOrK, opOrX}, isa.Xor: {opXorK, opXorX},
		isa.Lsh: {opLshK, opLshX}, isa.Rsh: {opRshK, opRshX}, isa.Arsh: {opArshK, opArshX},
	}
	alu32Codes = map[isa.ALUOp][2]opcode{
		isa.Mov: {opMov32K, opMov32X}, isa.Add: {opAdd32K, opAdd32X}, isa.Sub: {opAdd32K, opSub32X}, isa.Mul: {opMul32K, opMul32X},
		isa.And: {opAnd32K, opAnd32X}, isa.Or: {opOr32K, opOr32X}, isa.Xor: {opXor32K, opXor32X},
		isa.Lsh: {opLsh32K, opLsh32X}, isa.Rsh: {opRsh32K, opRsh32X}, isa.Arsh: {opArsh32K, opArsh32X},
	}
	jmpCodes = map[isa.JmpOp][2]opcode{
		isa.JEq: {opJEqK, opJEqX}, isa.JNe: {opJNeK, opJNeX}, isa.JGt: {opJGtK, opJGtX}, isa.JGe: {opJGeK, opJGeX},
		isa.JLt: {opJLtK, opJLtX}, isa.JLe: {opJLeK, opJLeX}, isa.JSGt: {opJSGtK, opJSGtX}, isa.JSGe: {opJSGeK, opJSGeX},
		isa.JSLt: {opJSLtK, opJSLtX}, isa.JSLe: {opJSLeK, opJSLeX}, isa.JSet: {opJSetK, opJSetX},
	}
)

func (b *binder) translateJump(pc prog.PC, in prog.Insn, o op) op {
	if t, ok := in.Target(pc); ok {
		o.off = int32(t)
	}
	o.sub = uint8(in.Op.JmpOp())
	switch op := in.Op.JmpOp(); op {
	case isa.JA:
		o.code = opJA
	case isa.MayGoto:
		o.code = opMayGoto
	case isa.Exit:
		o.code = opExit
	case isa.Call:
		switch {
		case in.Op.Source() == isa.X:
			o.code = opCallX
		case in.Src == isa.CallSub:
			o.code, o.off = opCall, int32(pc)+1+in.Imm
		default:
			i := b.callAt[pc]
			o.code, o.imm = opHelper, uint64(i)
			switch b.calls[i].fn.Proto.Control {
			case helpers.TailCall:
				o.code = opTailCall
			case helpers.Throw:
				o.code = opThrow
			}
		}
	default:
		pair := jmpCodes[op]
		o.code = pick(in, pair[0], pair[1])
		if in.Op.Class() == isa.JMP32 {
			o.imm = uint64(uint32(in.Imm))
			o.code = pick(in, opJmp32K, opJmp32X)
			switch {
			case o.code == opJmp32K && op == isa.JEq:
				o.code = opJEq32K
			case o.code == opJmp32K && op == isa.JNe:
				o.code = opJNe32K
			}
		}
	}
	if o.code == opInvalid {
		panic(fmt.Sprintf("BUG: opcode %#x passed decoding", uint8(in.Op)))
	}
	return o
}

// stackForm replaces a load or store at R10 by the form that needs no search:
// the place is known to lie in the frame, and its init bits in one word.
func (b *binder) stackForm(in prog.Insn, o *op, from, to opcode) {
	n := in.Op.Size().Bytes()
	off := int(in.Off)
	if o.code < from || o.code > from+3 || off < -frameSize || off > -n || off&63+n > 64 {
		return
	}
	o.code = o.code - from + to
	o.imm = (1<<n - 1) << (off & 63)
}
