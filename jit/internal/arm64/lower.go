package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/prog"
)

// host maps registers to the host's. None needs saving, since package rt's stub
// keeps for Go what Go needs.
var host = [lower.NumRegs]Reg{R0, R2, R3, R4, R5, R6, R19, R20, R21, R22, frame, tmp1, ctx, meter}

const (
	frame = R24 // R10, and the base of the frame (package layout)
	ctx   = R25 // rt.Context
	meter = R23 // what the run may still spend before it yields

	exitReg = R1 // ExitCode of package rt

	// Nothing lives in these from one instruction to the next.
	tmp0 = R9 // constants
	tmp1 = R10
	tmp2 = R11 // addresses
)

// A lowerer is the lowering of one program: the lower.Machine of this instruction
// set.
type lowerer struct {
	*Asm
	lower.Lowerer
	p        *opt.Program
	features rt.Features
}

// Lower returns the code of p for t. It uses a's memory, which it resets.
func Lower(a *Asm, p *opt.Program, t layout.Target) (*layout.Result, error) {
	l := &lowerer{Asm: a, p: p, features: t.Features}
	return l.Program(l, a.Buffer, p, t)
}

// operandWidth returns the width of an ALU or jump instruction.
func operandWidth(in prog.Insn) Width {
	if c := in.Op.Class(); c == isa.ALU64 || c == isa.JMP {
		return W64
	}
	return W32
}

// constant returns the immediate of an ALU or jump instruction at its width.
func constant(in prog.Insn) uint64 {
	if operandWidth(in) == W32 {
		return uint64(uint32(in.Imm))
	}
	return uint64(int64(in.Imm))
}

// accessSize returns the size of a load or store.
func accessSize(in prog.Insn) Size { return Size(lower.AccessSize(in)) }
