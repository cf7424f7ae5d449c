// Package arm64 writes arm64 (A64) machine code.
//
// Asm has one method per machine instruction and operand form, and is the only
// place that knows instruction words. Methods are named after the mnemonics of
// the Arm Architecture Reference Manual; operands come in its order,
// destination first. Where a mnemonic has several forms a suffix tells them
// apart: I an immediate, Shifted a shifted register, Ext an extended one, L a
// label. MovI alone writes as many instructions as its value takes.
//
// An operand that the instruction cannot encode is a mistake of the caller, and
// panics; functions such as IsAddImm, BitMask and FitsOffset tell beforehand.
//
// Nothing here knows eBPF, and nothing depends on the host: every host can
// write and test arm64 code.
package arm64

import "fmt"

// A Reg is a general-purpose register, or one of the two meanings of number 31.
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
	R11
	R12
	R13
	R14
	R15
	R16
	R17
	R18 // the platform's
	R19
	R20
	R21
	R22
	R23
	R24
	R25
	R26
	R27
	R28
	R29 // frame pointer
	R30 // link register

	ZR Reg = 31 // reads as zero; writes are lost
	SP Reg = 63 // stack pointer
)

// n returns the register's number.
func (r Reg) n() uint32 { return uint32(r & 31) }

// String returns the name of the whole register.
func (r Reg) String() string { return r.Name(W64) }

// Name returns the name of the register at width w.
func (r Reg) Name(w Width) string {
	switch {
	case r == ZR:
		return [2]string{"wzr", "xzr"}[w]
	case r == SP:
		return [2]string{"wsp", "sp"}[w]
	}
	return fmt.Sprintf("%c%d", "wx"[w], r)
}

// A VReg is a SIMD and floating-point register.
type VReg uint8

// A Width is the operand size of an instruction. A 32-bit result clears the
// upper half of its register (Arm ARM, B1.2.1).
type Width uint8

const (
	W32 Width = iota
	W64
)

// Bits returns 32 or 64.
func (w Width) Bits() int { return 32 << w }

// A Size is how many bytes an access to memory touches: 1 << Size.
type Size uint8

const (
	S8 Size = iota
	S16
	S32
	S64
)

// A Cond is a condition on the flags (Arm ARM, C1.2.4).
type Cond uint8

const (
	EQ Cond = iota // equal
	NE             // not equal
	HS             // unsigned >=; carry
	LO             // unsigned <; no carry
	MI             // negative
	PL             // not negative
	VS             // overflow
	VC             // no overflow
	HI             // unsigned >
	LS             // unsigned <=
	GE             // signed >=
	LT             // signed <
	GT             // signed >
	LE             // signed <=
)

var condNames = [...]string{"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"}

// String returns the suffix that mnemonics use: "ne" as in B.NE.
func (c Cond) String() string { return condNames[c] }

// Not returns the condition that holds exactly when c does not.
func (c Cond) Not() Cond { return c ^ 1 }

// A Shift is what is done to the last register operand.
type Shift uint8

const (
	LSL Shift = iota
	LSR
	ASR
	ROR // logical instructions only
)

var shiftNames = [...]string{"lsl", "lsr", "asr", "ror"}

func (s Shift) String() string { return shiftNames[s] }

// An Extend is how a narrow last register operand becomes wide.
type Extend uint8

const (
	UXTB Extend = iota
	UXTH
	UXTW
	UXTX
	SXTB
	SXTH
	SXTW
	SXTX
)

var extendNames = [...]string{"uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"}

func (e Extend) String() string { return extendNames[e] }
