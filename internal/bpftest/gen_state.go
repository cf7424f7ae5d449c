package bpftest

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// A kind is what a register holds.
type kind uint8

const (
	nothing kind = iota // unreadable
	scalar
	ctx
	packet // start of size bytes of packet
	memory // start of size bytes of a map value or of a caller's stack
)

type value struct {
	kind     kind
	size     int
	of       int // the record that it points into; 0: none
	readOnly bool
	lent     bool // part of a caller's stack
	slice    bool // part of the packet, and memory all the same
	loose    bool // may begin at any address
}

// inPacket reports whether v ends when the packet moves.
func (v value) inPacket() bool { return v.kind == packet || v.slice }

// like reports whether v and w are the same but for their size.
func (v value) like(w value) bool {
	v.size = w.size
	return v == w
}

// A byteKind is what a byte of the stack holds.
type byteKind uint8

const (
	unset byteKind = iota
	data
	spill   // part of a pointer
	special // part of an iterator or a dynptr
)

// A state is what the generator knows at one point of a function.
type state struct {
	regs   [prog.NumRegs]value
	stack  []byteKind    // from the bottom of the frame
	spills map[int]value // what spilled pointers are, by offset
}

func (s *state) clone() *state {
	c := &state{regs: s.regs, stack: slices.Clone(s.stack), spills: map[int]value{}}
	for k, v := range s.spills {
		c.spills[k] = v
	}
	return c
}

// join keeps what holds in both s and t.
func (s *state) join(t *state) {
	for r := range s.regs {
		a, b := s.regs[r], t.regs[r]
		if !a.like(b) {
			s.regs[r] = value{}
			continue
		}
		s.regs[r].size = min(a.size, b.size)
	}
	for i := range s.stack {
		if s.stack[i] != t.stack[i] {
			s.stack[i] = unset
		}
	}
	for off, a := range s.spills {
		b, ok := t.spills[off]
		if !ok || !a.like(b) || s.stack[off] != spill {
			s.drop(off)
			continue
		}
		a.size = min(a.size, b.size)
		s.spills[off] = a
	}
	for off := range s.stack {
		if s.stack[off] == spill {
			if _, ok := s.spills[off&^7]; !ok {
				s.stack[off] = unset
			}
		}
	}
}

// drop forgets a spilled pointer.
func (s *state) drop(off int) {
	delete(s.spills, off)
	for i := off; i < off+8; i++ {
		s.stack[i] = unset
	}
}

// forget drops every pointer for which dead holds.
func (s *state) forget(dead func(value) bool) {
	for r := range s.regs {
		if dead(s.regs[r]) {
			s.regs[r] = value{}
		}
	}
	for off, v := range s.spills {
		if dead(v) {
			s.drop(off)
		}
	}
}

// holds reports whether n bytes of the frame at off can be read as a scalar.
func (s *state) holds(off, n int) bool {
	for _, b := range s.stack[off : off+n] {
		if b != data {
			return false
		}
	}
	return true
}

// called forgets what a call clobbers.
func (s *state) called(result kind) {
	for r := 1; r <= 5; r++ {
		s.regs[r] = value{}
	}
	s.regs[0] = value{kind: result}
}

// pick returns a register for which ok holds; false if there is none.
func (g *generator) pick(ok func(r prog.Reg) bool) (prog.Reg, bool) {
	var regs []prog.Reg
	for r := prog.Reg(0); r < 10; r++ {
		if ok(r) {
			regs = append(regs, r)
		}
	}
	if len(regs) == 0 {
		return 0, false
	}
	return regs[g.r.IntN(len(regs))], true
}

// free reports whether the function may overwrite r. In a loop pointers that
// outlive an iteration stay where they are.
func (g *generator) free(r prog.Reg) bool {
	return !g.f.locked[r] && (g.f.loops == 0 || r <= 5 || g.s.regs[r].kind <= scalar)
}

// source returns a register that holds a scalar; it makes one if need be.
func (g *generator) source() prog.Reg {
	r, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind == scalar })
	if !ok {
		r = g.fresh()
		g.emit(moveImm(r, g.imm()))
		g.s.regs[r] = value{kind: scalar}
	}
	return r
}

// target returns a register that holds a scalar and may be overwritten.
func (g *generator) target() prog.Reg {
	r, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind == scalar && g.free(r) })
	if !ok {
		r = g.fresh()
		g.emit(moveImm(r, g.imm()))
		g.s.regs[r] = value{kind: scalar}
	}
	return r
}

// fresh returns a register that may be overwritten with a scalar; rather one
// that holds nothing.
func (g *generator) fresh() prog.Reg {
	if g.r.IntN(3) > 0 {
		if r, ok := g.pick(func(r prog.Reg) bool { return g.s.regs[r].kind == nothing && g.free(r) }); ok {
			return r
		}
	}
	r, _ := g.pick(g.free) // R0 to R5 are never locked for long
	return r
}

// scratch returns a register among R1 to R5, other than those in not, whose
// contents may be lost. It holds nothing afterwards.
func (g *generator) scratch(not ...prog.Reg) prog.Reg {
	ok := func(r prog.Reg) bool { return r >= 1 && r <= 5 && !g.f.locked[r] && !slices.Contains(not, r) }
	r, found := g.pick(func(r prog.Reg) bool { return ok(r) && g.s.regs[r].kind == nothing })
	if !found {
		r, _ = g.pick(ok)
	}
	g.s.regs[r] = value{}
	return r
}

// imm returns an immediate, often at an edge.
func (g *generator) imm() int32 {
	edges := []int32{0, 1, 2, -1, -2, 7, 8, 31, 32, 63, 127, 128, 255, -128, 32767, 65535, 1<<31 - 1, -1 << 31}
	switch g.r.IntN(3) {
	case 0:
		return edges[g.r.IntN(len(edges))]
	case 1:
		return g.r.Int32N(256) - 64
	}
	return int32(g.r.Uint32())
}

// stackOff turns a place in the frame into the offset from R10.
func (g *generator) stackOff(off int) int16 { return int16(off - g.f.frame) }

var exit = prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)}

func aluOp(c isa.Class, op isa.ALUOp, s isa.Source) isa.Op {
	return isa.Op(uint8(c) | uint8(op) | uint8(s))
}

func jumpOp(c isa.Class, op isa.JmpOp, s isa.Source) isa.Op {
	return isa.Op(uint8(c) | uint8(op) | uint8(s))
}

func memOp(c isa.Class, m isa.Mode, s isa.Size) isa.Op {
	return isa.Op(uint8(c) | uint8(m) | uint8(s))
}

func move(dst, src prog.Reg) prog.Insn {
	return prog.Insn{Op: aluOp(isa.ALU64, isa.Mov, isa.X), Dst: dst, Src: src}
}

func moveImm(dst prog.Reg, imm int32) prog.Insn {
	return prog.Insn{Op: aluOp(isa.ALU64, isa.Mov, isa.K), Dst: dst, Imm: imm}
}

func addImm(dst prog.Reg, imm int32) prog.Insn {
	return prog.Insn{Op: aluOp(isa.ALU64, isa.Add, isa.K), Dst: dst, Imm: imm}
}

func helper(id int32) prog.Insn {
	return prog.Insn{Op: jumpOp(isa.JMP, isa.Call, isa.K), Imm: id}
}
