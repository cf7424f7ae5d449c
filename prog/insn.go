package prog

import "github.com/skepvm/skep/internal/isa"

// A PC indexes instructions, in 64-bit slots; a wide instruction takes two.
// It is the unit of kernel logs and of llvm-objdump.
type PC int32

// A Reg is a register, R0 to R10. R10 is the frame pointer.
type Reg uint8

const (
	R0 Reg = iota
	R1
	R2
	R3
	R4
	R5
	R6
	R7
	R8
	R9
	R10
	NumRegs = 11
)

// An Insn is one slot of a program (RFC 9669, section 3.1): little-endian, as
// loaded. The second slot of a wide instruction has Op 0 and holds the upper
// half of the constant in Imm.
type Insn struct {
	Op       isa.Op
	Dst, Src Reg
	Off      int16
	Imm      int32
}

// IsWide reports whether in is the first slot of a wide instruction.
func (in Insn) IsWide() bool { return in.Op == isa.Wide }

// IsCall reports whether in calls kind: isa.CallHelper, CallSub or CallKfunc.
func (in Insn) IsCall(kind Reg) bool {
	return in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call) && in.Src == kind
}
