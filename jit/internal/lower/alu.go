package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Arithmetic that the program does not do itself: instructions of its kind, which
// every Machine lowers.

// alu computes dst = dst op src at S32 or S64, in place of the call at pc. mov is
// one of the operations.
func (l *Lowerer) alu(pc prog.PC, op isa.ALUOp, s Size, dst, src prog.Reg) {
	l.m.ALU(pc, prog.Insn{Op: aluClass(s) | isa.Op(op) | isa.Op(isa.X), Dst: dst, Src: src})
}

// aluImm is alu with a constant.
func (l *Lowerer) aluImm(pc prog.PC, op isa.ALUOp, s Size, dst prog.Reg, imm int32) {
	l.m.ALU(pc, prog.Insn{Op: aluClass(s) | isa.Op(op), Dst: dst, Imm: imm})
}

// extend computes dst = src, whose 32 bits it extends by their sign.
func (l *Lowerer) extend(pc prog.PC, dst, src prog.Reg) {
	l.m.ALU(pc, prog.Insn{Op: isa.Op(isa.ALU64) | isa.Op(isa.Mov) | isa.Op(isa.X), Dst: dst, Src: src, Off: 32})
}

func aluClass(s Size) isa.Op {
	if s == S64 {
		return isa.Op(isa.ALU64)
	}
	return isa.Op(isa.ALU)
}
