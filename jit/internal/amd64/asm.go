package amd64

import (
	"github.com/skepvm/skep/jit/internal/emit"
)

// An Asm writes instructions into its buffer. Labels, marks and Finish are the
// buffer's.
type Asm struct {
	*emit.Buffer
}

// NewAsm returns an Asm with an empty buffer.
func NewAsm() *Asm { return &Asm{emit.NewBuffer(forms, pad)} }

// Instruction format (SDM vol. 2, section 2.1; 2.2 for REX):
//
//	[66] [F0|F2|F3] [REX] opcode(1..3) ModRM [SIB] [disp8|disp32] [imm]
//
//	REX    0100 W R X B    W: 64-bit operands; R, X, B: bit 3 of reg, index, rm or base
//	ModRM  mod(2) reg(3) rm(3)
//	SIB    scale(2) index(3) base(3)
//
// All of it up to SIB has at most 8 bytes, so it is gathered in a uint64.

// An opcode is one to three opcode bytes, the first one lowest.
type opcode uint32

// esc returns the opcode 0F op.
func esc(op uint8) opcode { return 0x0f | opcode(op)<<8 }

// bits returns the size of the opcode.
func (o opcode) bits() uint {
	switch {
	case o > 0xffff:
		return 24
	case o > 0xff:
		return 16
	}
	return 8
}

const (
	prefix16   = 0x66
	prefixRep  = 0xf3
	prefixRepn = 0xf2
	prefixLock = 0xf0
)

// A head is an instruction up to SIB, under construction.
type head struct {
	v uint64
	n uint // bits
}

func (h *head) byte(b uint8) {
	h.v |= uint64(b) << h.n
	h.n += 8
}

func (h *head) opcode(o opcode) {
	h.v |= uint64(o) << h.n
	h.n += o.bits()
}

// rex returns the REX byte for the given operands, or 0 if none is needed.
// byteRegs is W8 if reg or rm is used as a byte register: without REX, numbers
// 4 to 7 would mean AH, CH, DH and BH.
func rex(w Width, reg, index, rm Reg) uint8 {
	r := uint8(reg>>3&1)<<2 | uint8(index>>3&1)<<1 | uint8(rm>>3&1)
	if w == W64 {
		r |= 8
	}
	if r != 0 {
		r |= 0x40
	}
	return r
}

// highByte reports whether a byte register needs REX to mean its low byte.
func highByte(r Reg) bool { return r-RSP < 4 }

// rr emits an instruction with two register operands. w says the operand size
// by prefix and REX.W; the opcode is as given.
func (a *Asm) rr(prefix uint8, w Width, op opcode, reg, rm Reg) {
	a.rrForce(prefix, w, op, reg, rm, w == W8 && (highByte(reg) || highByte(rm)))
}

// rrForce is rr with a REX byte even if it would be empty.
func (a *Asm) rrForce(prefix uint8, w Width, op opcode, reg, rm Reg, force bool) {
	var h head
	if w == W16 {
		h.byte(prefix16)
	}
	if prefix != 0 {
		h.byte(prefix)
	}
	if r := rex(w, reg, 0, rm); r != 0 {
		h.byte(r)
	} else if force {
		h.byte(0x40)
	}
	h.opcode(op)
	h.byte(0xc0 | uint8(reg&7)<<3 | uint8(rm&7))
	a.Put(h.v, int(h.n/8))
}

// ext emits an instruction whose reg field is an extension of the opcode.
func (a *Asm) ext(w Width, op opcode, ext uint8, rm Reg) {
	a.rrForce(0, w, op, Reg(ext), rm, w == W8 && highByte(rm))
}

// rm emits an instruction with a register and a memory operand.
func (a *Asm) rm(prefix uint8, w Width, op opcode, reg Reg, m Mem) {
	a.rmForce(prefix, w, op, reg, m, w == W8 && highByte(reg))
}

// extM emits an instruction with a memory operand, whose reg field is an
// extension of the opcode.
func (a *Asm) extM(prefix uint8, w Width, op opcode, ext uint8, m Mem) {
	a.rmForce(prefix, w, op, Reg(ext), m, false)
}

func (a *Asm) rmForce(prefix uint8, w Width, op opcode, reg Reg, m Mem, force bool) {
	var h head
	if w == W16 {
		h.byte(prefix16)
	}
	if prefix != 0 {
		h.byte(prefix)
	}
	var index, base Reg
	if m.index != noReg {
		index = m.index
	}
	if m.base != noReg {
		base = m.base
	}
	if r := rex(w, reg, index, base); r != 0 {
		h.byte(r)
	} else if force {
		h.byte(0x40)
	}
	h.opcode(op)
	a.modRM(h, reg, m)
}

// modRM completes h with ModRM, SIB and displacement.
//
// In ModRM, rm=100 means that SIB follows, so RSP and R12 as a base need one;
// mod=00 rm=101 means RIP+disp32, so RBP and R13 as a base need a displacement.
// In SIB, index=100 means none, and base=101 with mod=00 means none, disp32.
func (a *Asm) modRM(h head, reg Reg, m Mem) {
	r := uint8(reg&7) << 3
	if m.base == noReg {
		index := uint8(4)
		if m.index != noReg {
			index = uint8(m.index & 7)
		}
		h.byte(r | 4)
		h.byte(m.shift<<6 | index<<3 | 5)
		a.Put(h.v, int(h.n/8))
		a.Put(uint64(uint32(m.disp)), 4)
		return
	}
	var mod uint8
	size := 0
	switch {
	case m.disp == 0 && m.base&7 != RBP:
	case m.disp == int32(int8(m.disp)):
		mod, size = 0x40, 1
	default:
		mod, size = 0x80, 4
	}
	if m.index == noReg && m.base&7 != RSP {
		h.byte(mod | r | uint8(m.base&7))
	} else {
		index := uint8(4)
		if m.index != noReg {
			index = uint8(m.index & 7)
		}
		h.byte(mod | r | 4)
		h.byte(m.shift<<6 | index<<3 | uint8(m.base&7))
	}
	if size == 1 && h.n < 64 {
		h.byte(uint8(m.disp))
		size = 0
	}
	a.Put(h.v, int(h.n/8))
	if size > 0 {
		a.Put(uint64(uint32(m.disp)), size)
	}
}

// sized returns the opcode of the 8-bit form, or the next one for the others.
func sized(w Width, op opcode) opcode {
	if w == W8 {
		return op
	}
	if op > 0xff {
		return op + 0x100
	}
	return op + 1
}

// imm emits an immediate of the size that w takes: at most 32 bits.
func (a *Asm) imm(w Width, v int32) {
	switch w {
	case W8:
		a.Put(uint64(uint8(v)), 1)
	case W16:
		a.Put(uint64(uint16(v)), 2)
	default:
		a.Put(uint64(uint32(v)), 4)
	}
}

// fitsByte reports whether v, at width w, is its own low byte sign-extended.
func fitsByte(w Width, v int32) bool {
	if w == W16 {
		v = int32(int16(v))
	}
	return v == int32(int8(v))
}

// vex emits an instruction with the three-byte VEX prefix (SDM vol. 2, section
// 2.3): map 2 is 0F 38, 3 is 0F 3A; pp 1 is 66, 2 is F3, 3 is F2. m is the
// memory operand, or nil for the register rm.
func (a *Asm) vex(w Width, mmap, pp uint8, op uint8, reg, v, rm Reg, m *Mem) {
	var h head
	var index, base Reg
	if m == nil {
		base = rm
	} else {
		if m.index != noReg {
			index = m.index
		}
		if m.base != noReg {
			base = m.base
		}
	}
	var wbit uint8
	if w == W64 {
		wbit = 0x80
	}
	h.byte(0xc4)
	h.byte(^uint8(reg>>3&1<<2|index>>3&1<<1|base>>3&1)<<5 | mmap)
	h.byte(wbit | uint8(^v&15)<<3 | pp)
	h.byte(op)
	if m == nil {
		h.byte(0xc0 | uint8(reg&7)<<3 | uint8(rm&7))
		a.Put(h.v, int(h.n/8))
		return
	}
	a.modRM(h, reg, *m)
}
