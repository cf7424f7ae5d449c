package arm64

import (
	"bytes"
	"fmt"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// host maps R0 to R10 to host registers. None needs saving, since package rt's
// stub keeps for Go what Go needs.
var host = [prog.NumRegs]Reg{R0, R2, R3, R4, R5, R6, R19, R20, R21, R22, frame}

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

// A lowerer is the lowering of one program.
type lowerer struct {
	*Asm
	p        *opt.Program
	features rt.Features

	at      emit.Label // of the first instruction; others follow by PC
	bodies  emit.Label // of the first function's body; others follow
	done    emit.Label // leaves, R0 in place
	tail    emit.Label // where tail calls of code enter
	metered bool
	yields  []yield
	late    []func() // write what lies out of line
	relocs  []reloc
	f       int // function under way
}

// A yield is the code, out of line, that gives Go a turn.
type yield struct {
	start, back emit.Label
	pc          prog.PC
}

type reloc struct {
	at  emit.Label
	rel layout.Reloc
}

// Lower returns the code of p for a host with the given features. It uses a's
// memory, which it resets.
func Lower(a *Asm, p *opt.Program, features rt.Features) (*layout.Result, error) {
	a.Reset()
	l := &lowerer{Asm: a, p: p, features: features}
	l.at = a.NewLabels(len(p.Insns))
	l.bodies = a.NewLabels(len(p.Funcs))
	l.done, l.tail = a.NewLabel(), a.NewLabel()
	l.metered = p.Metered()
	for f := range p.Funcs {
		if err := l.function(f); err != nil {
			return nil, err
		}
	}
	entries := l.entries()
	l.outOfLine()
	code, err := a.Finish()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.Name, opt.ErrUnsupported, err)
	}
	r := &layout.Result{Code: bytes.Clone(code), Main: a.Offset(l.bodies), Tail: a.Offset(l.tail), Bodies: map[int]emit.Off{}, PCs: a.PCMap()}
	for f, label := range entries {
		r.Bodies[f] = a.Offset(label)
	}
	for _, x := range l.relocs {
		x.rel.Off = a.Offset(x.at)
		r.Relocs = append(r.Relocs, x.rel)
	}
	return r, nil
}

// label returns the label of the instruction at pc.
func (l *lowerer) label(pc prog.PC) emit.Label { return l.at + emit.Label(pc) }

// function lowers function f.
func (l *lowerer) function(f int) error {
	l.f = f
	fn := &l.p.Program.Funcs[f]
	l.Mark(emit.PC(fn.Entry))
	l.prologue()
	l.bases()
	for _, x := range l.p.Funcs[f].Pins {
		in := l.p.Insns[x.PC]
		in.Dst = x.Reg
		if err := l.wide(x.PC, in); err != nil {
			return err
		}
	}
	trapped := false // the code before goes no further
	for pc := fn.Entry; pc < fn.End; pc = l.p.Next(pc) {
		info := &l.p.Info[pc]
		l.Mark(emit.PC(pc))
		l.Bind(l.label(pc))
		if info.Dead {
			if !trapped {
				l.Brk(0)
			}
			trapped = true
			continue
		}
		trapped = false
		if info.Charge > 0 && l.metered {
			l.charge(pc, info.Charge)
		}
		if info.Load > 0 { // no instruction but loads has operands in memory
			l.load(info.Load-1, l.p.Insns[info.Load-1])
		}
		switch {
		case info.Merged:
		case info.Idiom.Kind != opt.NoIdiom:
			l.idiom(pc, &info.Idiom)
		default:
			if err := l.insn(pc, l.p.Insns[pc]); err != nil {
				return err
			}
		}
		if info.Unset != 0 {
			l.zero(info.Unset)
		}
	}
	return nil
}

// zero makes the registers of rs 0, which are among R1 to R5.
func (l *lowerer) zero(rs opt.Regs) {
	for r := prog.R1; r <= prog.R5; r++ {
		if rs.Has(r) {
			l.Mov(W64, host[r], ZR)
		}
	}
}

// insn dispatches on the class.
func (l *lowerer) insn(pc prog.PC, in prog.Insn) error {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		l.alu(in)
	case isa.LDX:
		l.load(pc, in)
	case isa.ST:
		l.storeImm(pc, in)
	case isa.STX:
		if in.Op.Mode() == isa.ATOMIC {
			return l.atomic(pc, in)
		}
		l.store(pc, in)
	case isa.LD:
		if in.IsWide() {
			return l.wide(pc, in)
		}
		l.packet(pc, in)
	default:
		return l.jump(pc, in)
	}
	return nil
}

func (l *lowerer) unsupported(pc prog.PC, what string) error {
	return fmt.Errorf("%s+%d: %s: %s: %w", l.p.Name, pc, l.p.Text(pc), what, opt.ErrUnsupported)
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
func accessSize(in prog.Insn) Size {
	switch in.Op.Size() {
	case isa.B:
		return S8
	case isa.H:
		return S16
	case isa.W:
		return S32
	default:
		return S64
	}
}
