package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Helper numbers.
const (
	dynptrFromMem        = 197
	ringbufReserveDynptr = 198
	ringbufSubmitDynptr  = 199
	ringbufDiscardDynptr = 200
	dynptrRead           = 201
	dynptrWrite          = 202
	dynptrData           = 203
)

// A dynptr is one that the generator uses.
type dynptr struct {
	at      []int // where it and its clones lie in the frame
	reg     prog.Reg
	id      int  // what slices of it belong to
	packet  bool // its memory is the packet
	writing bool // and writes may move that
}

// dynptr makes one, uses it and ends it.
func (g *generator) dynptr() {
	at, ok := g.room(16)
	if !ok {
		return
	}
	g.records++
	d := &dynptr{at: []int{at}, id: g.records}
	commit := int32(0)
	switch n := g.r.IntN(3); {
	case n == 0 && g.f.rank == 0 && g.o.Packet:
		g.setSpecial(at, 16, special)
		g.emit(move(1, 9), moveImm(2, 0))
		g.frameInto(3, at)
		d.packet, d.writing = true, g.kind == "sched_cls"
		if g.kind == "xdp" {
			g.kfunc("bpf_dynptr_from_xdp")
		} else {
			g.kfunc("bpf_dynptr_from_skb")
		}
	case n == 1:
		g.length(2, 64)
		g.setSpecial(at, 16, special)
		g.mapInto(1, GenRing)
		g.emit(moveImm(3, 0))
		g.frameInto(4, at)
		g.emit(helper(ringbufReserveDynptr))
		commit = ringbufSubmitDynptr + g.r.Int32N(2)
		g.f.held++
	default:
		off := g.r.Int32N(valueSize)
		g.length(2, int32(2*valueSize)-off)
		g.setSpecial(at, 16, special)
		g.valueInto(1, genOne, off)
		g.emit(moveImm(3, 0))
		g.frameInto(4, at)
		g.emit(helper(dynptrFromMem))
	}
	g.s.called(scalar)
	g.dynptrs(d, 1+g.r.IntN(5))
	if commit != 0 {
		g.frameInto(1, d.at[g.r.IntN(len(d.at))])
		g.emit(moveImm(2, g.r.Int32N(3)), helper(commit))
		g.s.called(nothing)
		g.f.held--
	}
	g.s.forget(func(v value) bool { return v.of == d.id })
	for _, at := range d.at {
		g.ended(at, 16)
	}
}

// length puts a number of bytes in r, at most limit: a constant, or one that
// only the run knows.
func (g *generator) length(r prog.Reg, limit int32) {
	mask := int32(1)
	for 2*mask+1 <= limit {
		mask = 2*mask + 1
	}
	if src := g.source(); g.r.IntN(2) == 0 {
		if src != r {
			g.emit(move(r, src))
		}
		g.emit(aluImm(isa.ALU64, isa.And, r, mask))
	} else {
		g.emit(moveImm(r, 1+g.r.Int32N(limit)))
	}
	g.s.regs[r] = value{}
}

// offset puts an offset into a dynptr in r: mostly a small one.
func (g *generator) offset(r prog.Reg) {
	if src := g.source(); g.r.IntN(3) == 0 {
		if src != r {
			g.emit(move(r, src))
		}
		if g.r.IntN(4) > 0 {
			g.emit(aluImm(isa.ALU64, isa.And, r, 31))
		}
	} else {
		g.emit(moveImm(r, g.r.Int32N(24)))
	}
	g.s.regs[r] = value{}
}

// dynptrs writes n uses of d, and statements between them.
func (g *generator) dynptrs(d *dynptr, n int) {
	into := func(r prog.Reg) {
		if d.reg != 0 {
			g.emit(move(r, d.reg))
		} else {
			g.frameInto(r, d.at[g.r.IntN(len(d.at))])
		}
		g.s.regs[r] = value{}
	}
	memory := value{kind: memory, of: d.id, slice: d.packet, loose: true}
	for range n {
		switch g.r.IntN(9) {
		case 0:
			area, ok := g.area(16)
			if !ok {
				break
			}
			g.length(2, 16)
			g.reserved(2, func() { g.offset(4) })
			g.frameInto(1, area)
			into(3)
			g.emit(moveImm(5, 0), helper(dynptrRead))
			g.s.called(scalar)
		case 1:
			area, ok := g.area(16)
			if !ok {
				break
			}
			g.length(4, 16)
			g.reserved(4, func() { g.offset(2) })
			g.frameInto(3, area)
			into(1)
			g.emit(moveImm(5, 0), helper(dynptrWrite))
			g.s.called(scalar)
			if d.writing {
				g.s.forget(value.inPacket)
			}
		case 2:
			if !g.branchy() {
				break
			}
			g.offset(2)
			memory.size, memory.readOnly = 1+g.r.IntN(16), false
			into(1)
			g.emit(moveImm(3, int32(memory.size)), helper(dynptrData))
			g.s.called(nothing)
			g.found(memory)
		case 3, 4:
			if !g.branchy() {
				break
			}
			area, ok := g.area(16)
			if !ok {
				break
			}
			g.offset(2)
			memory.size, memory.readOnly = 1+g.r.IntN(16), g.r.IntN(2) == 0
			if g.r.IntN(2) == 0 {
				g.emit(moveImm(3, 0))
			} else {
				g.frameInto(3, area)
			}
			into(1)
			g.emit(moveImm(4, int32(memory.size)))
			g.kfunc(map[bool]string{true: "bpf_dynptr_slice", false: "bpf_dynptr_slice_rdwr"}[memory.readOnly])
			g.s.called(nothing)
			g.found(memory)
		case 5:
			into(1)
			which := g.r.IntN(3)
			g.kfunc([]string{"bpf_dynptr_size", "bpf_dynptr_is_null", "bpf_dynptr_is_rdonly"}[which])
			if which > 0 { // of a bool the kernel sets one byte of the register
				g.emit(aluImm(isa.ALU64, isa.And, 0, 255))
			}
			g.s.called(scalar)
		case 6:
			g.length(3, 64)
			g.reserved(3, func() { g.offset(2) })
			into(1)
			g.kfunc("bpf_dynptr_adjust")
			g.s.called(scalar)
		case 7:
			at, ok := g.room(16)
			if !ok || len(d.at) == 3 || g.f.loops > 0 || g.f.depth > 0 {
				break // what a branch makes is not there after it
			}
			into(1)
			g.frameInto(2, at)
			g.kfunc("bpf_dynptr_clone")
			g.s.called(scalar)
			if d.reg == 0 {
				d.at = append(d.at, at)
			}
			g.setSpecial(at, 16, special)
		default:
			g.nested(1 + g.r.IntN(2))
		}
	}
}

// reserved calls write, which does not overwrite r.
func (g *generator) reserved(r prog.Reg, write func()) {
	was := g.f.locked[r]
	g.f.locked[r] = true
	write()
	g.f.locked[r] = was
}
