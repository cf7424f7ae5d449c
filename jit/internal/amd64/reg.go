// Package amd64 writes amd64 machine code.
//
// Asm has one method per machine instruction and operand form, and is the only
// place that knows opcode bytes. A method's name is the instruction's mnemonic
// and its operands, in Intel's order, destination first: R a register, M
// memory, I an immediate, CL the count in CL, L a label. Each method writes the
// shortest encoding of exactly that instruction; a few that promise only an
// effect, such as MovRI, choose among instructions and say so.
//
// Nothing here knows eBPF, and nothing depends on the host: every host can
// write and test amd64 code.
package amd64

// A Reg is a general-purpose register.
type Reg uint8

const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// NumRegs is how many registers there are.
const NumRegs = 16

var regNames = [NumRegs][4]string{
	{"al", "ax", "eax", "rax"}, {"cl", "cx", "ecx", "rcx"}, {"dl", "dx", "edx", "rdx"}, {"bl", "bx", "ebx", "rbx"},
	{"spl", "sp", "esp", "rsp"}, {"bpl", "bp", "ebp", "rbp"}, {"sil", "si", "esi", "rsi"}, {"dil", "di", "edi", "rdi"},
	{"r8b", "r8w", "r8d", "r8"}, {"r9b", "r9w", "r9d", "r9"}, {"r10b", "r10w", "r10d", "r10"}, {"r11b", "r11w", "r11d", "r11"},
	{"r12b", "r12w", "r12d", "r12"}, {"r13b", "r13w", "r13d", "r13"}, {"r14b", "r14w", "r14d", "r14"}, {"r15b", "r15w", "r15d", "r15"},
}

// String returns the name of the whole register.
func (r Reg) String() string { return regNames[r][3] }

// Name returns the name of the register's low part of width w.
func (r Reg) Name(w Width) string { return regNames[r][w] }

// A Width is the operand size of an instruction. A 32-bit result clears the
// upper half of its register; an 8-bit or 16-bit result leaves the rest of it
// (SDM vol. 1, section 3.4.1.1).
type Width uint8

const (
	W8 Width = iota
	W16
	W32
	W64
)

// Bits returns 8, 16, 32 or 64.
func (w Width) Bits() int { return 8 << w }

// A Cond is a condition on the flags (SDM vol. 1, appendix B).
type Cond uint8

const (
	O  Cond = iota // overflow
	NO             // no overflow
	B              // below: unsigned <; carry
	AE             // above or equal: unsigned >=; no carry
	E              // equal; zero
	NE             // not equal; not zero
	BE             // below or equal: unsigned <=
	A              // above: unsigned >
	S              // sign: negative
	NS             // no sign
	P              // parity even
	NP             // parity odd
	L              // less: signed <
	GE             // greater or equal: signed >=
	LE             // less or equal: signed <=
	G              // greater: signed >
)

var condNames = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}

// String returns the suffix that mnemonics use: "ne" as in JNE.
func (c Cond) String() string { return condNames[c] }

// Not returns the condition that holds exactly when c does not.
func (c Cond) Not() Cond { return c ^ 1 }
