package checked

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// regs is a set of registers, bit i for Ri.
type regs uint16

const (
	argRegs   regs = 0x03e // R1 to R5
	savedRegs regs = 0x3c0 // R6 to R9
	frameReg  regs = 1 << prog.R10
	allRegs   regs = 0x7ff
)

func bit(r prog.Reg) regs { return 1 << (r & 15) }

// An effect is what an instruction does to the initialisation of registers:
// it needs reads, initialises writes, and leaves kills unreadable.
type effect struct{ reads, writes, kills regs }

// effectOf returns the effect of in. What calls read is up to the callee.
func effectOf(in prog.Insn) effect {
	dst, src := bit(in.Dst), bit(in.Src)
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		e := effect{reads: dst, writes: dst}
		switch op := in.Op.ALUOp(); {
		case op == isa.Mov && in.Op.Source() == isa.X:
			e.reads = src
		case op == isa.Mov:
			e.reads = 0
		case op == isa.End, op == isa.Neg:
		case in.Op.Source() == isa.X:
			e.reads |= src
		}
		return e
	case isa.JMP, isa.JMP32:
		switch in.Op.JmpOp() {
		case isa.JA, isa.MayGoto, isa.Exit:
			return effect{}
		case isa.Call:
			e := effect{writes: bit(prog.R0), kills: argRegs}
			if in.Op.Source() == isa.X {
				e.reads = dst
			}
			return e
		}
		if in.Op.Source() == isa.X {
			return effect{reads: dst | src}
		}
		return effect{reads: dst}
	case isa.LDX:
		return effect{reads: src, writes: dst}
	case isa.ST:
		return effect{reads: dst}
	case isa.STX:
		if in.Op.Mode() != isa.ATOMIC {
			return effect{reads: dst | src}
		}
		switch {
		case in.Imm == isa.LoadAcquire:
			return effect{reads: src, writes: dst}
		case in.Imm == isa.StoreRelease:
			return effect{reads: dst | src}
		case in.Imm == isa.AtomicCmpXchg:
			return effect{reads: dst | src | bit(prog.R0), writes: bit(prog.R0)}
		case in.Imm&isa.AtomicFetch != 0:
			return effect{reads: dst | src, writes: src}
		}
		return effect{reads: dst | src}
	default: // LD
		switch in.Op.Mode() {
		case isa.ABS:
			return effect{reads: bit(prog.R6), writes: bit(prog.R0), kills: argRegs}
		case isa.IND:
			return effect{reads: bit(prog.R6) | src, writes: bit(prog.R0), kills: argRegs}
		}
		return effect{writes: dst} // wide
	}
}

// liveness finds the reads of registers that may not have been written. It
// works on the whole program: a subprogram's R1 to R5 are what every call of
// it passes, its R0 is what every exit of it leaves.
//
// in[pc] is the set of registers that are initialised on every path to pc, the
// greatest solution of in[pc] = ∩ out[predecessor], by iteration from the full
// set. Sound: a register outside in[pc] is checked when the program runs; one
// inside is initialised on every path, so it needs no check. Linear but for what
// functions return: a pass over the program, then no more than what got less.
type liveness struct {
	p       *prog.Program
	needs   []regs // by PC: what the instruction reads, calls included
	effects []effect
	in      []regs
	ret     []regs    // by function: R0, if every exit leaves it initialised
	taken   []bool    // by function: its address is taken
	changed bool      // what a function returns is less
	at      prog.PC   // up to which the pass is; what lies behind is looked at again
	again   []prog.PC // that is
}

// solve fills in and returns the registers that some instruction reads though
// they may be uninitialised.
func (l *liveness) solve() (suspects regs) {
	n := len(l.p.Insns)
	l.in = make([]regs, n)
	for i := range l.in {
		l.in[i] = allRegs
	}
	l.ret = make([]regs, len(l.p.Funcs))
	for i := range l.ret {
		l.ret[i] = bit(prog.R0)
	}
	l.meet(0, bit(prog.R1)|frameReg)
	for i, f := range l.p.Funcs {
		if i > 0 {
			l.meet(f.Entry, argRegs|frameReg) // the rest is the callee's own
		}
	}
	if h := l.p.Handler; h > 0 {
		l.meet(l.p.Funcs[h].Entry, bit(prog.R1)|frameReg)
	}
	for l.changed = true; l.changed; {
		l.changed = false
		for f := range l.p.Funcs {
			fn := &l.p.Funcs[f]
			for l.at = fn.Entry; l.at < fn.End; {
				l.at = l.step(f, l.at)
			}
		}
		for len(l.again) > 0 {
			pc := l.again[len(l.again)-1]
			l.again = l.again[:len(l.again)-1]
			l.step(l.p.FuncAt(pc), pc)
		}
	}
	for pc, in := range l.in {
		suspects |= l.needs[pc] &^ in
	}
	return suspects
}

func (l *liveness) meet(pc prog.PC, r regs) {
	if m := l.in[pc] & r; m != l.in[pc] {
		l.in[pc] = m
		if pc <= l.at {
			l.again = append(l.again, pc)
		}
	}
}

// step does what the instruction of function f at pc does, and returns where the
// next one is.
func (l *liveness) step(f int, pc prog.PC) (next prog.PC) {
	in := l.p.Insns[pc]
	next = pc + 1
	if in.IsWide() {
		next++
	}
	e := l.effects[pc]
	out := l.in[pc]&^e.kills | e.writes
	class := in.Op.Class()
	switch {
	case class != isa.JMP && class != isa.JMP32:
		l.meet(next, out)
	case in.Op.JmpOp() == isa.Exit:
		if l.ret[f]&l.in[pc] != l.ret[f] {
			l.ret[f] = 0
			l.changed = true
		}
	case in.IsCall(isa.CallSub):
		callee := l.p.FuncAt(pc + 1 + prog.PC(in.Imm))
		l.meet(l.p.Funcs[callee].Entry, l.in[pc]&argRegs|frameReg)
		l.meet(next, l.in[pc]&^(argRegs|bit(prog.R0))|l.ret[callee])
	case in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X):
		ret := bit(prog.R0)
		for i := range l.taken {
			if l.taken[i] {
				l.meet(l.p.Funcs[i].Entry, l.in[pc]&argRegs|frameReg)
				ret &= l.ret[i]
			}
		}
		l.meet(next, l.in[pc]&^(argRegs|bit(prog.R0))|ret)
	default:
		if t, ok := in.Target(pc); ok {
			l.meet(t, out)
			if in.Op.JmpOp() == isa.JA {
				break
			}
		}
		l.meet(next, out)
	}
	return next
}
