package amd64

// Two-operand arithmetic. The eight operations share their forms: opcode op and
// op+1 store to r/m, op+2 and op+3 to a register, op+4 and op+5 take an
// immediate for the accumulator; 80, 81 and 83 take one for r/m, with the
// operation in the reg field (SDM vol. 2, ADD and its like). All set the flags.

// aluRI emits operation n on a register and an immediate, shortest form first:
// sign-extended byte, accumulator, general.
func (a *Asm) aluRI(w Width, n uint8, dst Reg, imm int32) {
	switch {
	case w != W8 && fitsByte(w, imm):
		a.ext(w, 0x83, n, dst)
		a.Put(uint64(uint8(imm)), 1)
	case dst == RAX:
		a.accumulator(w, opcode(n<<3|4), imm)
	default:
		a.ext(w, sized(w, 0x80), n, dst)
		a.imm(w, imm)
	}
}

// accumulator emits the form of an operation that implies AL, AX, EAX or RAX.
func (a *Asm) accumulator(w Width, op opcode, imm int32) {
	var h head
	switch w {
	case W16:
		h.byte(prefix16)
	case W64:
		h.byte(0x48)
	}
	h.opcode(sized(w, op))
	a.Put(h.v, int(h.n/8))
	a.imm(w, imm)
}

// aluMI emits operation n on memory and an immediate.
func (a *Asm) aluMI(prefix uint8, w Width, n uint8, dst Mem, imm int32) {
	if w != W8 && fitsByte(w, imm) {
		a.extM(prefix, w, 0x83, n, dst)
		a.Put(uint64(uint8(imm)), 1)
		return
	}
	a.extM(prefix, w, sized(w, 0x80), n, dst)
	a.imm(w, imm)
}

// AddRR emits ADD dst, src: dst += src (SDM vol. 2: 01 /r; 8-bit 00 /r).
func (a *Asm) AddRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x00), src, dst) }

// AddRI emits ADD dst, imm; at W64 imm is sign-extended.
func (a *Asm) AddRI(w Width, dst Reg, imm int32) { a.aluRI(w, 0, dst, imm) }

// AddRM emits ADD dst, src with a memory source (03 /r; 02 /r).
func (a *Asm) AddRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x02), dst, src) }

// AddMR emits ADD dst, src with a memory destination.
func (a *Asm) AddMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x00), src, dst) }

// AddMI emits ADD dst, imm with a memory destination.
func (a *Asm) AddMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 0, dst, imm) }

// OrRR emits OR dst, src: dst |= src (SDM vol. 2: 09 /r; 8-bit 08 /r).
func (a *Asm) OrRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x08), src, dst) }

// OrRI emits OR dst, imm; at W64 imm is sign-extended.
func (a *Asm) OrRI(w Width, dst Reg, imm int32) { a.aluRI(w, 1, dst, imm) }

// OrRM emits OR dst, src with a memory source (0B /r; 0A /r).
func (a *Asm) OrRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x0a), dst, src) }

// OrMR emits OR dst, src with a memory destination.
func (a *Asm) OrMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x08), src, dst) }

// OrMI emits OR dst, imm with a memory destination.
func (a *Asm) OrMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 1, dst, imm) }

// AdcRR emits ADC dst, src: dst += src + carry (SDM vol. 2: 11 /r; 8-bit 10 /r).
func (a *Asm) AdcRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x10), src, dst) }

// AdcRI emits ADC dst, imm; at W64 imm is sign-extended.
func (a *Asm) AdcRI(w Width, dst Reg, imm int32) { a.aluRI(w, 2, dst, imm) }

// AdcRM emits ADC dst, src with a memory source (13 /r; 12 /r).
func (a *Asm) AdcRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x12), dst, src) }

// AdcMR emits ADC dst, src with a memory destination.
func (a *Asm) AdcMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x10), src, dst) }

// AdcMI emits ADC dst, imm with a memory destination.
func (a *Asm) AdcMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 2, dst, imm) }

// SbbRR emits SBB dst, src: dst -= src + carry (SDM vol. 2: 19 /r; 8-bit 18 /r).
func (a *Asm) SbbRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x18), src, dst) }

// SbbRI emits SBB dst, imm; at W64 imm is sign-extended.
func (a *Asm) SbbRI(w Width, dst Reg, imm int32) { a.aluRI(w, 3, dst, imm) }

// SbbRM emits SBB dst, src with a memory source (1B /r; 1A /r).
func (a *Asm) SbbRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x1a), dst, src) }

// SbbMR emits SBB dst, src with a memory destination.
func (a *Asm) SbbMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x18), src, dst) }

// SbbMI emits SBB dst, imm with a memory destination.
func (a *Asm) SbbMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 3, dst, imm) }

// AndRR emits AND dst, src: dst &= src (SDM vol. 2: 21 /r; 8-bit 20 /r).
func (a *Asm) AndRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x20), src, dst) }

// AndRI emits AND dst, imm; at W64 imm is sign-extended.
func (a *Asm) AndRI(w Width, dst Reg, imm int32) { a.aluRI(w, 4, dst, imm) }

// AndRM emits AND dst, src with a memory source (23 /r; 22 /r).
func (a *Asm) AndRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x22), dst, src) }

// AndMR emits AND dst, src with a memory destination.
func (a *Asm) AndMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x20), src, dst) }

// AndMI emits AND dst, imm with a memory destination.
func (a *Asm) AndMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 4, dst, imm) }

// SubRR emits SUB dst, src: dst -= src (SDM vol. 2: 29 /r; 8-bit 28 /r).
func (a *Asm) SubRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x28), src, dst) }

// SubRI emits SUB dst, imm; at W64 imm is sign-extended.
func (a *Asm) SubRI(w Width, dst Reg, imm int32) { a.aluRI(w, 5, dst, imm) }

// SubRM emits SUB dst, src with a memory source (2B /r; 2A /r).
func (a *Asm) SubRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x2a), dst, src) }

// SubMR emits SUB dst, src with a memory destination.
func (a *Asm) SubMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x28), src, dst) }

// SubMI emits SUB dst, imm with a memory destination.
func (a *Asm) SubMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 5, dst, imm) }

// XorRR emits XOR dst, src: dst ^= src (SDM vol. 2: 31 /r; 8-bit 30 /r).
func (a *Asm) XorRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x30), src, dst) }

// XorRI emits XOR dst, imm; at W64 imm is sign-extended.
func (a *Asm) XorRI(w Width, dst Reg, imm int32) { a.aluRI(w, 6, dst, imm) }

// XorRM emits XOR dst, src with a memory source (33 /r; 32 /r).
func (a *Asm) XorRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x32), dst, src) }

// XorMR emits XOR dst, src with a memory destination.
func (a *Asm) XorMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x30), src, dst) }

// XorMI emits XOR dst, imm with a memory destination.
func (a *Asm) XorMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 6, dst, imm) }

// CmpRR emits CMP dst, src: the flags of dst - src (SDM vol. 2: 39 /r; 8-bit 38 /r).
func (a *Asm) CmpRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x38), src, dst) }

// CmpRI emits CMP dst, imm; at W64 imm is sign-extended.
func (a *Asm) CmpRI(w Width, dst Reg, imm int32) { a.aluRI(w, 7, dst, imm) }

// CmpRM emits CMP dst, src with a memory source (3B /r; 3A /r).
func (a *Asm) CmpRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x3a), dst, src) }

// CmpMR emits CMP dst, src with a memory destination.
func (a *Asm) CmpMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x38), src, dst) }

// CmpMI emits CMP dst, imm with a memory destination.
func (a *Asm) CmpMI(w Width, dst Mem, imm int32) { a.aluMI(0, w, 7, dst, imm) }

// TestRR emits TEST x, y: the flags of x & y (SDM vol. 2: 85 /r; 8-bit 84 /r).
func (a *Asm) TestRR(w Width, x, y Reg) { a.rr(0, w, sized(w, 0x84), y, x) }

// TestRI emits TEST x, imm (F7 /0; A9 for the accumulator).
func (a *Asm) TestRI(w Width, x Reg, imm int32) {
	if x == RAX {
		a.accumulator(w, 0xa8, imm)
		return
	}
	a.ext(w, sized(w, 0xf6), 0, x)
	a.imm(w, imm)
}

// TestMR emits TEST x, y with x in memory.
func (a *Asm) TestMR(w Width, x Mem, y Reg) { a.rm(0, w, sized(w, 0x84), y, x) }

// TestMI emits TEST x, imm with x in memory.
func (a *Asm) TestMI(w Width, x Mem, imm int32) {
	a.extM(0, w, sized(w, 0xf6), 0, x)
	a.imm(w, imm)
}

// NotR emits NOT dst: dst = ^dst, without touching the flags (SDM vol. 2: F7 /2; 8-bit F6 /2).
func (a *Asm) NotR(w Width, dst Reg) { a.ext(w, sized(w, 0xf6), 2, dst) }

// NotM emits NOT dst on memory.
func (a *Asm) NotM(w Width, dst Mem) { a.extM(0, w, sized(w, 0xf6), 2, dst) }

// NegR emits NEG dst: dst = -dst (SDM vol. 2: F7 /3; 8-bit F6 /3).
func (a *Asm) NegR(w Width, dst Reg) { a.ext(w, sized(w, 0xf6), 3, dst) }

// NegM emits NEG dst on memory.
func (a *Asm) NegM(w Width, dst Mem) { a.extM(0, w, sized(w, 0xf6), 3, dst) }

// IncR emits INC dst: dst++, keeping the carry flag (SDM vol. 2: FF /0; 8-bit FE /0).
func (a *Asm) IncR(w Width, dst Reg) { a.ext(w, sized(w, 0xfe), 0, dst) }

// IncM emits INC dst on memory.
func (a *Asm) IncM(w Width, dst Mem) { a.extM(0, w, sized(w, 0xfe), 0, dst) }

// DecR emits DEC dst: dst--, keeping the carry flag (SDM vol. 2: FF /1; 8-bit FE /1).
func (a *Asm) DecR(w Width, dst Reg) { a.ext(w, sized(w, 0xfe), 1, dst) }

// DecM emits DEC dst on memory.
func (a *Asm) DecM(w Width, dst Mem) { a.extM(0, w, sized(w, 0xfe), 1, dst) }
