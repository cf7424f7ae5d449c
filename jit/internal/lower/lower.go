// Package lower turns a prepared program into machine code, as far as no
// instruction set decides how: the order of things, frames, calls and returns, the
// meter, and what code does in place of calls.
//
// What is written it says in terms of a Machine, one for each instruction set,
// whose methods write instructions. Registers are the program's and a few more;
// the Machine knows where the host has them.
package lower

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// A Lowerer is the lowering of one program. A Machine embeds one.
type Lowerer struct {
	// F is the function under way.
	F int

	p       *opt.Program
	m       Machine
	code    *emit.Buffer
	at      emit.Label // of the first instruction; others follow by PC
	bodies  emit.Label // of the first function's body; others follow
	done    emit.Label // leaves, R0 in place
	tail    emit.Label // where tail calls of code enter
	metered bool
	random  bool       // random numbers are the code's own
	heads   []opt.Head // to come
	*lists
}

// lists are what a Lowerer puts off. Lowerers take them in turn.
type lists struct {
	yields []yield
	late   []late
	relocs []reloc
}

var spare = sync.Pool{New: func() any { return new(lists) }}

// free ends the use of x.
func (x *lists) free() {
	clear(x.late) // of functions
	x.yields, x.late, x.relocs = x.yields[:0], x.late[:0], x.relocs[:0]
	spare.Put(x)
}

// late writes what lies out of line.
type late struct {
	f     int
	pc    prog.PC
	write func()
}

type reloc struct {
	at  emit.Label
	rel layout.Reloc
}

// Program lowers p for m, which embeds l and writes to code.
func (l *Lowerer) Program(m Machine, code *emit.Buffer, p *opt.Program, t layout.Target) (*layout.Result, error) {
	*l = Lowerer{p: p, m: m, code: code, heads: p.Heads, metered: p.Metered(), random: t.Random, lists: spare.Get().(*lists)}
	defer l.free()
	code.Reset()
	l.at = code.NewLabels(len(p.Insns) + 1)
	l.bodies = code.NewLabels(len(p.Funcs))
	l.done, l.tail = code.NewLabel(), code.NewLabel()
	for f := range p.Funcs {
		if err := l.function(f); err != nil {
			return nil, err
		}
	}
	code.Bind(l.Label(prog.PC(len(p.Insns))))
	entries := l.entries()
	l.outOfLine()
	done, err := code.Finish()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.Name, opt.ErrUnsupported, err)
	}
	r := &layout.Result{Code: bytes.Clone(done), Main: code.Offset(l.bodies), Tail: code.Offset(l.tail), PCs: code.PCMap()}
	if len(entries) > 0 {
		r.Bodies = make(map[int]emit.Off, len(entries))
	}
	for _, x := range entries {
		r.Bodies[x.f] = code.Offset(x.at)
	}
	if len(l.relocs) > 0 {
		r.Relocs = make([]layout.Reloc, len(l.relocs))
	}
	for i, x := range l.relocs {
		x.rel.Off = code.Offset(x.at)
		r.Relocs[i] = x.rel
	}
	return r, nil
}

// Label returns the label of the instruction at pc, to which a jump leads or where a
// loop ends (opt.Info).
func (l *Lowerer) Label(pc prog.PC) emit.Label { return l.at + emit.Label(pc) }

// Late has write called when all that lies in line is written, for code of the
// instruction at pc.
func (l *Lowerer) Late(pc prog.PC, write func()) { l.late = append(l.late, late{l.F, pc, write}) }

// Relocate says that the instructions that follow load the address that map m's
// layout begins with, plus off.
func (l *Lowerer) Relocate(m int32, off uint32) {
	at := l.code.NewLabel()
	l.code.Bind(at)
	l.relocs = append(l.relocs, reloc{at, layout.Reloc{Map: m, Add: off}})
}

// Unsupported is the error that the instruction at pc cannot be lowered.
func (l *Lowerer) Unsupported(pc prog.PC, what string) error {
	return fmt.Errorf("%s+%d: %s: %s: %w", l.p.Name, pc, l.p.Text(pc), what, opt.ErrUnsupported)
}

// function lowers function f.
func (l *Lowerer) function(f int) error {
	l.F = f
	fn := &l.p.Program.Funcs[f]
	l.code.Mark(emit.PC(fn.Entry))
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
		l.code.Mark(emit.PC(pc))
		if len(l.heads) > 0 && l.heads[0].PC == pc {
			l.m.Head(l.Label(l.heads[0].Near), l.Label(l.heads[0].Far))
			l.heads = l.heads[1:]
		}
		if info.Target || info.End {
			l.code.Bind(l.Label(pc))
		}
		if info.Dead {
			if !trapped {
				l.m.Trap()
			}
			trapped = true
			continue
		}
		trapped = false
		if info.Charge > 0 && l.metered {
			l.charge(pc, info.Charge)
		}
		if info.Load > 0 {
			l.m.Operand(info.Load - 1)
		}
		switch {
		case info.Merged:
		case info.Idiom.Kind != opt.NoIdiom:
			l.m.Idiom(pc, &info.Idiom)
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
func (l *Lowerer) zero(rs opt.Regs) {
	for r := prog.R1; r <= prog.R5; r++ {
		if rs.Has(r) {
			l.m.Zero(r)
		}
	}
}

// insn dispatches on the class.
func (l *Lowerer) insn(pc prog.PC, in prog.Insn) error {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		l.m.ALU(pc, in)
	case isa.LDX:
		l.m.LDX(pc, in)
	case isa.ST:
		l.m.ST(pc, in)
	case isa.STX:
		if in.Op.Mode() == isa.ATOMIC {
			return l.m.Atomic(pc, in)
		}
		l.m.STX(pc, in)
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

// wide lowers the load of a 64-bit constant, a map or an address.
func (l *Lowerer) wide(pc prog.PC, in prog.Insn) error {
	switch next := l.p.Insns[pc+1]; in.Src {
	case 0:
		l.m.Const(in.Dst, uint64(uint32(in.Imm))|uint64(uint32(next.Imm))<<32)
	case isa.PseudoMapFD:
		l.m.Const(in.Dst, layout.MapHandle|uint64(uint32(in.Imm)))
	case isa.PseudoFunc:
		l.m.Const(in.Dst, layout.FuncHandle|uint64(uint32(in.Imm)))
	case isa.PseudoMapValue:
		l.m.MapAddress(in.Dst, in.Imm, uint32(next.Imm))
	default:
		return l.Unsupported(pc, "a wide instruction of this kind")
	}
	return nil
}

func (l *Lowerer) jump(pc prog.PC, in prog.Insn) error {
	target, _ := in.Target(pc)
	switch in.Op.JmpOp() {
	case isa.Call:
		return l.call(pc, in)
	case isa.Exit:
		l.exit()
	case isa.JA:
		l.m.Jump(l.Label(target))
	case isa.MayGoto:
		l.m.CountDown(InFrame(layout.Loops), l.Label(target))
	default:
		l.m.Branch(pc, in, l.Label(target))
	}
	return nil
}
