package amd64

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

// host maps R0 to R10 to host registers. R0, R3 and R4 lie where division and
// shifts want them; none needs saving, since package rt's stub keeps for Go
// what Go needs.
var host = [prog.NumRegs]Reg{RAX, RDI, RSI, RDX, RCX, R8, RBX, R9, R10, R12, frame}

const (
	frame   = R13 // R10, and the base of the frame (package layout)
	ctx     = R14 // rt.Context
	meter   = R15 // what the run may still spend before it yields
	scratch = R11 // nothing lives here from one instruction to the next
)

// loopAlign is the alignment of loops: a line of the instruction cache. A loop
// that lies in one is read at once; one that straddles two takes half as long
// again.
const loopAlign = 64

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
	f       int        // function under way
	heads   []opt.Head // to come
	flags   flags
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
	l.at = a.NewLabels(len(p.Insns) + 1)
	l.heads = p.Heads
	l.bodies = a.NewLabels(len(p.Funcs))
	l.done, l.tail = a.NewLabel(), a.NewLabel()
	l.metered = p.Metered()
	for f := range p.Funcs {
		if err := l.function(f); err != nil {
			return nil, err
		}
	}
	l.Bind(l.label(prog.PC(len(p.Insns))))
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
		if len(l.heads) > 0 && l.heads[0].PC == pc {
			l.AlignLoop(loopAlign, 1, l.label(l.heads[0].Near), l.label(l.heads[0].Far))
			l.heads = l.heads[1:]
		}
		l.Bind(l.label(pc))
		if info.Dead {
			if !trapped {
				l.Ud2()
			}
			trapped = true
			continue
		}
		trapped = false
		if info.Charge > 0 && l.metered {
			l.charge(pc, info.Charge)
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
			l.ZeroR(host[r])
		}
	}
}

// insn dispatches on the class.
func (l *lowerer) insn(pc prog.PC, in prog.Insn) error {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		l.alu(pc, in)
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

// accessWidth returns the width of a load or store.
func accessWidth(in prog.Insn) Width {
	switch in.Op.Size() {
	case isa.B:
		return W8
	case isa.H:
		return W16
	case isa.W:
		return W32
	default:
		return W64
	}
}
