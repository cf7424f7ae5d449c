package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

const (
	argRegs   Regs = 1<<prog.R1 | 1<<prog.R2 | 1<<prog.R3 | 1<<prog.R4 | 1<<prog.R5
	callRegs       = argRegs | 1<<prog.R0 // what a call leaves undefined
	savedRegs Regs = 1<<prog.R6 | 1<<prog.R7 | 1<<prog.R8 | 1<<prog.R9
	allRegs        = callRegs | savedRegs
)

// liveness fills Info.Live: the least solution of the usual equations, function
// by function. A callee keeps nothing in registers for its caller, so at an
// exit only R0 is live. Requires Info.Call.
func (p *Program) liveness(*verifier.Verified) error {
	in := make([]Regs, len(p.Insns)+1) // live before
	var steps []step
	for f := range p.Funcs {
		fn := &p.Program.Funcs[f]
		var loops bool
		steps, loops = p.steps(steps[:0], fn.Entry, fn.End)
		for again := true; again; {
			again = false
			for k := len(steps) - 1; k >= 0; k-- {
				s := &steps[k]
				out := in[s.jump] | in[s.next]
				p.Info[s.pc].Live = out
				if now := out&^s.writes | s.reads; now != in[s.pc] {
					in[s.pc] = now
					again = loops // otherwise each is seen after what follows it
				}
			}
		}
	}
	p.unset(in)
	return nil
}

// A step is an instruction as liveness sees it. Where it goes on, by a jump or to
// the next, is len(Insns) if it does not.
type step struct {
	pc, jump, next prog.PC
	reads, writes  Regs
}

// steps appends the instructions from entry to end to s, and reports whether
// one of them jumps back.
func (p *Program) steps(s []step, entry, end prog.PC) (_ []step, loops bool) {
	none := prog.PC(len(p.Insns)) // nothing is live there
	for pc := entry; pc < end; pc = p.Next(pc) {
		insn := p.Insns[pc]
		x := step{pc: pc, jump: none, next: none}
		x.reads, x.writes = p.effect(pc)
		if t, ok := target(insn, pc); ok {
			x.jump = t
			loops = loops || t <= pc
		}
		if !endsFlow(insn) {
			x.next = p.Next(pc)
		}
		s = append(s, x)
	}
	return s, loops
}

// unset fills Info.Unset and Func.Unset, given what is live before each
// instruction. A program may leave registers unset that a helper gets and its
// contract does not name (trace_printk): they must not show what the host left
// in its registers.
func (p *Program) unset(in []Regs) {
	p.Funcs[0].Unset = in[p.Program.Funcs[0].Entry] & argRegs &^ bit(prog.R1)
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		i := p.Insns[pc]
		calls := i.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)
		if calls || i.Op.Class() == isa.LD && !i.IsWide() {
			p.Info[pc].Unset = p.Info[pc].Live & argRegs
		}
	}
}

// Constant returns what r always holds before the instruction at pc; ok is false
// if that is not clear from the instructions shortly before it. It is for back
// ends: Requires Info.Target.
func (p *Program) Constant(pc prog.PC, r prog.Reg) (v int64, ok bool) {
	const far = 16
	for range far {
		if p.Info[pc].Target || pc == 0 {
			return 0, false
		}
		pc--
		in := p.Insns[pc]
		if in.Op == 0 && pc > 0 && p.Insns[pc-1].IsWide() {
			pc--
			in = p.Insns[pc]
		}
		if p.Info[pc].Dead || endsFlow(in) {
			return 0, false
		}
		if _, writes := p.effect(pc); !writes.Has(r) {
			continue
		}
		switch in.Op {
		case alu64 | isa.Op(isa.Mov):
			return int64(in.Imm), true
		case alu | isa.Op(isa.Mov):
			return int64(uint32(in.Imm)), true
		}
		return 0, false
	}
	return 0, false
}

func endsFlow(in prog.Insn) bool {
	switch in.Op {
	case isa.Op(isa.JMP) | isa.Op(isa.Exit), isa.Op(isa.JMP) | isa.Op(isa.JA), isa.Op(isa.JMP32) | isa.Op(isa.JA):
		return true
	}
	return false
}

// effect returns the registers that the instruction at pc reads and writes.
func (p *Program) effect(pc prog.PC) (reads, writes Regs) {
	in := p.Insns[pc]
	dst, src := bit(in.Dst)&allRegs, bit(in.Src)&allRegs
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		reads, writes = dst, dst
		if in.Op.ALUOp() == isa.Mov {
			reads = 0
		}
		if in.Op.Source() == isa.X && in.Op.ALUOp() != isa.End {
			reads |= src
		}
	case isa.LDX:
		reads, writes = src, dst
	case isa.ST:
		reads = dst
	case isa.STX:
		switch {
		case in.Op.Mode() != isa.ATOMIC:
			reads = dst | src
		case in.Imm == isa.LoadAcquire:
			reads, writes = src, dst
		case in.Imm == isa.AtomicCmpXchg:
			reads, writes = dst|src|bit(prog.R0), bit(prog.R0)
		case in.Imm != isa.StoreRelease && in.Imm&isa.AtomicFetch != 0:
			reads, writes = dst|src, src
		default:
			reads = dst | src
		}
	case isa.LD:
		switch {
		case in.IsWide():
			writes = dst
		case in.Op.Mode() == isa.IND:
			reads, writes = src|bit(prog.R6), callRegs
		default:
			reads, writes = bit(prog.R6), callRegs
		}
	default: // jumps
		switch in.Op.JmpOp() {
		case isa.JA, isa.MayGoto:
		case isa.Exit:
			reads = bit(prog.R0)
		case isa.Call:
			reads, writes = argRegs, callRegs // a helper may take more than its contract names
			if x := p.Info[pc].Inline; x != nil {
				reads = x.reads()
			}
		default:
			reads = dst
			if in.Op.Source() == isa.X {
				reads |= src
			}
		}
	}
	return reads, writes
}
