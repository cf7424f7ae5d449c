package interp

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Arithmetic (RFC 9669, sections 4.1 and 4.2).

// binaries are the forms of operations of two operands: with a constant and of
// two registers, at 64 and at 32 bits.
var binaries = map[isa.ALUOp]compare{
	isa.Add:  {opAddK, opAddX, opAdd32K, opAdd32X},
	isa.Sub:  {opAddK, opSubX, opAdd32K, opSub32X}, // of a constant: the addition of its negative
	isa.Mul:  {opMulK, opMulX, opMul32K, opMul32X},
	isa.And:  {opAndK, opAndX, opAnd32K, opAnd32X},
	isa.Or:   {opOrK, opOrX, opOr32K, opOr32X},
	isa.Xor:  {opXorK, opXorX, opXor32K, opXor32X},
	isa.Lsh:  {opLshK, opLshX, opLsh32K, opLsh32X},
	isa.Rsh:  {opRshK, opRshX, opRsh32K, opRsh32X},
	isa.Arsh: {opArshK, opArshX, opArsh32K, opArsh32X},
}

// scratch is a register that no program has.
const scratch = 16

func (t *translator) alu(pc prog.PC, in prog.Insn) error {
	is64, x := in.Op.Class() == isa.ALU64, in.Op.Source() == isa.X
	o := op{d: uint8(in.Dst), a: uint8(in.Dst), b: uint8(in.Src), imm: in.Imm}
	switch code := in.Op.ALUOp(); code {
	case isa.Mov:
		return t.mov(pc, in)
	case isa.End:
		t.swap(pc, in, o)
		return nil
	case isa.Neg:
		o.code = opNeg
		if !is64 {
			o.code = opNeg32
		}
	case isa.Div, isa.Mod:
		o.code = opDiv
		for flag, on := range map[uint8]bool{divMod: code == isa.Mod, div32: !is64, divK: !x, divSigned: in.Off != 0} {
			if on {
				o.sub |= flag
			}
		}
	default:
		forms, known := binaries[code]
		if !known {
			return t.unsupported(pc, "an operation of this kind")
		}
		switch {
		case x && is64:
			o.code = forms.x
		case x:
			o.code = forms.x32
		case code == isa.Sub && is64 && in.Imm == -1<<31: // the negative does not fit
			t.emitAt(pc, op{code: opMovK, d: scratch, imm: in.Imm})
			o.code, o.b = opSubX, scratch
		case is64:
			o.code = forms.k
		default:
			o.code = forms.k32
		}
		if code == isa.Sub && !x {
			o.imm = -in.Imm
		}
	}
	t.emitAt(pc, o)
	return nil
}

func (t *translator) mov(pc prog.PC, in prog.Insn) error {
	is64 := in.Op.Class() == isa.ALU64
	o := op{d: uint8(in.Dst), a: uint8(in.Src), imm: in.Imm}
	switch {
	case in.Op.Source() == isa.K && is64:
		o.code = opMovK
	case in.Op.Source() == isa.K:
		t.constant(pc, o.d, uint64(uint32(in.Imm)))
		return nil
	case is64 && in.Off == 1:
		return t.unsupported(pc, "an address-space cast")
	case is64 && in.Off == 0 && in.Src == in.Dst:
		return nil
	case is64:
		o.code = map[int16]opcode{0: opMovX, 8: opSx8, 16: opSx16, 32: opSx32}[in.Off]
	default:
		o.code = map[int16]opcode{0: opMov32X, 8: opSx8to32, 16: opSx16to32}[in.Off]
	}
	t.emitAt(pc, o)
	return nil
}

// swap translates a byte swap. Programs are little-endian, so "to
// little-endian" only truncates.
func (t *translator) swap(pc prog.PC, in prog.Insn, o op) {
	reverse := in.Op.Class() == isa.ALU64 || in.Op.Source() == isa.X
	o.imm = 0
	switch {
	case reverse:
		o.code = map[int32]opcode{16: opSwap16, 32: opSwap32, 64: opSwap64}[in.Imm]
	case in.Imm == 16:
		o.code, o.imm = opAndK, 0xffff
	case in.Imm == 32:
		o.code = opMov32X
	default:
		o.code = opMovX
	}
	t.emitAt(pc, o)
}
