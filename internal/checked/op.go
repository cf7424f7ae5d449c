package checked

// An op is an instruction decoded for the loop. What off, sub and imm mean
// depends on code:
//
//	arithmetic      imm = operand, sub and off = operation for isa
//	jumps           imm = operand, off = target, an index into Code.ops
//	loads, stores   off = offset; a store of a constant: imm = constant
//	stack forms     off = offset from R10, imm = init bits (loads) or constant
//	calls           imm = index into Code.calls, off = target
type op struct {
	code     opcode
	dst, src uint8
	sub      uint8
	off      int32
	imm      uint64
}

type opcode uint8

const (
	opInvalid opcode = iota

	// 64-bit arithmetic, K (immediate) and X (register).
	opMovK
	opMovX
	opAddK
	opAddX
	opSubX
	opMulK
	opMulX
	opAndK
	opAndX
	opOrK
	opOrX
	opXorK
	opXorX
	opLshK
	opLshX
	opRshK
	opRshX
	opArshK
	opArshX
	opALU64K // every other operation, through isa
	opALU64X

	// 32-bit arithmetic.
	opMov32K
	opMov32X
	opAdd32K
	opAdd32X
	opSub32X
	opMul32K
	opMul32X
	opAnd32K
	opAnd32X
	opOr32K
	opOr32X
	opXor32K
	opXor32X
	opLsh32K
	opLsh32X
	opRsh32K
	opRsh32X
	opArsh32K
	opArsh32X
	opALU32K
	opALU32X
	opSwap

	opJA
	opJEqK
	opJEqX
	opJNeK
	opJNeX
	opJGtK
	opJGtX
	opJGeK
	opJGeX
	opJLtK
	opJLtX
	opJLeK
	opJLeX
	opJSGtK
	opJSGtX
	opJSGeK
	opJSGeX
	opJSLtK
	opJSLtX
	opJSLeK
	opJSLeX
	opJSetK
	opJSetX
	opJmp32K // JMP32, through isa
	opJmp32X
	opJEq32K
	opJNe32K
	opMayGoto

	opLd1
	opLd2
	opLd4
	opLd8
	opLdSX1
	opLdSX2
	opLdSX4
	opSt1
	opSt2
	opSt4
	opSt8
	opStK1
	opStK2
	opStK4
	opStK8

	// Loads and stores at a constant offset from R10.
	opStackLd1
	opStackLd2
	opStackLd4
	opStackLd8
	opStackSt1
	opStackSt2
	opStackSt4
	opStackSt8

	opAtomic
	opPacket // legacy packet loads

	opCall  // subprogram
	opCallX // through a register
	opHelper
	opTailCall
	opThrow
	opExit

	// What bind adds; they are no instructions and do not count as such.
	opNeed // registers in imm must be initialised
	opLive // registers in imm become initialised, those in off do not stay so
)
