package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// Idioms: what the host has an instruction for (package opt).

func (l *lowerer) Idiom(pc prog.PC, x *opt.Idiom) {
	in := l.p.Insns[pc]
	switch x.Kind {
	case opt.Rotate:
		l.rotate(x)
	case opt.Sum:
		l.sum(pc, x)
	case opt.Access:
		l.access(in, address(x))
	case opt.Update:
		l.update(pc, in)
	case opt.Set:
		l.set(pc, in, x)
	case opt.Branch:
		op := in.Op.JmpOp()
		l.compare(pc, in)
		l.JccL(cond(op).Not(), l.Label(x.To))
		if to, _ := in.Target(pc); to != pc+2 {
			l.JmpL(l.Label(to))
		}
	case opt.Choose:
		l.choose(pc, in, x)
	case opt.Tally:
		l.tally(pc, in, x)
	case opt.Ones, opt.Zeros, opt.Lowest:
		l.count(pc, x)
	}
}

// set makes a register say whether a condition holds. It is no operand.
func (l *lowerer) set(pc prog.PC, in prog.Insn, x *opt.Idiom) {
	c, dst := cond(in.Op.JmpOp()), host[x.Dst]
	if x.Imm == 0 {
		c = c.Not()
	}
	if in.Op.Source() == isa.K && in.Imm == 0 && l.tested(pc, in) { // by flags that XOR would change
		l.SetccR(c, dst)
		l.MovzxRR(W8, dst, dst)
		return
	}
	l.ZeroR(dst)
	l.compare(pc, in)
	l.SetccR(c, dst)
}

// sum lowers x, which ends at pc, of whatever is the shortest; as an addition if its
// carry is asked for.
func (l *lowerer) sum(pc prog.PC, x *opt.Idiom) {
	w, dst, src := W32, host[x.Dst], host[x.Src]
	if x.Wide {
		w = W64
	}
	if x.Index == opt.NoIndex && x.Imm == 0 {
		l.MovRR(w, dst, src)
		return
	}
	if x.Index != opt.NoIndex && x.Shift == 0 && x.Imm == 0 && x.Dst != x.Index && x.Dst != x.Src && l.asksCarry(pc, x) {
		l.MovRR(w, dst, src)
		l.AddRR(w, dst, host[x.Index])
		l.flags = flags{at: l.Len(), pc: pc, reg: dst, w: w, added: 1<<x.Src | 1<<x.Index}
		return
	}
	l.Lea(w, dst, address(x))
}

// asksCarry reports whether what follows x, which ends at pc, is a condition that
// compares its sum with a part of it.
func (l *lowerer) asksCarry(pc prog.PC, x *opt.Idiom) bool {
	next := pc + 1
	if l.p.Info[next].Merged {
		next++
	}
	switch l.p.Info[next].Idiom.Kind {
	case opt.Tally, opt.Choose:
	default:
		return false
	}
	switch in := l.p.Insns[next]; {
	case in.Op.Source() != isa.X:
		return false
	case in.Dst == x.Dst:
		return in.Src == x.Src || in.Src == x.Index
	default:
		return in.Src == x.Dst && (in.Dst == x.Src || in.Dst == x.Index)
	}
}

func (l *lowerer) rotate(x *opt.Idiom) {
	w, dst, src := W32, host[x.Dst], host[x.Src]
	if x.Wide {
		w = W64
	}
	switch {
	case dst == src:
		l.RolRI(w, dst, uint8(x.Imm))
	case l.features.BMI2:
		l.RorxRRI(w, dst, src, uint8(w.Bits()-int(x.Imm)))
	default:
		l.MovRR(w, dst, src)
		l.RolRI(w, dst, uint8(x.Imm))
	}
}

// address returns what x adds up as a memory operand.
func address(x *opt.Idiom) Mem {
	if x.Index == opt.NoIndex {
		return At(host[x.Src], x.Imm)
	}
	return Indexed(host[x.Src], host[x.Index], 1<<x.Shift, x.Imm)
}

// access lowers a load or store of m.
func (l *lowerer) access(in prog.Insn, m Mem) {
	w := accessWidth(in)
	switch {
	case in.Op.Class() == isa.STX:
		l.MovMR(w, m, host[in.Src])
	case in.Op.Class() == isa.ST:
		l.MovMI(w, m, narrow(w, in.Imm))
	case in.Op.Mode() == isa.MEMSX:
		l.MovsxRM(W64, w, host[in.Dst], m)
	default:
		l.loadZero(w, host[in.Dst], m)
	}
}

// update lowers a load, an operation and a store, at pc, of the same memory.
func (l *lowerer) update(pc prog.PC, in prog.Insn) {
	switch op := l.p.Insns[pc-1]; op.Op.ALUOp() {
	case isa.Add:
		l.inMemory(pc, in, op, (*Asm).AddMR, (*Asm).AddMI)
	case isa.Sub:
		l.inMemory(pc, in, op, (*Asm).SubMR, (*Asm).SubMI)
	case isa.Or:
		l.inMemory(pc, in, op, (*Asm).OrMR, (*Asm).OrMI)
	case isa.And:
		l.inMemory(pc, in, op, (*Asm).AndMR, (*Asm).AndMI)
	case isa.Xor:
		l.inMemory(pc, in, op, (*Asm).XorMR, (*Asm).XorMI)
	}
}

// inMemory lowers op on the memory that the store in at pc writes, of its width.
func (l *lowerer) inMemory(pc prog.PC, in, op prog.Insn, mr func(*Asm, Width, Mem, Reg), mi func(*Asm, Width, Mem, int32)) {
	m, w := l.operand(pc, in, in.Dst)
	if op.Op.Source() == isa.X {
		mr(l.Asm, w, m, host[op.Src])
	} else {
		mi(l.Asm, w, m, narrow(w, op.Imm))
	}
}
