package main

import (
	"math/rand/v2"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Opcodes, as RFC 9669 has them.
const (
	opLD, opLDX, opST, opSTX, opALU, opJMP, opJMP32, opALU64 = 0, 1, 2, 3, 4, 5, 6, 7

	opX    = 8
	opWide = 0x18
	opCall = 0x85
	opExit = 0x95

	modeMEM, modeMEMSX, modeATOMIC = 0x60, 0x80, 0xc0
)

// A coder writes a program that computes on ten registers and sixteen slots of
// its stack, none of which anything is known of, and that leaves all of them in
// a map's value: idioms of compilers in full and in part, with jumps that lead
// from anywhere to anywhere after.
type coder struct {
	r     *rand.Rand
	insns []prog.Insn
	regs  int     // R0 up to there change
	pool  []uint8 // or these
}

const (
	codeSlots = 16
	codeValue = 256
)

// code returns the program that seed stands for. It refers to map 0, whose one
// value has codeValue bytes.
func code(seed uint64) []prog.Insn {
	c := &coder{r: rand.New(rand.NewPCG(seed, 0xc0de)), regs: 10}
	loop := c.r.IntN(3) == 0
	if loop {
		c.regs = 9 // R9 counts, or nothing does
	}
	// The map's value is 0 to 79: registers, 80 to 207: slots.
	c.value(1)
	for k := range codeSlots {
		c.emit(opLDX|modeMEM|0x18, 2, 1, int16(80+8*k), 0)
		c.emit(opSTX|modeMEM|0x18, 10, 2, int16(-8*(k+1)), 0)
	}
	for _, k := range []uint8{0, 2, 3, 4, 5, 6, 7, 8, 9, 1} {
		c.emit(opLDX|modeMEM|0x18, k, 1, int16(8*k), 0)
		if c.r.IntN(6) == 0 { // something is known
			c.known(k)
		}
	}
	body := len(c.insns)
	if loop {
		c.emit(opALU64|0xb0, 9, 0, 0, int32(1+c.r.IntN(4)))
		if c.r.IntN(3) == 0 {
			c.emit(opSTX|modeMEM|0x18, 10, 9, -136, 0)
		}
	}
	start := len(c.insns)
	for range 1 + c.r.IntN(24) {
		c.idiom()
	}
	end := len(c.insns)
	var back int
	if loop {
		c.emit(opALU64|0x10, 9, 0, 0, 1)
		if c.r.IntN(2) == 0 {
			c.insns[len(c.insns)-1] = prog.Insn{Op: opALU64, Dst: 9, Imm: -1}
		}
		back = len(c.insns)
		c.emit(isa.Op(opJMP|0x50), 9, 0, 0, 0) // != 0, to start
		if c.r.IntN(2) == 0 {
			c.insns[back].Op = opJMP32 | 0x50
		}
	}
	// All that there is goes to the map.
	tail := len(c.insns)
	for k := range 10 {
		c.emit(opSTX|modeMEM|0x18, 10, uint8(k), int16(-8*(codeSlots+2+k)), 0)
	}
	c.value(1)
	for k := range 10 {
		c.emit(opLDX|modeMEM|0x18, 0, 10, int16(-8*(codeSlots+2+k)), 0)
		c.emit(opSTX|modeMEM|0x18, 1, 0, int16(8*k), 0)
	}
	for k := range codeSlots {
		c.emit(opLDX|modeMEM|0x18, 0, 10, int16(-8*(k+1)), 0)
		c.emit(opSTX|modeMEM|0x18, 1, 0, int16(80+8*k), 0)
	}
	c.emit(opALU64|0xb0, 0, 0, 0, 2)
	c.emit(opExit, 0, 0, 0, 0)
	// Targets are places of the list so far; jumps come in after.
	e := edit{insns: c.insns}
	e.decode()
	if loop {
		e.target[back] = start
	}
	for range c.r.IntN(2 + (end-start)/4) {
		at := body + c.r.IntN(end-body+1)
		for e.second(at) {
			at++
		}
		to := min(at+c.r.IntN(14), tail)
		if c.r.IntN(3) == 0 {
			to = at + c.r.IntN(tail-at+1)
		}
		for e.second(to) {
			to++
		}
		e.insert(at, c.condition(), to)
		end++
		tail++
	}
	return e.encode()
}

func (c *coder) emit(op isa.Op, dst, src uint8, off int16, imm int32) {
	c.insns = append(c.insns, prog.Insn{Op: op, Dst: prog.Reg(dst), Src: prog.Reg(src), Off: off, Imm: imm})
}

// value leaves the address of the map's value in dst.
func (c *coder) value(dst uint8) {
	c.emit(opWide, dst, uint8(isa.PseudoMapValue), 0, 0)
	c.emit(0, 0, 0, 0, 0)
}

// reg returns a register that may change.
func (c *coder) reg() uint8 {
	if c.pool != nil {
		return c.any()
	}
	return uint8(c.r.IntN(c.regs))
}

// any returns a register that can be read.
func (c *coder) any() uint8 {
	if c.pool != nil {
		return c.pool[c.r.IntN(len(c.pool))]
	}
	return uint8(c.r.IntN(10))
}

func (c *coder) imm() int32 {
	switch c.r.IntN(6) {
	case 0:
		return int32(c.r.IntN(5)) - 2
	case 1:
		return 1 << c.r.IntN(32)
	case 2:
		return 1<<c.r.IntN(32) - 1
	case 3:
		return []int32{0x55555555, 0x33333333, 0x0f0f0f0f, 0x01010101, 0x00ff00ff, 0xffff, -0x10000, 0x7fffffff, -0x80000000}[c.r.IntN(9)]
	case 4:
		return int32(c.r.IntN(256))
	}
	return int32(c.r.Uint32())
}

// class returns ALU64, rarely ALU.
func (c *coder) class() isa.Op {
	if c.r.IntN(3) == 0 {
		return opALU
	}
	return opALU64
}

// known leaves something that the verifier can tell in register k.
func (c *coder) known(k uint8) {
	switch c.r.IntN(5) {
	case 0:
		c.emit(opALU64|0xb0, k, 0, 0, c.imm())
	case 1:
		c.emit(opALU64|0x50, k, 0, 0, int32(c.r.IntN(256)))
	case 2:
		c.emit(opALU|0xb8, k, k, 0, 0)
	case 3:
		c.emit(opALU64|0x70, k, 0, 0, int32(1+c.r.IntN(63)))
	case 4:
		c.emit(opALU64|0xc0, k, 0, 0, int32(1+c.r.IntN(63)))
	}
}

// condition returns a conditional jump.
func (c *coder) condition() prog.Insn {
	in := prog.Insn{Op: []isa.Op{opJMP, opJMP32}[c.r.IntN(2)], Dst: prog.Reg(c.any())}
	in.Op |= []isa.Op{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0}[c.r.IntN(11)]
	if c.r.IntN(2) == 0 {
		in.Op |= opX
		in.Src = prog.Reg(c.any())
	} else if in.Imm = c.imm(); c.r.IntN(3) == 0 {
		in.Imm = 0
	}
	return in
}

var aluOps = []isa.Op{0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xc0, 0xb0, 0x30, 0x90}

// alu emits one operation.
func (c *coder) alu() {
	op := aluOps[c.r.IntN(len(aluOps))]
	class := c.class()
	dst := c.reg()
	if c.r.IntN(2) == 0 {
		in := prog.Insn{Op: class | op | opX, Dst: prog.Reg(dst), Src: prog.Reg(c.any())}
		switch {
		case op == 0xb0 && c.r.IntN(3) == 0:
			in.Off = []int16{8, 16, 32}[c.r.IntN(map[isa.Op]int{opALU: 2, opALU64: 3}[class])]
		case (op == 0x30 || op == 0x90) && c.r.IntN(2) == 0:
			in.Off = 1
		}
		c.insns = append(c.insns, in)
		return
	}
	imm := c.imm()
	var off int16
	switch op {
	case 0x60, 0x70, 0xc0:
		imm &= map[isa.Op]int32{opALU: 31, opALU64: 63}[class]
	case 0x30, 0x90:
		if imm == 0 {
			imm = 7
		}
		off = int16(c.r.IntN(2))
	}
	c.emit(class|op, dst, 0, off, imm)
}

// idiom emits one of the sequences that compilers make, or part of one.
func (c *coder) idiom() {
	from := len(c.insns)
	x, y, z := c.reg(), c.reg(), c.any()
	class := c.class()
	n := map[isa.Op]int32{opALU: 32, opALU64: 64}[class]
	k := 1 + c.r.Int32N(n-1)
	near := func(v int32) int32 {
		if c.r.IntN(10) == 0 {
			return max(0, min(v+c.r.Int32N(5)-2, n-1))
		}
		return v
	}
	mov := func(dst, src uint8) { c.emit(class|0xb8, dst, src, 0, 0) }
	imm := func(op isa.Op, dst uint8, v int32) { c.emit(class|op, dst, 0, 0, v) }
	reg := func(op isa.Op, dst, src uint8) { c.emit(class|op|opX, dst, src, 0, 0) }
	slot := func() int16 { return int16(-8 * (1 + c.r.IntN(codeSlots))) }
	part := func(w int16) int16 { return w * int16(c.r.IntN(int(8/w))) } // of a slot
	size := func() (isa.Op, int16) {
		s := c.r.IntN(4)
		return []isa.Op{0x10, 0x08, 0x00, 0x18}[s], []int16{1, 2, 4, 8}[s]
	}
	switch c.r.IntN(34) {
	case 24, 25, 26, 27, 28, 29, 30, 31, 32:
		c.decision(x, y, z, class, near(n-1))
		return
	case 0: // rotation
		mov(y, x)
		imm(0x60, x, k)
		imm(0x70, y, near(n-k))
		reg([]isa.Op{0x40, 0xa0, 0x00}[c.r.IntN(3)], x, y)
	case 1: // by a register
		mov(y, x)
		reg(0x60, x, z)
		imm(0x80, z%uint8(c.regs), 0)
		reg(0x70, y, z)
		reg(0x40, x, y)
	case 2: // extension by shifts
		imm(0x60, x, k)
		imm([]isa.Op{0x70, 0xc0}[c.r.IntN(2)], x, near(k))
	case 3: // bytes
		c.emit([]isa.Op{0xd4, 0xdc, 0xd7}[c.r.IntN(3)], x, 0, 0, []int32{16, 32, 64}[c.r.IntN(3)])
		if c.r.IntN(2) == 0 {
			imm(0x70, x, near(n-16))
		}
	case 4: // a load, and its bytes turned
		s, w := size()
		c.emit(opLDX|modeMEM|s, x, 10, slot()+part(w), 0)
		if c.r.IntN(2) == 0 {
			c.alu()
		}
		c.emit([]isa.Op{0xdc, 0xd7, 0xd4}[c.r.IntN(3)], x, 0, 0, []int32{16, 32, 64}[c.r.IntN(3)])
	case 5: // a choice
		j := c.condition()
		j.Off = int16(1 + c.r.IntN(2))
		c.insns = append(c.insns, j)
		mov(x, z)
		if c.r.IntN(2) == 0 {
			c.alu()
		}
	case 6: // one of two
		j := c.condition()
		j.Off = 2
		c.insns = append(c.insns, j)
		mov(x, z)
		c.emit(opJMP, 0, 0, 1, 0)
		imm(0xb0, x, c.imm())
	case 7: // 0 or 1
		imm(0xb0, x, int32(c.r.IntN(2)))
		j := c.condition()
		j.Off = 1
		c.insns = append(c.insns, j)
		imm(0xb0, x, int32(c.r.IntN(2)))
		reg([]isa.Op{0x00, 0x10, 0x40, 0xa0}[c.r.IntN(4)], y, x)
	case 8: // population count
		c.ones(x, y, n, imm, reg, mov)
	case 9: // leading zeros
		for s := int32(1); s < n; s *= 2 {
			mov(y, x)
			imm(0x70, y, near(s))
			reg(0x40, x, y)
		}
		if c.r.IntN(2) == 0 {
			imm(0xa0, x, -1)
			c.ones(x, y, n, imm, reg, mov)
		}
	case 10: // divisions
		d := []int32{3, 5, 7, 10, 641, 1000, 65537, 1, 2, 64, -1, -3, -10, 0x7fffffff, -0x80000000, 6, 12, 28}[c.r.IntN(18)]
		if c.r.IntN(3) == 0 {
			if d = c.imm(); d == 0 {
				d = 9
			}
		}
		off := int16(c.r.IntN(2))
		mov(y, x)
		c.emit(class|0x30, x, 0, off, d)
		if c.r.IntN(2) == 0 { // a remainder by hand
			c.emit(class|0x20, x, 0, 0, d)
			reg(0x10, y, x)
		} else {
			c.emit(class|0x90, y, 0, off, d)
		}
	case 11: // folds of a checksum
		mov(y, x)
		imm(0x70, y, near(16))
		imm(0x50, x, []int32{0xffff, 0xfffe, 0x1ffff}[max(0, c.r.IntN(8)-5)])
		reg(0x00, x, y)
	case 12: // a carry
		reg(0x00, x, z)
		mov(y, x)
		j := prog.Insn{Op: isa.Op(opJMP | 0xa0 | opX), Dst: prog.Reg(x), Src: prog.Reg(z), Off: 1}
		imm(0xb0, y, 1)
		c.insns = append(c.insns, j)
		imm(0xb0, y, 0)
		reg(0x00, x, y)
	case 13: // narrow and wide
		s, w := size()
		at := slot()
		c.emit(opSTX|modeMEM|s, 10, z, at+part(w), 0)
		s, w = size()
		mode := isa.Op(modeMEM)
		if w < 8 && c.r.IntN(3) == 0 {
			mode = modeMEMSX
		}
		c.emit(opLDX|mode|s, x, 10, at+part(w), 0)
	case 14: // a constant stored
		s, w := size()
		at := slot()
		c.emit(opST|modeMEM|s, 10, 0, at+part(w), c.imm())
		c.emit(opLDX|modeMEM|0x18, x, 10, at, 0)
	case 15: // a slot changed
		at := slot()
		s := []isa.Op{0, 0x18}[c.r.IntN(2)]
		c.emit(opLDX|modeMEM|s, x, 10, at, 0)
		if c.r.IntN(2) == 0 {
			imm(aluOps[c.r.IntN(9)], x, k)
		} else {
			reg(aluOps[c.r.IntN(9)], x, z)
		}
		c.emit(opSTX|modeMEM|s, 10, x, at, 0)
	case 16: // a bit
		switch c.r.IntN(3) {
		case 0:
			imm(0x70, x, k)
			imm(0x50, x, 1)
		case 1:
			mov(y, z)
			imm(0x50, y, 1<<c.r.IntN(31))
			c.emit(opJMP|[]isa.Op{0x10, 0x50}[c.r.IntN(2)], y, 0, 1, 0)
			c.alu()
		case 2:
			imm(0xb0, y, 1)
			reg(0x60, y, z)
			reg([]isa.Op{0x50, 0x40, 0xa0}[c.r.IntN(3)], x, y)
		}
	case 17: // absolute value, sign
		mov(y, x)
		imm(0xc0, y, near(n-1))
		reg([]isa.Op{0xa0, 0x00}[c.r.IntN(2)], x, y)
		reg([]isa.Op{0x10, 0xa0}[c.r.IntN(2)], x, y)
	case 18: // a sum, scaled
		mov(y, z)
		imm(0x60, y, c.r.Int32N(4))
		reg(0x00, y, x)
		imm(0x00, y, c.imm())
	case 19: // 32 bits of 64
		c.emit(opALU|0xb8, x, z, 0, 0)
		imm(0x60, x, min(32, n-1))
		imm([]isa.Op{0x70, 0xc0}[c.r.IntN(2)], x, min(32, n-1))
	case 20: // a wide constant
		v := c.r.Uint64() >> c.r.IntN(64)
		c.emit(opWide, x, 0, 0, int32(v))
		c.emit(0, 0, 0, 0, int32(v>>32))
		reg(aluOps[c.r.IntN(9)], y, x)
	case 21: // an atomic operation on a slot
		at := slot()
		code := []int32{0, 0x40, 0x50, 0xa0, 1, 0x41, 0x51, 0xa1, 0xe1, 0xf1}[c.r.IntN(10)]
		c.emit(opSTX|modeATOMIC|[]isa.Op{0, 0x18}[c.r.IntN(2)], 10, x, at, code)
	case 22: // an address in the frame, by what is in a register
		mov64 := isa.Op(opALU64 | 0xb8)
		s := isa.Op(0x10) // a byte
		if x == y {
			return
		}
		c.emit(mov64, x, z, 0, 0)
		c.emit(opALU64|0x50, x, 0, 0, int32(codeSlots-2))
		if c.r.IntN(2) == 0 {
			s, _ = size()
			c.emit(opALU64|0x60, x, 0, 0, 3)
		}
		c.emit(mov64, y, 10, 0, 0)
		c.emit(opALU64|opX, y, x, 0, 0)
		if c.r.IntN(2) == 0 {
			c.emit(opLDX|modeMEM|s, y, y, -codeSlots*8, 0)
		} else {
			if z != y {
				c.emit(opSTX|modeMEM|s, y, z, -codeSlots*8, 0)
			}
			c.emit(opALU64|0xb0, y, 0, 0, c.imm())
		}
		return // no part of it: pointers are not to be left
	default:
		for range 1 + c.r.IntN(4) {
			c.alu()
		}
	}
	c.part(from)
}

// decision emits what compilers make of small conditions: tests of what was just
// computed, carries, least and greatest, absolute values, comparisons in memory.
func (c *coder) decision(x, y, z uint8, class isa.Op, k int32) {
	skip := func(op isa.Op, dst, src uint8, off int16) { // if dst op src goto +off
		c.emit(c.jump()|op|opX, dst, src, off, 0)
	}
	comparison := func() isa.Op {
		return []isa.Op{0x10, 0x20, 0x30, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0, 0x40}[c.r.IntN(11)]
	}
	something := func() { // one instruction
		switch c.r.IntN(5) {
		case 0:
			c.emit(class|0xb8, x, z, 0, 0)
		case 1:
			c.emit(class|0xb0, y, 0, 0, int32(c.r.IntN(3))-1)
		case 2:
			c.emit(class, y, 0, 0, []int32{1, -1, 2, 1 << 20}[c.r.IntN(4)])
		case 3:
			c.emit(class|[]isa.Op{0, 0x10, 0xa0, 0x40, 0x50}[c.r.IntN(5)]|opX, x, z, 0, 0)
		default:
			c.alu()
		}
	}
	switch c.r.IntN(9) {
	case 0, 1: // what was just computed, and a constant
		c.alu()
		dst := uint8(c.insns[len(c.insns)-1].Dst)
		if c.r.IntN(3) == 0 {
			c.emit(class|0xb0, y, 0, 0, int32(c.r.IntN(2)))
		}
		c.emit(c.jump()|comparison(), dst, 0, int16(1+c.r.IntN(2)), []int32{0, 0, 0, 1, -1}[c.r.IntN(5)])
		something()
	case 2: // the carry of a sum
		c.emit(class|opX, x, z, 0, 0)
		w := c.any()
		if c.r.IntN(4) > 0 {
			w = z
		}
		if c.r.IntN(2) == 0 {
			c.emit(class|0xb0, y, 0, 0, int32(c.r.IntN(2)))
		}
		skip([]isa.Op{0xa0, 0x30, 0x20, 0xb0}[c.r.IntN(4)], x, w, 1)
		c.emit(class|[]isa.Op{0xb0, 0}[c.r.IntN(2)], y, 0, 0, []int32{1, 0, -1}[c.r.IntN(3)])
		c.emit(class|[]isa.Op{0, 0x10}[c.r.IntN(2)]|opX, []uint8{x, z}[c.r.IntN(2)]%uint8(c.regs), y, 0, 0)
	case 3: // with its limit
		c.emit(class|[]isa.Op{0, 0x10}[c.r.IntN(2)]|opX, x, z, 0, 0)
		skip(comparison(), x, z, 1)
		c.emit(class|0xb0, x, 0, 0, []int32{-1, 0, 0x7fffffff}[c.r.IntN(3)])
	case 4: // least and greatest
		skip(comparison(), x, z, 1)
		c.emit(class|0xb8, x, z, 0, 0)
	case 5: // absolute value
		c.emit(c.jump()|[]isa.Op{0x60, 0x70, 0xc0, 0xd0}[c.r.IntN(4)], x, 0, 1, []int32{0, -1, 1}[c.r.IntN(3)])
		c.emit(class|0x80, x, 0, 0, 0)
	case 6: // in memory
		s := c.r.IntN(4)
		mode := isa.Op(modeMEM)
		if s < 3 && c.r.IntN(4) == 0 {
			mode = modeMEMSX
		}
		c.emit(opLDX|mode|[]isa.Op{0x10, 0x08, 0x00, 0x18}[s], x, 10, int16(-8*(1+c.r.IntN(codeSlots))), 0)
		if c.r.IntN(2) == 0 {
			c.emit(c.jump()|comparison(), x, 0, int16(1+c.r.IntN(2)), c.imm())
		} else {
			skip(comparison(), []uint8{x, z}[c.r.IntN(2)], []uint8{z, x}[c.r.IntN(2)], int16(1+c.r.IntN(2)))
		}
		something()
	case 7: // two at once
		skip(comparison(), z, c.any(), 2)
		something()
		something()
	case 8: // one within the other
		skip(comparison(), x, z, 3)
		something()
		c.emit(c.jump()|comparison(), y, 0, 1, k)
		something()
	}
	if c.r.IntN(2) == 0 {
		something()
	}
}

func (c *coder) jump() isa.Op { return []isa.Op{opJMP, opJMP32}[c.r.IntN(2)] }

// part leaves out an instruction of what came after from, or doubles it.
func (c *coder) part(from int) {
	if len(c.insns)-from < 2 || c.r.IntN(8) > 0 {
		return
	}
	k := from + c.r.IntN(len(c.insns)-from)
	for i := from; i < len(c.insns); i++ {
		in := c.insns[i]
		if in.Op == opWide || in.Op&7 == opJMP || in.Op&7 == opJMP32 {
			return
		}
	}
	if c.r.IntN(2) == 0 {
		c.insns = append(c.insns[:k], c.insns[k+1:]...)
		return
	}
	c.insns = append(c.insns, c.insns[k])
}

// ones counts the ones of x.
func (c *coder) ones(x, y uint8, n int32, imm func(isa.Op, uint8, int32), reg func(isa.Op, uint8, uint8), mov func(_, _ uint8)) {
	z := c.reg()
	mask := func(dst uint8, v uint64) {
		if n == 32 {
			imm(0x50, dst, int32(v))
			return
		}
		c.emit(opWide, z, 0, 0, int32(v))
		c.emit(0, 0, 0, 0, int32(v>>32))
		reg(0x50, dst, z)
	}
	if x == y || z == x || z == y {
		c.alu()
		return
	}
	mov(y, x)
	imm(0x70, y, 1)
	mask(y, 0x5555555555555555)
	reg(0x10, x, y)
	mov(y, x)
	mask(y, 0x3333333333333333)
	imm(0x70, x, 2)
	mask(x, 0x3333333333333333)
	reg(0x00, y, x)
	mov(x, y)
	imm(0x70, x, 4)
	reg(0x00, y, x)
	mask(y, 0x0f0f0f0f0f0f0f0f)
	if n == 32 {
		imm(0x20, y, 0x01010101)
		imm(0x70, y, 24)
		return
	}
	v := uint64(0x0101010101010101)
	c.emit(opWide, z, 0, 0, int32(v&0xffffffff))
	c.emit(0, 0, 0, 0, int32(v>>32))
	reg(0x20, y, z)
	imm(0x70, y, 56)
}
