package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

const (
	bpfTailCall    = 12
	skbPullData    = 39
	xdpAdjustHead  = 44
	xdpAdjustTail  = 65
	ringbufOutput  = 130
	ringbufReserve = 131
	ringbufSubmit  = 132
	ringbufDiscard = 133
	forEachMapElem = 164
)

func alu(c isa.Class, op isa.ALUOp, dst, src prog.Reg) prog.Insn {
	return prog.Insn{Op: aluOp(c, op, isa.X), Dst: dst, Src: src}
}

func aluImm(c isa.Class, op isa.ALUOp, dst prog.Reg, imm int32) prog.Insn {
	return prog.Insn{Op: aluOp(c, op, isa.K), Dst: dst, Imm: imm}
}

func jumpImm(c isa.Class, op isa.JmpOp, dst prog.Reg, imm int32) prog.Insn {
	return prog.Insn{Op: jumpOp(c, op, isa.K), Dst: dst, Imm: imm}
}

func load(size isa.Size, dst, src prog.Reg, off int16) prog.Insn {
	return prog.Insn{Op: memOp(isa.LDX, isa.MEM, size), Dst: dst, Src: src, Off: off}
}

func store(size isa.Size, dst, src prog.Reg, off int16) prog.Insn {
	return prog.Insn{Op: memOp(isa.STX, isa.MEM, size), Dst: dst, Src: src, Off: off}
}

// mapInto loads map m into r.
func (g *generator) mapInto(r prog.Reg, m int32) {
	g.emit(prog.Insn{Op: isa.Wide, Dst: r, Src: isa.PseudoMapFD, Imm: m}, prog.Insn{})
}

// lentMemory returns a register that calls preserve with memory of a caller's
// stack, at times.
func (g *generator) lentMemory() (prog.Reg, bool) {
	if !g.o.Idioms || g.r.IntN(2) == 0 {
		return 0, false
	}
	return g.pick(func(r prog.Reg) bool {
		v := g.s.regs[r]
		return r >= 6 && v.lent && v.size >= memSize
	})
}

// reserve reserves a record, works on it, and gives it back.
func (g *generator) reserve() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	keep := regs[0]
	size := 8 * (1 + g.r.IntN(4))
	g.mapInto(1, GenRing)
	g.emit(moveImm(2, int32(size)), moveImm(3, 0), helper(ringbufReserve))
	g.s.called(nothing)
	g.branches++
	end := g.newLabel()
	g.emit(move(keep, 0))
	g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), end)
	g.s.regs[keep] = value{}
	other := g.s.clone()
	g.records++
	id := g.records
	g.s.regs[keep] = value{kind: memory, size: size, of: id}
	g.f.locked[keep] = true
	g.f.held++
	g.memoryAccess()
	g.nested(g.r.IntN(4))
	g.f.held--
	g.f.locked[keep] = false
	commit := int32(ringbufSubmit)
	if g.r.IntN(2) == 0 {
		commit = ringbufDiscard
	}
	g.emit(move(1, keep), moveImm(2, g.r.Int32N(3)), helper(commit))
	g.s.called(nothing)
	g.s.forget(func(v value) bool { return v.of == id })
	g.s.join(other)
	g.place(end)
	g.emit(moveImm(keep, g.imm()))
	g.s.regs[keep] = value{kind: scalar}
}

// output copies some bytes of the frame into a record.
func (g *generator) output() {
	at, ok := g.area(16)
	if !ok {
		return
	}
	src := g.source()
	n := g.scratch(src)
	g.emit(move(n, src), aluImm(isa.ALU64, isa.And, n, 15))
	if n != 3 {
		g.emit(move(3, n))
	}
	g.mapInto(1, GenRing)
	g.emit(move(2, 10), addImm(2, int32(g.stackOff(at))), moveImm(4, 0), helper(ringbufOutput))
	g.s.called(scalar)
}

// callForEach calls a new callback for each element of a map.
func (g *generator) callForEach() {
	f := &function{rank: g.f.rank + 1, label: g.newLabel(), budget: 2 + g.r.IntN(4), frame: 64, callback: true, each: true}
	mem, ok := g.lend()
	if !ok {
		return
	}
	g.mapInto(1, int32(GenArray+g.r.IntN(2)))
	g.emitTo(prog.Insn{Op: isa.Wide, Dst: 2, Src: isa.PseudoFunc}, f.label)
	g.emit(move(3, 10), addImm(3, int32(g.stackOff(mem))), moveImm(4, 0), helper(forEachMapElem))
	g.queue(f)
	g.s.called(scalar)
}

// tailCall goes on in another program, if there is one.
func (g *generator) tailCall() {
	src := g.source()
	if src != 3 {
		g.emit(move(3, src))
	}
	g.emit(aluImm(isa.ALU64, isa.And, 3, 7), move(1, 9))
	g.mapInto(2, GenTail)
	g.emit(helper(bpfTailCall))
	g.s.called(nothing)
}

// movePacket calls a helper that may move the packet.
func (g *generator) movePacket() {
	id, by := int32(skbPullData), g.r.Int32N(100)
	if g.kind == "xdp" {
		id, by = []int32{xdpAdjustHead, xdpAdjustTail}[g.r.IntN(2)], g.r.Int32N(40)-20
	}
	g.emit(move(1, 9), moveImm(2, by), helper(id))
	g.s.called(scalar)
	g.s.forget(value.inPacket)
}

// pieces spills a value, overwrites a piece of it and loads another.
func (g *generator) pieces() {
	at, ok := g.slot(8)
	if !ok {
		return
	}
	if p, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind > scalar }); ok && g.r.IntN(3) == 0 {
		g.emit(store(isa.DW, 10, p, g.stackOff(at)))
	} else {
		g.storeAt(at, isa.DW)
	}
	for i := range 8 {
		g.s.stack[at+i] = data
	}
	for range 1 + g.r.IntN(3) {
		size := sizes[g.r.IntN(3)]
		g.storeAt(at+g.r.IntN(8/size.Bytes())*size.Bytes(), size)
	}
	for range 1 + g.r.IntN(2) {
		size := g.size()
		dst := g.fresh()
		g.emit(prog.Insn{Op: g.loadOp(size), Dst: dst, Src: 10, Off: g.stackOff(at + g.r.IntN(8/size.Bytes())*size.Bytes())})
		g.s.regs[dst] = value{kind: scalar}
	}
}

// ctxField reads or writes a number of the context.
func (g *generator) ctxField() {
	fields := []int16{12, 16} // struct xdp_md: ingress_ifindex, rx_queue_index
	if g.kind == "sched_cls" {
		fields = []int16{0, 4, 8, 16, 48, 52, 64} // struct __sk_buff: len, pkt_type, mark, protocol, cb
		if g.r.IntN(3) == 0 {
			g.emit(store(isa.W, 9, g.source(), []int16{8, 48, 52, 64}[g.r.IntN(4)]))
			return
		}
	}
	dst := g.fresh()
	g.emit(load(isa.W, dst, 9, fields[g.r.IntN(len(fields))]))
	g.s.regs[dst] = value{kind: scalar}
}
