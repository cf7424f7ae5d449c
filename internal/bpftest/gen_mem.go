package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

var sizes = [...]isa.Size{isa.B, isa.H, isa.W, isa.DW}

func (g *generator) size() isa.Size { return sizes[g.r.IntN(len(sizes))] }

// slot returns an aligned place of n bytes in the frame that holds no pointer.
func (g *generator) slot(n int) (off int, ok bool) {
	for range 8 {
		off = g.r.IntN(g.f.frame/n) * n
		if g.s.stack[off] < spill {
			return off, true
		}
	}
	return 0, false
}

// dataSlot returns an aligned place of n bytes that can be read; it makes one
// if need be.
func (g *generator) dataSlot(n int) (off int, ok bool) {
	for range 6 {
		if off, ok = g.slot(n); ok && g.s.holds(off, n) {
			return off, true
		}
	}
	if ok {
		g.storeAt(off&^7, isa.DW)
	}
	return off, ok
}

// storeAt stores a scalar in the frame.
func (g *generator) storeAt(off int, size isa.Size) {
	if g.r.IntN(3) == 0 {
		g.emit(prog.Insn{Op: memOp(isa.ST, isa.MEM, size), Dst: 10, Off: g.stackOff(off), Imm: g.imm()})
	} else {
		g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, size), Dst: 10, Src: g.source(), Off: g.stackOff(off)})
	}
	for i := range size.Bytes() {
		g.s.stack[off+i] = data
	}
}

func (g *generator) stackStore() {
	size := g.size()
	if off, ok := g.slot(size.Bytes()); ok {
		g.storeAt(off, size)
	}
}

// loadOp returns a load of size, sign-extending at times.
func (g *generator) loadOp(size isa.Size) isa.Op {
	if g.o.V4 && size != isa.DW && g.r.IntN(3) == 0 {
		return memOp(isa.LDX, isa.MEMSX, size)
	}
	return memOp(isa.LDX, isa.MEM, size)
}

func (g *generator) stackLoad() {
	size := g.size()
	off, ok := g.dataSlot(size.Bytes())
	if !ok {
		return
	}
	dst := g.fresh()
	if g.r.IntN(2) == 0 {
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: dst, Src: 10, Off: g.stackOff(off)})
	} else { // through a copy of the frame pointer
		shift := g.r.Int32N(64) - 32
		g.emit(move(dst, 10), addImm(dst, shift),
			prog.Insn{Op: g.loadOp(size), Dst: dst, Src: dst, Off: g.stackOff(off) - int16(shift)})
	}
	g.s.regs[dst] = value{kind: scalar}
}

// spillFill stores a pointer on the stack, or loads one back.
func (g *generator) spillFill() {
	if g.r.IntN(2) == 0 && g.f.loops == 0 {
		src, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind > scalar })
		if !ok {
			return
		}
		off, ok := g.slot(8)
		if !ok {
			return
		}
		g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, isa.DW), Dst: 10, Src: src, Off: g.stackOff(off)})
		if g.s.spills == nil {
			g.s.spills = map[int]value{}
		}
		g.s.spills[off] = g.s.regs[src]
		for i := range 8 {
			g.s.stack[off+i] = spill
		}
		return
	}
	for off := 0; off < g.f.frame; off += 8 { // map order would differ from run to run
		v, ok := g.s.spills[off]
		if !ok || g.r.IntN(2) == 0 {
			continue
		}
		dst := g.scratch()
		g.emit(prog.Insn{Op: memOp(isa.LDX, isa.MEM, isa.DW), Dst: dst, Src: 10, Off: g.stackOff(off)})
		g.s.regs[dst] = v
		return
	}
}

// atomicForms are the read-modify-writes of the instruction table.
var atomicForms = func() (out []*isa.Form) {
	for i := range isa.Forms() {
		if f := &isa.Forms()[i]; f.Group == isa.GroupAtomic32 || f.Group == isa.GroupAtomic64 {
			out = append(out, f)
		}
	}
	return out
}()

// atomic writes a read-modify-write of 8 bytes or 4 at off from base.
func (g *generator) atomic(f *isa.Form, base prog.Reg, off int16) {
	code, _ := f.Fixed("imm")
	in := prog.Insn{Op: f.Op, Dst: base, Off: off, Imm: code}
	if code == isa.AtomicCmpXchg {
		if g.s.regs[0].kind != scalar {
			g.emit(moveImm(0, g.imm()))
			g.s.regs[0] = value{kind: scalar}
		}
	}
	if f.Src&isa.Write != 0 {
		in.Src = g.target()
	} else {
		in.Src = g.source()
	}
	g.emit(in)
}

func (g *generator) stackAtomic() {
	f := atomicForms[g.r.IntN(len(atomicForms))]
	off, ok := g.dataSlot(f.Op.Size().Bytes())
	if ok && !(g.f.locked[0]) {
		g.atomic(f, 10, g.stackOff(off))
	}
}

// stackOrdered writes a load-acquire or a store-release.
func (g *generator) stackOrdered() {
	size := g.size()
	off, ok := g.dataSlot(size.Bytes())
	if !ok {
		return
	}
	op := memOp(isa.STX, isa.ATOMIC, size)
	if g.r.IntN(2) == 0 {
		g.emit(prog.Insn{Op: op, Dst: 10, Src: g.source(), Off: g.stackOff(off), Imm: isa.StoreRelease})
		return
	}
	dst := g.fresh()
	g.emit(prog.Insn{Op: op, Dst: dst, Src: 10, Off: g.stackOff(off), Imm: isa.LoadAcquire})
	g.s.regs[dst] = value{kind: scalar}
}

// memoryAccess loads from or stores to the packet, a map value, or memory that
// the caller lent, at a constant or a masked offset.
func (g *generator) memoryAccess() {
	base, ok := g.pick(func(r prog.Reg) bool { v := g.s.regs[r]; return v.kind == packet || v.kind == memory })
	if !ok {
		return
	}
	was := g.f.locked[base]
	g.f.locked[base] = true // nothing written here may overwrite it
	defer func() { g.f.locked[base] = was }()
	v := g.s.regs[base]
	size := g.size()
	n := size.Bytes()
	if v.readOnly {
		g.loadFrom(base, v)
		return
	}
	room := v.size - n
	if room < 0 {
		return
	}
	off := g.r.IntN(room + 1)
	if v.kind == memory {
		off &^= n - 1 // the caller's stack must be aligned
	}
	if v.kind == packet && room >= 8 && g.f.held == 0 && g.r.IntN(4) == 0 {
		g.variableAccess(base, size)
		return
	}
	switch g.r.IntN(5) {
	case 0:
		g.emit(prog.Insn{Op: memOp(isa.ST, isa.MEM, size), Dst: base, Off: int16(off), Imm: g.imm()})
	case 1:
		g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, size), Dst: base, Src: g.source(), Off: int16(off)})
	case 2:
		f := atomicForms[g.r.IntN(len(atomicForms))]
		if n = f.Op.Size().Bytes(); v.kind == memory && !v.loose && g.o.Atomics && base != 0 && off+n <= v.size {
			g.atomic(f, base, int16(off&^(n-1)))
		}
	default:
		dst := g.fresh()
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: dst, Src: base, Off: int16(off)})
		g.s.regs[dst] = value{kind: scalar}
	}
}

// loadFrom loads from memory that cannot be written.
func (g *generator) loadFrom(base prog.Reg, v value) {
	size := g.size()
	if n := size.Bytes(); n <= v.size {
		dst := g.fresh()
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: dst, Src: base, Off: int16(g.r.IntN(v.size-n+1) &^ (n - 1))})
		g.s.regs[dst] = value{kind: scalar}
	}
}

// variableAccess reads a packet at an offset that only the run knows. It
// compares again: a pointer that a variable was added to has proved nothing.
func (g *generator) variableAccess(base prog.Reg, size isa.Size) {
	src := g.source()
	p := g.scratch(base, src)
	t := g.scratch(base, src, p)
	g.emit(move(p, src), prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: p, Imm: g.r.Int32N(64)},
		prog.Insn{Op: aluOp(isa.ALU64, isa.Add, isa.X), Dst: p, Src: base})
	g.atLeast(p, t, int32(size.Bytes()))
	g.emit(prog.Insn{Op: g.loadOp(size), Dst: p, Src: p})
	g.s.regs[p] = value{kind: scalar}
}

// packetCheck proves that the packet has some bytes, and leaves its start in a
// register.
func (g *generator) packetCheck() {
	n := 1 + g.r.Int32N(40)
	p := g.scratch()
	t := g.scratch(p)
	start, _ := g.packetFields()
	g.emit(prog.Insn{Op: memOp(isa.LDX, isa.MEM, isa.W), Dst: p, Src: 9, Off: start})
	g.atLeast(p, t, n)
	if keep, ok := g.pick(func(r prog.Reg) bool { return r >= 6 && g.free(r) && g.f.loops == 0 }); ok && g.r.IntN(2) == 0 {
		g.emit(move(keep, p))
		g.s.regs[keep] = value{kind: packet, size: int(n)}
		return
	}
	g.s.regs[p] = value{kind: packet, size: int(n)}
}

// packetFields returns where the context holds the packet's start and end.
func (g *generator) packetFields() (start, end int16) {
	if g.kind == "sched_cls" {
		return 76, 80 // struct __sk_buff
	}
	return 0, 4 // struct xdp_md
}

// atLeast leaves the program unless the packet goes on for n bytes at p. It
// needs t and one scratch register more.
func (g *generator) atLeast(p, t prog.Reg, n int32) {
	locked := g.f.locked
	g.f.locked[p], g.f.locked[t] = true, true
	end := g.scratch()
	g.f.locked = locked
	_, endOff := g.packetFields()
	g.emit(prog.Insn{Op: memOp(isa.LDX, isa.MEM, isa.W), Dst: end, Src: 9, Off: endOff},
		move(t, p), addImm(t, n))
	if g.f.short < 0 {
		g.f.short = g.newLabel()
	}
	switch g.r.IntN(3) {
	case 0:
		g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JGt, isa.X), Dst: t, Src: end}, g.f.short)
	case 1:
		g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JLt, isa.X), Dst: end, Src: t}, g.f.short)
	default:
		enough := g.newLabel()
		g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JLe, isa.X), Dst: t, Src: end}, enough)
		g.emitTo(g.gotoInsn(), g.f.short)
		g.place(enough)
	}
}

// legacyLoad writes an LD_ABS or LD_IND, at times past the packet's end, which
// ends the program.
func (g *generator) legacyLoad() {
	if !g.free(6) {
		return
	}
	size := sizes[g.r.IntN(3)]
	at := g.r.Int32N(48)
	if g.r.IntN(16) == 0 {
		at += 64
	}
	in := prog.Insn{Op: memOp(isa.LD, isa.ABS, size), Imm: at}
	if g.r.IntN(2) == 0 {
		index, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind == scalar && r != 6 })
		if !ok {
			return
		}
		tmp := g.scratch(index)
		g.emit(move(tmp, index), prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: tmp, Imm: 15})
		in = prog.Insn{Op: memOp(isa.LD, isa.IND, size), Src: tmp, Imm: at - 8}
		if in.Imm < 0 {
			in.Imm = 0
		}
	}
	g.emit(move(6, 9), in)
	g.s.called(scalar)
	g.s.regs[6] = value{kind: ctx}
}
