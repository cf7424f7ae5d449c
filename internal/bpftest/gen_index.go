package bpftest

import (
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// area returns an aligned place of n bytes in the frame that can be read.
func (g *generator) area(n int) (off int, ok bool) {
	for range 6 {
		off = g.r.IntN((g.f.frame-n)/8+1) * 8
		ok = true
		for at := off; at < off+n; at++ {
			ok = ok && g.s.stack[at] < spill
		}
		if !ok {
			continue
		}
		for at := off; at < off+n; at += 8 {
			if !g.s.holds(at, 8) {
				g.storeAt(at, isa.DW)
			}
		}
		return off, true
	}
	return 0, false
}

// indexed accesses memory at an offset that only the run knows, and that is
// bounded in one of many ways.
func (g *generator) indexed() {
	base, ok := g.pick(func(r prog.Reg) bool {
		v := g.s.regs[r]
		return v.kind == memory && v.size >= 16 && !v.readOnly
	})
	off, room, fromFrame := int16(0), 0, false
	if ok && g.r.IntN(2) == 0 {
		room = g.s.regs[base].size
	} else {
		at, found := g.area(32)
		if !found {
			return
		}
		base, off, room, fromFrame = 10, g.stackOff(at), 32, true
	}
	locked := g.f.locked
	defer func() { g.f.locked = locked }()
	g.f.locked[base] = true
	src := g.source()
	g.f.locked[src] = true
	x := g.scratch(src, base)
	g.f.locked[x] = true
	limit := int32(2) << g.r.IntN(bits.Len(uint(room))-2)
	g.emit(move(x, src))
	skip := g.newLabel()
	other := g.s.clone() // nothing that follows is known after skip, but what was before
	g.bound(x, src, limit, skip)
	if g.r.IntN(3) == 0 {
		limit = g.stretch(x, limit, int32(room))
	}
	n := 1
	for n < 8 && int(limit)-1+2*n <= room && !fromFrame && g.r.IntN(2) == 0 {
		n *= 2
	}
	size := map[int]isa.Size{1: isa.B, 2: isa.H, 4: isa.W, 8: isa.DW}[n]
	if n > 1 {
		g.emit(aluImm(isa.ALU64, isa.And, x, int32(-n)))
	}
	g.emit(alu(isa.ALU64, isa.Add, x, base))
	switch g.r.IntN(3) {
	case 0:
		g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, size), Dst: x, Src: src, Off: off})
	case 1:
		g.emit(prog.Insn{Op: memOp(isa.ST, isa.MEM, size), Dst: x, Imm: g.imm(), Off: off})
	default:
		dst := g.fresh()
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: dst, Src: x, Off: off})
		g.s.regs[dst] = value{kind: scalar}
	}
	g.s.regs[x] = value{}
	g.s.join(other)
	g.place(skip)
}

// bound makes x, a copy of src, less than limit, a power of two, or jumps to
// skip.
func (g *generator) bound(x, src prog.Reg, limit int32, skip int) {
	log := int32(bits.Len32(uint32(limit)) - 1)
	wide, narrow := isa.ALU64, isa.ALU
	choices := []func(){
		func() { g.emit(aluImm(wide, isa.And, x, limit-1)) },
		func() { g.emit(aluImm(narrow, isa.And, x, limit-1)) },
		func() { g.emitTo(jumpImm(isa.JMP, isa.JGt, x, limit-1), skip) },
		func() { g.emitTo(jumpImm(isa.JMP, isa.JGe, src, limit), skip) }, // x is a copy of what is compared
		func() {
			g.emitTo(jumpImm(isa.JMP, isa.JSGe, x, limit), skip)
			g.emitTo(jumpImm(isa.JMP, isa.JSLt, x, 0), skip)
		},
		func() { // the low half is compared, then taken
			g.emitTo(jumpImm(isa.JMP32, isa.JGt, x, limit-1), skip)
			g.emit(alu(narrow, isa.Mov, x, x))
		},
		func() { // the low half is taken, then the other copy's is compared
			g.emit(alu(narrow, isa.Mov, x, src))
			g.emitTo(jumpImm(isa.JMP32, isa.JGe, src, limit), skip)
		},
		func() {
			g.emit(alu(narrow, isa.Mov, x, x))
			g.emitTo(jumpImm(isa.JMP32, isa.JSGe, x, limit), skip)
			g.emitTo(jumpImm(isa.JMP32, isa.JSLt, x, 0), skip)
		},
		func() { g.emit(aluImm(wide, isa.Rsh, x, (64-log)&63), aluImm(wide, isa.And, x, limit-1)) },
		func() { g.emit(aluImm(narrow, isa.Rsh, x, (32-log)&31), aluImm(wide, isa.And, x, limit-1)) },
		func() { g.emit(aluImm(wide, isa.Mod, x, limit)) },
		func() { g.emit(aluImm(narrow, isa.Mod, x, limit)) },
		func() {
			g.emit(aluImm(wide, isa.Rsh, x, 32), aluImm(wide, isa.Div, x, int32(min(1<<31-1, int64(1)<<(32-log)))), aluImm(wide, isa.And, x, limit-1))
		},
		func() { g.emit(aluImm(wide, isa.Lsh, x, 64-8), aluImm(wide, isa.Rsh, x, 64-8+max(0, 8-log))) },
		func() {
			g.emit(aluImm(wide, isa.Lsh, x, 32), aluImm(wide, isa.Arsh, x, 32), aluImm(wide, isa.And, x, limit-1))
		},
		func() { g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JSet, isa.K), Dst: x, Imm: -limit}, skip) },
		func() { // the mirror image
			g.emit(aluImm(wide, isa.And, x, limit-1), aluImm(wide, isa.Neg, x, 0), addImm(x, limit-1))
		},
		func() { g.emit(aluImm(wide, isa.Or, x, -limit), addImm(x, limit)) },
		func() { g.emit(aluImm(wide, isa.And, x, limit-1), aluImm(wide, isa.Xor, x, limit-1)) },
		func() { // through the stack: what is loaded back is compared
			if at, ok := g.slot(8); ok {
				g.emit(store(isa.DW, 10, x, g.stackOff(at)))
				for i := range 8 {
					g.s.stack[at+i] = data
				}
				g.emit(load(isa.DW, x, 10, g.stackOff(at)))
				g.emitTo(jumpImm(isa.JMP, isa.JGe, src, limit), skip)
				return
			}
			g.emit(aluImm(wide, isa.And, x, limit-1))
		},
		func() { // compared with a bounded register
			t := g.scratch(x, src)
			g.emit(move(t, src), aluImm(wide, isa.And, t, limit-1))
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JGt, isa.X), Dst: x, Src: t}, skip)
		},
		func() { // the difference of two
			t := g.scratch(x, src)
			g.emit(aluImm(wide, isa.And, x, limit-1), move(t, src), aluImm(wide, isa.Rsh, t, g.r.Int32N(40)))
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JGt, isa.X), Dst: t, Src: x}, skip)
			g.emit(alu(wide, isa.Sub, x, t))
		},
		func() { // equal to what is bounded
			t := g.scratch(x, src)
			g.emit(move(t, src), aluImm(wide, isa.Mod, t, limit))
			g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JNe, isa.X), Dst: x, Src: t}, skip)
		},
		func() { // below, after an addition that may wrap
			c := g.imm()
			g.emit(addImm(x, c))
			g.emitTo(jumpImm(isa.JMP, isa.JGe, x, limit), skip)
		},
		func() {
			c := g.r.Int32N(64)
			g.emit(aluImm(narrow, isa.Sub, x, c))
			g.emitTo(jumpImm(isa.JMP, isa.JGe, x, limit), skip)
		},
	}
	if g.o.V4 {
		choices = append(choices,
			func() {
				g.emit(prog.Insn{Op: aluOp(wide, isa.Mov, isa.X), Dst: x, Src: src, Off: 8})
				g.emitTo(jumpImm(isa.JMP, isa.JGe, x, limit), skip)
			},
			func() {
				g.emit(prog.Insn{Op: aluOp(narrow, isa.Mov, isa.X), Dst: x, Src: src, Off: 16}, aluImm(wide, isa.And, x, limit-1))
			},
			func() {
				g.emit(prog.Insn{Op: aluOp(wide, isa.Mod, isa.K), Dst: x, Imm: limit, Off: 1})
				g.emitTo(jumpImm(isa.JMP, isa.JSLt, x, 0), skip)
			})
	}
	choices[g.r.IntN(len(choices))]()
}

// stretch computes with x, which is less than limit, and returns its new limit,
// at most room.
func (g *generator) stretch(x prog.Reg, limit, room int32) int32 {
	wide := isa.ALU64
	switch c := g.r.Int32N(8); {
	case c == 0 && 2*limit <= room:
		g.emit(aluImm(wide, isa.Lsh, x, 1))
		return 2*limit - 1
	case c == 1 && 3*limit <= room:
		g.emit(aluImm(wide, isa.Mul, x, 3))
		return 3*limit - 2
	case c == 2 && limit < room:
		d := 1 + g.r.Int32N(room-limit)
		g.emit(addImm(x, d))
		return limit + d
	case c == 3:
		g.emit(aluImm(wide, isa.Div, x, 1+g.r.Int32N(5)))
	case c == 4:
		g.emit(addImm(x, 100), aluImm(wide, isa.Sub, x, 100))
	case c == 5:
		g.emit(alu(isa.ALU, isa.Mov, x, x))
	case c == 6 && 2*limit <= room:
		g.emit(aluImm(wide, isa.Or, x, limit))
		return 2 * limit
	case c == 7:
		t := g.scratch(x)
		g.emit(move(t, x), aluImm(wide, isa.Rsh, t, 1), alu(wide, isa.Sub, x, t))
	}
	return limit
}

// flagTwice tests the same flag before a pointer is made and before it is used.
func (g *generator) flagTwice() {
	regs, ok := g.saved(2)
	if !ok || g.f.loops > 0 {
		return
	}
	flag, p := regs[0], regs[1]
	src := g.source()
	g.emit(move(flag, src), aluImm(isa.ALU64, isa.And, flag, 1<<g.r.IntN(4)))
	g.emit(moveImm(p, g.r.Int32N(2)))
	g.s.regs[flag], g.s.regs[p] = value{kind: scalar}, value{kind: scalar}
	g.f.locked[flag], g.f.locked[p] = true, true
	defer func() { g.f.locked[flag], g.f.locked[p] = false, false }()
	g.branches += 2
	without := g.newLabel()
	g.emitTo(jumpImm(isa.JMP, isa.JEq, flag, 0), without)
	other := g.s.clone()
	if _, ok := g.key(); ok {
		g.emit(helper(mapLookupElem), prog.Insn{Op: jumpOp(isa.JMP, isa.JNe, isa.K), Dst: 0, Off: 1}, moveImm(flag, 0), move(p, 0))
		g.s.called(nothing)
	} else {
		g.emit(moveImm(flag, 0))
	}
	g.s.regs[p] = value{}
	g.s.join(other)
	g.place(without)
	g.nested(g.r.IntN(3))
	end := g.newLabel()
	if g.r.IntN(2) == 0 {
		g.emitTo(jumpImm(isa.JMP, isa.JEq, flag, 0), end)
	} else {
		g.emitTo(jumpImm(isa.JMP, isa.JLt, flag, 1), end)
	}
	other = g.s.clone()
	if g.s.regs[p].kind == nothing { // a pointer, unless no key could be made
		g.s.regs[p] = value{kind: memory, size: valueSize}
		g.memoryAccess()
		if g.o.Indexes && g.r.IntN(2) == 0 {
			g.indexed()
		}
		g.s.regs[p] = value{}
	}
	g.s.join(other)
	g.place(end)
	g.emit(moveImm(p, g.imm()))
	g.s.regs[p] = value{kind: scalar}
}
