// Package isa holds the eBPF instruction set: the fields of an opcode, the
// operations they select, and what each arithmetic operation computes.
//
// Names and numbers are those of RFC 9669. Instructions that the kernel added
// since (load-acquire, store-release, may_goto, address-space casts) carry the
// kernel's names (Documentation/bpf/standardization/instruction-set.rst,
// include/uapi/linux/bpf.h). The package knows no program and no memory.
package isa

// An Op is the opcode byte of an instruction (RFC 9669, section 3.1).
//
//	class 0..3 (load, store):   mode(3) size(2) class(3)
//	class 4..7 (ALU, jump):     code(4) source(1) class(3)
type Op uint8

// A Class is the low three bits of an opcode (RFC 9669, section 3.3).
type Class uint8

const (
	LD    Class = 0x0
	LDX   Class = 0x1
	ST    Class = 0x2
	STX   Class = 0x3
	ALU   Class = 0x4 // 32-bit operands
	JMP   Class = 0x5
	JMP32 Class = 0x6
	ALU64 Class = 0x7
)

// A Size is the width field of a load or store (RFC 9669, section 5).
type Size uint8

const (
	W  Size = 0x00 // 4 bytes
	H  Size = 0x08 // 2 bytes
	B  Size = 0x10 // 1 byte
	DW Size = 0x18 // 8 bytes
)

// Bytes returns the width in bytes: 1, 2, 4 or 8.
func (s Size) Bytes() int {
	switch s {
	case B:
		return 1
	case H:
		return 2
	case W:
		return 4
	default:
		return 8
	}
}

// A Mode is the mode field of a load or store (RFC 9669, section 5).
type Mode uint8

const (
	IMM    Mode = 0x00 // wide instruction
	ABS    Mode = 0x20 // legacy packet load, absolute
	IND    Mode = 0x40 // legacy packet load, indirect
	MEM    Mode = 0x60
	MEMSX  Mode = 0x80 // sign-extending load
	ATOMIC Mode = 0xc0
)

// A Source says where the second operand of ALU and jump instructions comes
// from (RFC 9669, section 4).
type Source uint8

const (
	K Source = 0x0 // the immediate
	X Source = 0x8 // the src register
)

// An ALUOp is the code field of ALU and ALU64 (RFC 9669, section 4.1). Signed
// division and modulo and the sign-extending moves share a code with their
// plain form and differ in the instruction's offset.
type ALUOp uint8

const (
	Add  ALUOp = 0x00
	Sub  ALUOp = 0x10
	Mul  ALUOp = 0x20
	Div  ALUOp = 0x30 // offset 1: signed
	Or   ALUOp = 0x40
	And  ALUOp = 0x50
	Lsh  ALUOp = 0x60
	Rsh  ALUOp = 0x70
	Neg  ALUOp = 0x80
	Mod  ALUOp = 0x90 // offset 1: signed
	Xor  ALUOp = 0xa0
	Mov  ALUOp = 0xb0 // offset 8, 16, 32: sign-extending; 1: address-space cast
	Arsh ALUOp = 0xc0
	End  ALUOp = 0xd0 // byte swap (RFC 9669, section 4.2)
)

// A JmpOp is the code field of JMP and JMP32 (RFC 9669, section 4.3).
type JmpOp uint8

const (
	JA      JmpOp = 0x00
	JEq     JmpOp = 0x10
	JGt     JmpOp = 0x20
	JGe     JmpOp = 0x30
	JSet    JmpOp = 0x40
	JNe     JmpOp = 0x50
	JSGt    JmpOp = 0x60
	JSGe    JmpOp = 0x70
	Call    JmpOp = 0x80
	Exit    JmpOp = 0x90
	JLt     JmpOp = 0xa0
	JLe     JmpOp = 0xb0
	JSLt    JmpOp = 0xc0
	JSLe    JmpOp = 0xd0
	MayGoto JmpOp = 0xe0 // BPF_JCOND: kernel, since 6.9
)

// The src field of a wide instruction (RFC 9669, section 5.4) before linking.
const (
	PseudoMapFD       = 1
	PseudoMapValue    = 2
	PseudoBTFID       = 3
	PseudoFunc        = 4
	PseudoMapIdx      = 5
	PseudoMapIdxValue = 6
)

// The src field of a call (RFC 9669, section 4.3.1).
const (
	CallHelper = 0
	CallSub    = 1 // program-local function
	CallKfunc  = 2 // function of the host named by BTF
)

// The immediate of an atomic instruction (RFC 9669, section 5.3; the last two:
// kernel, since 6.14).
const (
	AtomicAdd     = 0x00
	AtomicOr      = 0x40
	AtomicAnd     = 0x50
	AtomicXor     = 0xa0
	AtomicFetch   = 0x01 // flag: src receives the old value
	AtomicXchg    = 0xe1
	AtomicCmpXchg = 0xf1
	LoadAcquire   = 0x100
	StoreRelease  = 0x110
)

func (o Op) Class() Class   { return Class(o & 0x07) }
func (o Op) Size() Size     { return Size(o & 0x18) }
func (o Op) Mode() Mode     { return Mode(o & 0xe0) }
func (o Op) Source() Source { return Source(o & 0x08) }
func (o Op) ALUOp() ALUOp   { return ALUOp(o & 0xf0) }
func (o Op) JmpOp() JmpOp   { return JmpOp(o & 0xf0) }

// Wide is the opcode of the 16-byte load-immediate (RFC 9669, section 5.4).
const Wide = Op(uint8(LD) | uint8(IMM) | uint8(DW))
