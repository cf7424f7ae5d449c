package main

import (
	"math/rand/v2"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// mutant returns insns with a few changes: most are no programs, or refused.
func mutant(insns []prog.Insn, r *rand.Rand) []prog.Insn {
	e := &edit{insns: append([]prog.Insn(nil), insns...)}
	e.decode()
	c := &coder{r: r, regs: 10}
	for range 1 + r.IntN(5) {
		e.mutate(c)
	}
	return e.encode()
}

// mutate changes something somewhere.
func (e *edit) mutate(c *coder) {
	r := c.r
	pc := r.IntN(len(e.insns))
	if e.second(pc) {
		pc--
	}
	in := &e.insns[pc]
	class := in.Op & 7
	alu, jump := class == opALU || class == opALU64, (class == opJMP || class == opJMP32) && leads(*in) == byOff
	near := func() int { // a place close by
		t := max(0, min(pc+r.IntN(25)-8, len(e.insns)-1))
		if e.second(t) {
			t--
		}
		return t
	}
	reg := func() prog.Reg { // one that is in use
		if n := e.insns[max(0, pc-r.IntN(6))]; r.IntN(2) == 0 {
			return n.Src % 10
		} else {
			return n.Dst % 10
		}
	}
	c.pool = []uint8{uint8(reg()), uint8(reg()), uint8(reg()), uint8(reg())}
	switch r.IntN(14) {
	case 0, 1: // another register
		if r.IntN(2) == 0 {
			in.Dst = reg()
		} else if in.Op&opX != 0 || class == opSTX || class == opLDX {
			in.Src = reg()
		}
	case 2, 3: // another constant
		if in.Op == opCall {
			return
		}
		switch r.IntN(4) {
		case 0:
			in.Imm += int32(r.IntN(5)) - 2
		case 1:
			in.Imm ^= 1 << r.IntN(32)
		case 2:
			in.Imm = -in.Imm
		case 3:
			in.Imm = c.imm()
		}
		if alu && (in.Op&0xf0 == 0x60 || in.Op&0xf0 == 0x70 || in.Op&0xf0 == 0xc0) {
			in.Imm &= 63
		}
		if in.Op&opX != 0 {
			in.Imm = 0
		}
	case 4: // another operation
		switch {
		case alu && in.Op&0xf0 < 0xd0 && in.Op&0xf0 != 0x80:
			in.Op = in.Op&^0xf0 | aluOps[r.IntN(len(aluOps))]
		case jump && in.Op != opJMP:
			in.Op = c.condition().Op&0xf0 | in.Op&0x0f
		}
	case 5: // another width
		switch {
		case alu && in.Op&0xf0 == 0xd0:
			in.Imm = []int32{16, 32, 64}[r.IntN(3)]
		case alu:
			in.Op ^= opALU ^ opALU64
		case jump && in.Op != opJMP && in.Op != opJMP32:
			in.Op ^= opJMP ^ opJMP32
		case class == opLDX || class == opSTX || class == opST:
			in.Op = in.Op&^0x18 | []isa.Op{0, 8, 0x10, 0x18}[r.IntN(4)]
			if in.Op&0xe0 == modeMEM && class == opLDX && in.Op&0x18 != 0x18 && r.IntN(3) == 0 {
				in.Op ^= modeMEM ^ modeMEMSX
			}
		}
	case 6: // another place
		switch {
		case jump:
			e.target[pc] = near()
		case class == opLDX || class == opSTX || class == opST:
			in.Off += int16(r.IntN(9)) - 4
		}
	case 7: // a jump from here to there
		e.insert(pc, c.condition(), near())
	case 8: // once more
		if leads(*in) != nowhere || in.Op == opWide {
			return
		}
		e.insert(near(), *in, -2)
	case 9: // out
		n := 1
		if in.Op == opWide {
			n = 2
		}
		if len(e.insns) > n+2 {
			e.remove(pc, n)
		}
	case 10: // in another order
		if pc+1 < len(e.insns) && in.Op != opWide && e.insns[pc+1].Op != opWide && !e.second(pc) {
			e.insns[pc], e.insns[pc+1] = e.insns[pc+1], e.insns[pc]
			e.target[pc], e.target[pc+1] = e.target[pc+1], e.target[pc]
		}
	case 11, 12: // an idiom
		c.insns = nil
		c.idiom()
		for i := len(c.insns) - 1; i >= 0; i-- {
			to := -2
			if leads(c.insns[i]) == byOff {
				to = pc + int(c.insns[i].Off)
				if to > len(e.insns) {
					to = pc
				}
			}
			e.insert(pc, c.insns[i], to)
		}
	case 13: // what a register holds shows in the result
		for i := range e.insns {
			if e.insns[i].Op == opExit {
				e.insert(i, prog.Insn{Op: []isa.Op{opALU64, opALU}[r.IntN(2)] | []isa.Op{0, 0xa0}[r.IntN(2)] | opX, Dst: 0, Src: reg()}, -2)
				return
			}
		}
	}
}
