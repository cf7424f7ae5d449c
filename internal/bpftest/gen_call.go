package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Helper numbers (include/uapi/linux/bpf.h).
const (
	mapLookupElem = 1
	mapUpdateElem = 2
	mapDeleteElem = 3
	bpfLoop       = 181
)

// lend returns an aligned place in the frame of memSize readable bytes.
func (g *generator) lend() (off int, ok bool) {
	off, ok = g.slot(memSize)
	if !ok || g.s.stack[off+8] >= spill {
		return 0, false
	}
	for at := off; at < off+memSize; at += 8 {
		if !g.s.holds(at, 8) {
			g.storeAt(at, isa.DW)
		}
	}
	return off, true
}

// queue makes sure that f is written.
func (g *generator) queue(f *function) {
	if !f.queued {
		f.queued = true
		g.pending = append(g.pending, f)
	}
}

// callSub calls a subprogram of higher rank.
func (g *generator) callSub() {
	f := g.subs[g.f.rank+g.r.IntN(maxRank-g.f.rank)]
	mem, handOn := 0, prog.Reg(0)
	if f.takesMemory {
		var ok bool
		if handOn, ok = g.lentMemory(); !ok {
			if mem, ok = g.lend(); !ok {
				return
			}
		}
	}
	g.args(f.args)
	if r := prog.Reg(f.args + 1); f.takesMemory && handOn != 0 {
		g.emit(move(r, handOn))
	} else if f.takesMemory {
		g.emit(move(r, 10), addImm(r, int32(g.stackOff(mem))))
	}
	g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.Call, isa.K), Src: isa.CallSub}, f.label)
	g.queue(f)
	g.s.called(scalar)
}

// args puts n scalars in R1 and up.
func (g *generator) args(n int) {
	for i := 1; i <= n; i++ {
		r := prog.Reg(i)
		if g.s.regs[r].kind == scalar && g.r.IntN(2) == 0 {
			continue
		}
		if src := g.sourceNot(r); src == r {
			g.emit(moveImm(r, g.imm()))
		} else {
			g.emit(move(r, src))
		}
		g.s.regs[r] = value{kind: scalar}
	}
}

// sourceNot returns a register other than r that holds a scalar; r if there is
// none.
func (g *generator) sourceNot(r prog.Reg) prog.Reg {
	src, ok := g.pick(func(s prog.Reg) bool { return s != r && g.s.regs[s].kind == scalar })
	if !ok {
		return r
	}
	return src
}

// callLoop calls a new callback a few times, but not zero: Linux 6.18 fails to
// load a program whose callback it proves dead.
func (g *generator) callLoop() {
	f := &function{rank: g.f.rank + 1, label: g.newLabel(), budget: 2 + g.r.IntN(4), frame: 64, callback: true}
	mem, ok := g.lend()
	if !ok {
		return
	}
	if g.r.IntN(2) == 0 {
		g.emit(moveImm(1, 1+g.r.Int32N(20)))
	} else {
		if src := g.source(); src != 1 {
			g.emit(move(1, src))
		}
		g.emit(prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: 1, Imm: 15}, addImm(1, 1))
	}
	g.emitTo(prog.Insn{Op: isa.Wide, Dst: 2, Src: isa.PseudoFunc}, f.label)
	g.emit(move(3, 10), addImm(3, int32(g.stackOff(mem))), moveImm(4, 0), helper(bpfLoop))
	g.queue(f)
	g.s.called(scalar)
}

// key stores a key in the frame and leaves the map, whose index it returns, in
// R1 and the key's address in R2.
func (g *generator) key() (m int32, ok bool) {
	if g.o.Lookups && g.r.IntN(3) > 0 {
		return g.otherKey()
	}
	off, ok := g.slot(8)
	if !ok {
		return 0, false
	}
	src := g.source()
	r := g.scratch(src)
	g.emit(move(r, src), prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: r, Imm: GenKeys - 1},
		prog.Insn{Op: memOp(isa.STX, isa.MEM, isa.W), Dst: 10, Src: r, Off: g.stackOff(off)})
	for i := range 4 {
		g.s.stack[off+i] = data
	}
	m = GenArray
	if g.r.IntN(2) == 0 {
		m = GenHash
	}
	g.emit(prog.Insn{Op: isa.Wide, Dst: 1, Src: isa.PseudoMapFD, Imm: m}, prog.Insn{},
		move(2, 10), addImm(2, int32(g.stackOff(off))))
	g.s.regs[1], g.s.regs[2] = value{}, value{}
	return m, true
}

// lookup looks a key up and works on the value if there is one.
func (g *generator) lookup() {
	m, ok := g.key()
	if !ok {
		return
	}
	g.branches++
	if m >= genOther && m < genOther+2 && g.r.IntN(2) == 0 {
		g.emit(moveImm(3, g.r.Int32N(4)), helper(mapLookupPerCPUElem))
	} else {
		g.emit(helper(mapLookupElem))
	}
	g.s.called(nothing)
	end := g.newLabel()
	g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JEq, isa.K), Dst: 0}, end)
	other := g.s.clone()
	at := prog.Reg(0)
	if keep, ok := g.pick(func(r prog.Reg) bool { return r >= 6 && g.free(r) && g.f.loops == 0 }); ok && g.r.IntN(2) == 0 {
		g.emit(move(keep, 0))
		at = keep
	} else {
		at = g.scratch()
		g.emit(move(at, 0))
	}
	g.s.regs[at] = value{kind: memory, size: valueSize}
	g.s.regs[0] = value{}
	g.memoryAccess()
	if g.f.depth < 3 {
		g.nested(1 + g.r.IntN(3))
	}
	g.s.join(other)
	g.place(end)
}

// update stores a value from the frame in a map.
func (g *generator) update() {
	for off := g.f.frame - valueSize; off < g.f.frame; off += 8 { // the top of the frame
		if g.s.stack[off] >= spill {
			return
		}
	}
	for off := g.f.frame - valueSize; off < g.f.frame; off += 8 {
		if !g.s.holds(off, 8) {
			g.storeAt(off, isa.DW)
		}
	}
	if _, ok := g.key(); !ok {
		return
	}
	g.emit(move(3, 10), addImm(3, -valueSize), moveImm(4, g.r.Int32N(3)), helper(mapUpdateElem))
	g.s.called(scalar)
}

func (g *generator) remove() {
	if _, ok := g.key(); !ok {
		return
	}
	g.emit(helper(mapDeleteElem))
	g.s.called(scalar)
}
