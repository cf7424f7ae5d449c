package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// saved returns n registers that calls preserve and that may be overwritten;
// ok is false if there are not so many.
func (g *generator) saved(n int) (regs []prog.Reg, ok bool) {
	for r := prog.Reg(6); r < 10 && len(regs) < n; r++ {
		if g.free(r) {
			regs = append(regs, r)
		}
	}
	return regs, len(regs) == n
}

// looped writes a loop: body, at whose end or anywhere in which it jumps to
// head or out. Registers in own are the loop's; every iteration finds R6 to R9
// of the same kind, and R0 to R5 empty.
func (g *generator) looped(own []prog.Reg, body func(head, out int)) {
	for _, r := range own {
		g.f.locked[r] = true
	}
	for r := range 6 {
		g.s.regs[r] = value{}
	}
	entry := g.s.clone()
	head, out := g.newLabel(), g.newLabel()
	g.place(head)
	g.f.loops++
	body(head, out)
	g.f.loops--
	g.place(out)
	for _, r := range own {
		g.f.locked[r] = false
	}
	g.s = entry
}

// mayWiden reports whether the loop that comes may be one that is only verified
// without unrolling it: proofs of those take long, so there are few.
func (g *generator) mayWiden() bool {
	if g.f.loops > 0 && g.r.IntN(8) > 0 || g.endless >= 2 || g.r.IntN(3) > 0 {
		return false
	}
	g.endless++
	return true
}

// cursorLoop walks the packet with a pointer: p += k while p + n is inside.
func (g *generator) cursorLoop() {
	regs, ok := g.saved(2)
	if !ok {
		return
	}
	p, count := regs[0], regs[1]
	start, end := g.packetFields()
	n := 1 + g.r.Int32N(20)
	counted := g.r.IntN(2) == 0 || !g.mayWiden()
	g.emit(load(isa.W, p, 9, start), moveImm(count, 1+g.r.Int32N(20)))
	if g.r.IntN(2) == 0 {
		g.emit(addImm(p, g.r.Int32N(16)))
	}
	g.s.regs[p], g.s.regs[count] = value{}, value{kind: scalar}
	g.looped(regs, func(head, out int) {
		g.emit(move(1, p), addImm(1, n), load(isa.W, 2, 9, end))
		if g.r.IntN(2) == 0 {
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JGt, isa.X), Dst: 1, Src: 2}, out)
		} else {
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JLt, isa.X), Dst: 2, Src: 1}, out)
		}
		size := g.size()
		for size.Bytes() > int(n) {
			size = g.size()
		}
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: 3, Src: p, Off: int16(g.r.IntN(int(n) - size.Bytes() + 1))})
		g.s.regs[3] = value{kind: scalar}
		if g.r.IntN(3) == 0 {
			g.condition(out)
		}
		g.s.regs[p] = value{kind: packet, size: int(n)}
		g.nested(g.r.IntN(3))
		g.s.regs[p] = value{}
		g.advance(p, n)
		if counted {
			g.emit(addImm(count, -1))
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JNe, isa.K), Dst: count}, head)
		} else {
			g.emitTo(g.gotoInsn(), head)
		}
	})
	g.emit(moveImm(p, g.imm()))
	g.s.regs[p] = value{kind: scalar}
}

// advance moves a packet pointer of which n bytes are proven.
func (g *generator) advance(p prog.Reg, n int32) {
	switch g.r.IntN(4) {
	case 0: // as far as a byte of the packet says
		g.emit(load(isa.B, 3, p, int16(g.r.Int32N(n))), aluImm(isa.ALU64, isa.And, 3, 1<<g.r.IntN(6)-1), addImm(3, 1+g.r.Int32N(4)),
			alu(isa.ALU64, isa.Add, p, 3))
	case 1: // one of two steps
		g.emit(load(isa.B, 3, p, 0), prog.Insn{Op: jumpOp(isa.JMP, isa.JSet, isa.K), Dst: 3, Imm: 1 << g.r.IntN(8), Off: 1},
			addImm(p, 1+g.r.Int32N(8)), addImm(p, 1+g.r.Int32N(8)))
	default:
		g.emit(addImm(p, 1+g.r.Int32N(n+4)))
	}
}

// longLoop writes a loop of several counters that move in step.
func (g *generator) longLoop() {
	regs, ok := g.saved(2)
	if !ok {
		return
	}
	i, j := regs[0], regs[1]
	area, ok := g.area(32)
	if !ok {
		return
	}
	n := []int32{2, 3, 7, 16, 40}[g.r.IntN(5)]
	if g.f.loops > 0 {
		n = min(n, 7)
	} else if g.mayWiden() {
		n = []int32{320, 1000}[g.r.IntN(2)]
	}
	step := 1 + g.r.Int32N(3)
	down := g.r.IntN(3) == 0
	form := g.r.IntN(4)
	if n >= 320 && g.r.IntN(8) > 0 { // what is surely known to end without being unrolled
		step, form = 1, max(form, 2)
	}
	first, by := int32(0), step
	if down {
		first, by = n*step, -step
	}
	class := []isa.Class{isa.ALU64, isa.ALU64, isa.ALU}[g.r.IntN(3)]
	g.emit(moveImm(i, first))
	if g.r.IntN(3) == 0 {
		if src := g.source(); src != j {
			g.emit(move(j, src))
		}
	} else {
		g.emit(moveImm(j, g.r.Int32N(64)-16))
	}
	g.s.regs[i], g.s.regs[j] = value{kind: scalar}, value{kind: scalar}
	stride := []int32{1, 2, 4, 8, -1, -4, step}[g.r.IntN(7)]
	g.looped(regs, func(head, out int) {
		if g.r.IntN(2) == 0 {
			g.walk(i, area, n*step)
		}
		g.nested(g.r.IntN(3))
		if g.r.IntN(4) == 0 {
			g.condition(out)
		}
		g.emit(aluImm(class, isa.Add, i, by), aluImm(isa.ALU64, isa.Add, j, stride))
		if g.r.IntN(5) == 0 {
			g.emitTo(jumpImm(isa.JMP, isa.JSGt, j, g.r.Int32N(4000)), out)
		}
		switch {
		case down && form < 2:
			g.emitTo(jumpImm(isa.JMP, isa.JNe, i, 0), head)
		case down:
			g.emitTo(jumpImm(isa.JMP, isa.JSGt, i, 0), head)
		case form == 0:
			g.emitTo(jumpImm(isa.JMP, isa.JNe, i, n*step), head)
		case form == 1:
			g.emitTo(jumpImm(isa.JMP, isa.JLt, i, n*step), head)
		case form == 2:
			g.emitTo(jumpImm(isa.JMP, isa.JSLt, i, n*step), head)
		default:
			g.emitTo(jumpImm(isa.JMP32, isa.JLe, i, n*step-1), head)
		}
	})
}

// walk accesses a byte of the frame's 32 bytes at area that the counter i,
// which is below n+1, names.
func (g *generator) walk(i prog.Reg, area int, n int32) {
	t, x := prog.Reg(1), prog.Reg(2)
	g.emit(move(x, i))
	if n >= 32 {
		g.emit(aluImm(isa.ALU64, isa.And, x, 31))
	}
	g.emit(move(t, 10), alu(isa.ALU64, isa.Add, t, x))
	if g.r.IntN(2) == 0 {
		g.emit(load(isa.B, 3, t, g.stackOff(area)))
		g.s.regs[3] = value{kind: scalar}
	} else {
		g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, isa.B), Dst: t, Src: i, Off: g.stackOff(area)})
	}
	g.s.regs[t], g.s.regs[x] = value{}, value{}
}

// mayGotoLoop writes a loop that only may_goto ends for sure.
func (g *generator) mayGotoLoop() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	i := regs[0]
	g.emit(moveImm(i, 0))
	g.s.regs[i] = value{kind: scalar}
	g.looped(regs, func(head, out int) {
		g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.MayGoto, isa.K)}, out)
		g.nested(1 + g.r.IntN(2))
		g.emit(addImm(i, 1+g.r.Int32N(4)))
		switch g.r.IntN(3) {
		case 0:
			g.condition(out)
		case 1:
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JGt, isa.X), Dst: i, Src: g.source()}, out)
		default:
			g.emitTo(jumpImm(isa.JMP, isa.JGt, i, 100), out)
		}
		g.emitTo(g.gotoInsn(), head)
	})
}

// iterLoop writes a loop over the numbers of a bpf_iter_num.
func (g *generator) iterLoop() {
	at, ok := g.slot(8)
	if !ok {
		return
	}
	iter := func(which int32) {
		g.emit(move(1, 10), addImm(1, int32(g.stackOff(at))))
		g.emit(prog.Insn{Op: jumpOp(isa.JMP, isa.Call, isa.K), Src: isa.CallKfunc, Imm: which})
	}
	for i := range 8 {
		g.s.stack[at+i] = special
	}
	if src := g.source(); g.r.IntN(2) == 0 && src != 2 {
		g.emit(moveImm(2, g.r.Int32N(4)), move(3, src), aluImm(isa.ALU64, isa.And, 3, 31))
	} else {
		g.emit(moveImm(2, g.r.Int32N(10)-4), moveImm(3, g.r.Int32N(24)))
	}
	iter(0)
	g.f.held++
	g.looped(nil, func(head, out int) {
		iter(1)
		g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), out)
		g.emit(load(isa.W, 0, 0, 0))
		g.s.called(scalar)
		g.nested(1 + g.r.IntN(2))
		g.emitTo(g.gotoInsn(), head)
	})
	g.f.held--
	iter(2)
	g.s.called(nothing)
	g.ended(at, 8)
}
