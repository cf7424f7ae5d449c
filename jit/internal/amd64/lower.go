package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/prog"
)

// host maps registers to the host's. R0, R3 and R4 lie where division and shifts
// want them; none needs saving, since package rt's stub keeps for Go what Go
// needs.
var host = [lower.NumRegs]Reg{RAX, RDI, RSI, RDX, RCX, R8, RBX, R9, R10, R12, frame, scratch, ctx, meter}

const (
	frame   = R13 // R10, and the base of the frame (package layout)
	ctx     = R14 // rt.Context
	meter   = R15 // what the run may still spend before it yields
	scratch = R11 // nothing lives here from one instruction to the next
)

// A lowerer is the lowering of one program: the lower.Machine of this instruction
// set.
type lowerer struct {
	*Asm
	lower.Lowerer
	p        *opt.Program
	features rt.Features
	flags    flags
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

// accessWidth returns the width of a load or store.
func accessWidth(in prog.Insn) Width { return Width(lower.AccessSize(in)) }
