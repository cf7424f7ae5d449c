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
// exit only R0 is live. What nobody needs is left out before. Requires blocks.
//
// Each block is looked at again only when something else became live after it, and
// after those that it leads to if it can: for a loop, once more as a rule.
func (p *Program) liveness(*verifier.Verified) error {
	for f := range p.Funcs {
		order := p.backwards(f)
		p.unneeded(f, order)
		for _, k := range order {
			p.graph[k].seen = false
		}
		for again := true; again; {
			again = false
			for _, k := range order {
				b := &p.graph[k]
				out := p.graph[b.jump].in | p.graph[b.next].in
				if b.seen && out == b.out {
					continue
				}
				b.seen, b.out = true, out
				if in := p.live(b, out); in != b.in {
					b.in = in
					again = p.Funcs[f].loops // otherwise each is seen after what follows it
				}
			}
		}
	}
	// A program may leave registers unset that a helper gets and its contract
	// does not name (trace_printk): they must not show what the host left in its
	// registers.
	if bs := p.blocksOf(0); len(bs) > 0 {
		p.Funcs[0].Unset = bs[0].in & argRegs &^ bit(prog.R1)
	}
	return nil
}

// live says of the instructions of b what is live after each, given what is after
// the last, and returns what is before the first.
func (p *Program) live(b *block, out Regs) Regs {
	steps := p.flow[b.from:b.to]
	for k := len(steps) - 1; k >= 0; k-- {
		s := &steps[k]
		s.live = out
		i := &p.Info[s.pc]
		i.Live = out
		if s.calls {
			i.Unset = out & argRegs
		}
		out = out&^s.writes | s.reads
	}
	return out
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
		if p.Info[pc].Dead || endsFlow(in.Op) {
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

func endsFlow(op isa.Op) bool {
	switch op {
	case isa.Op(isa.JMP) | isa.Op(isa.Exit), isa.Op(isa.JMP) | isa.Op(isa.JA), isa.Op(isa.JMP32) | isa.Op(isa.JA):
		return true
	}
	return false
}

// Saved are the registers that a function leaves as they were.
const Saved = savedRegs

// Writes returns the registers that the instruction at pc writes.
func (p *Program) Writes(pc prog.PC) Regs {
	_, writes := p.effect(pc)
	return writes
}

// effect returns the registers that the instruction at pc reads and writes.
func (p *Program) effect(pc prog.PC) (reads, writes Regs) {
	in := &p.Insns[pc]
	x := &effects[in.Op]
	dst, src := bit(in.Dst)&allRegs, bit(in.Src)&allRegs
	reads = dst&x.readsDst | src&x.readsSrc | x.reads
	writes = dst&x.writesDst | x.writes
	switch {
	case !x.more:
	case in.Op.Class() == isa.JMP:
		if x := p.Info[pc].Inline; x != nil {
			reads = x.reads()
		}
	case in.Imm == isa.LoadAcquire:
		return src, dst
	case in.Imm == isa.AtomicCmpXchg:
		return reads | bit(prog.R0), bit(prog.R0)
	case in.Imm != isa.StoreRelease && in.Imm&isa.AtomicFetch != 0:
		return reads, src
	}
	return reads, writes
}

// An effect is what instructions with an opcode do to registers.
type effect struct {
	readsDst, readsSrc, writesDst Regs // all registers, or none
	reads, writes                 Regs
	more                          bool // it depends
}

// effects are what opcodes do.
var effects = func() (all [256]effect) {
	const yes = allRegs
	for op := range all {
		x, op := &all[op], isa.Op(op)
		switch op.Class() {
		case isa.ALU, isa.ALU64:
			x.readsDst, x.writesDst = yes, yes
			if op.ALUOp() == isa.Mov {
				x.readsDst = 0
			}
			if op.Source() == isa.X && op.ALUOp() != isa.End {
				x.readsSrc = yes
			}
		case isa.LDX:
			x.readsSrc, x.writesDst = yes, yes
		case isa.ST:
			x.readsDst = yes
		case isa.STX:
			x.readsDst, x.readsSrc = yes, yes
			x.more = op.Mode() == isa.ATOMIC
		case isa.LD:
			switch {
			case op == isa.Wide:
				x.writesDst = yes
			case op.Mode() == isa.IND:
				x.readsSrc, x.reads, x.writes = yes, bit(prog.R6), callRegs
			default:
				x.reads, x.writes = bit(prog.R6), callRegs
			}
		default: // jumps
			switch op.JmpOp() {
			case isa.JA, isa.MayGoto:
			case isa.Exit:
				x.reads = bit(prog.R0)
			case isa.Call:
				x.reads, x.writes = argRegs, callRegs // a helper may take more than its contract names
				x.more = true
			default:
				x.readsDst = yes
				if op.Source() == isa.X {
					x.readsSrc = yes
				}
			}
		}
	}
	return all
}()
