package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Registers besides the program's R0 to R9. R10 is the frame (package layout).
const (
	// Temp is free, and keeps what it holds until a method names it.
	Temp  prog.Reg = prog.NumRegs + iota
	Ctx            // rt.Context
	Meter          // what the run may still spend before it yields

	NumRegs
)

// A Size is how many bytes an operand has: 1 << Size. Results of S32 clear the
// upper half of their register.
type Size uint8

const (
	S8 Size = iota
	S16
	S32
	S64
)

// A Mem is memory at Base + Off, or Base + Index + Off. Build one with At, Indexed,
// InFrame or InCtx.
type Mem struct {
	Base, Index prog.Reg // Index: NumRegs if there is none
	Off         int32
}

// At is the memory at base + off.
func At(base prog.Reg, off int32) Mem { return Mem{base, NumRegs, off} }

// Indexed is the memory at base + index + off.
func Indexed(base, index prog.Reg, off int32) Mem { return Mem{base, index, off} }

// InFrame is the memory at off from the frame.
func InFrame(off int32) Mem { return At(prog.R10, off) }

// InCtx is the memory at off in the rt.Context.
func InCtx(off int32) Mem { return At(Ctx, off) }

// A Machine writes one instruction set: the program's instructions, each in the
// best way it has, and the few steps that everything else is made of. Each method
// writes code that does what it says to the registers that it names and to no
// other one.
type Machine interface {
	Instructions
	Moves
	Branches
	Exits
	Rings

	// InlineHash writes opt.InlineHash: null is for no entry, end for one that
	// the host has found.
	InlineHash(pc prog.PC, x *opt.Inline, null, end emit.Label)
}

// Instructions lowers the program's.
type Instructions interface {
	// ALU takes all registers, and any instruction for that at pc.
	ALU(pc prog.PC, in prog.Insn)
	LDX(pc prog.PC, in prog.Insn)
	ST(pc prog.PC, in prog.Insn)
	STX(pc prog.PC, in prog.Insn)
	Atomic(pc prog.PC, in prog.Insn) error
	// Branch lowers a conditional jump.
	Branch(pc prog.PC, in prog.Insn, to emit.Label)
	Idiom(pc prog.PC, x *opt.Idiom)
	// Operand lowers the load at pc, unless the instruction that it is an operand
	// of can have it in memory.
	Operand(pc prog.PC)
	// Trap stops whoever comes here.
	Trap()
	// AlignFunc and Head align what begins here: a function, or a loop
	// (emit.Buffer.AlignLoop).
	AlignFunc()
	Head(near, far emit.Label)
}

// Moves move and compute.
type Moves interface {
	Zero(dst prog.Reg)
	Const(dst prog.Reg, v uint64)
	// MapAddress loads the address that map m's layout begins with, plus off.
	MapAddress(dst prog.Reg, m int32, off uint32)
	LabelAddress(dst prog.Reg, l emit.Label)
	Address(dst prog.Reg, m Mem)

	// Load extends by zeros. LoadBig loads big-endian numbers up to S32.
	Load(s Size, dst prog.Reg, m Mem)
	LoadBig(s Size, dst prog.Reg, m Mem)
	// LoadJump loads a word that leads elsewhere, and that Go code may replace at
	// any time, from base or, unless index is NumRegs, that many words after it.
	LoadJump(dst, base, index prog.Reg)
	Store(s Size, m Mem, src prog.Reg)
	// StoreImm stores a word that is imm, sign-extended.
	StoreImm(m Mem, imm int32)
	StorePair(m Mem, a, b prog.Reg)
	// AddTo adds n, which is not negative, to a word in memory.
	AddTo(m Mem, n int32)
	// ZeroStack clears the n bytes below the top of the program's stack.
	ZeroStack(n int32)

	// SwapHalves exchanges the halves of a register at S32 or S64.
	SwapHalves(s Size, dst prog.Reg)
	// AddProduct computes dst += word at m * n. Temp is lost.
	AddProduct(dst prog.Reg, m Mem, n uint32)
	// Element computes dst = base + dst*stride, and ElementAt the same with the
	// base in memory. Temp is lost.
	Element(dst, base prog.Reg, stride uint32)
	ElementAt(dst prog.Reg, base Mem, stride uint32)
}

// Branches jump.
type Branches interface {
	Jump(to emit.Label)
	JumpReg(r prog.Reg)
	JumpMem(m Mem)
	// If, IfImm and IfMem jump if what op says is so of a and b, at S32 or S64.
	If(op isa.JmpOp, s Size, a, b prog.Reg, to emit.Label)
	IfImm(op isa.JmpOp, s Size, a prog.Reg, b int32, to emit.Label)
	IfMem(op isa.JmpOp, s Size, a prog.Reg, b Mem, to emit.Label)
	// IfWord is IfImm of a word in memory.
	IfWord(op isa.JmpOp, a Mem, b int32, to emit.Label)
	// CountDown jumps if the word at m is 0, and takes one from it otherwise.
	CountDown(m Mem, to emit.Label)
	// LoadKeyed jumps if the word at m is not key, and loads the word after it
	// otherwise. If it jumps, dst is lost.
	LoadKeyed(dst, key prog.Reg, m Mem, to emit.Label)
	// InPacket makes at the address of the packet's byte at off, of which the lower
	// half counts. It jumps if the packet has no n bytes from there. R0 is lost.
	InPacket(at, off prog.Reg, n int32, far emit.Label)
}

// Exits leave code (package rt), and count how long it stays.
type Exits interface {
	// Leave leaves with R0 as the result, and LeaveTo to come back at resume.
	Leave(e rt.Exit)
	LeaveTo(e rt.Exit, resume emit.Label)
	// KeepResults stores where the host's results would be what is there.
	KeepResults()
	// Spend takes n from the meter, and SpendWord the word at m, in the register or,
	// if it is not there, in memory. They jump if it has less; Unspend, there,
	// gives it back. SpendWord and Unspend lose Temp.
	Spend(n int32, out emit.Label)
	SpendWord(m Mem, metered bool, out emit.Label)
	Unspend(m Mem, metered bool)
}

// Rings order what they do with other threads'.
type Rings interface {
	// Claim makes record the address of a record's bytes: of the producer's place in
	// the ring buffer at ring, which goes on by extent once the header is there and
	// says size. It jumps if that is more than mask after the consumer's, or if
	// another producer is about to write a header. R1 and R5 are lost.
	Claim(ring, record prog.Reg, size, extent, mask int32, full emit.Label)
	// Publish stores word, which is lost, at m: after all before it and, unless
	// last, before all that follows.
	Publish(m Mem, word prog.Reg, last bool)
}
