package amd64

// Multiplication, division and their sign extensions.

// MulR emits MUL src: RDX:RAX = RAX * src, unsigned (SDM vol. 2: F7 /4; 8-bit F6 /4, on AX).
func (a *Asm) MulR(w Width, src Reg) { a.ext(w, sized(w, 0xf6), 4, src) }

// MulM emits MUL src with src in memory.
func (a *Asm) MulM(w Width, src Mem) { a.extM(0, w, sized(w, 0xf6), 4, src) }

// Imul1R emits IMUL src: RDX:RAX = RAX * src, signed (SDM vol. 2: F7 /5; 8-bit F6 /5, on AX).
func (a *Asm) Imul1R(w Width, src Reg) { a.ext(w, sized(w, 0xf6), 5, src) }

// Imul1M emits IMUL src with src in memory.
func (a *Asm) Imul1M(w Width, src Mem) { a.extM(0, w, sized(w, 0xf6), 5, src) }

// DivR emits DIV src: RAX, RDX = RDX:RAX / src, RDX:RAX % src, unsigned; faults if src is 0 or the quotient does not fit (SDM vol. 2: F7 /6; 8-bit F6 /6, on AX).
func (a *Asm) DivR(w Width, src Reg) { a.ext(w, sized(w, 0xf6), 6, src) }

// DivM emits DIV src with src in memory.
func (a *Asm) DivM(w Width, src Mem) { a.extM(0, w, sized(w, 0xf6), 6, src) }

// IdivR emits IDIV src: the same as DIV, signed (SDM vol. 2: F7 /7; 8-bit F6 /7, on AX).
func (a *Asm) IdivR(w Width, src Reg) { a.ext(w, sized(w, 0xf6), 7, src) }

// IdivM emits IDIV src with src in memory.
func (a *Asm) IdivM(w Width, src Mem) { a.extM(0, w, sized(w, 0xf6), 7, src) }

// ImulRR emits IMUL dst, src: dst *= src; w is not W8 (SDM vol. 2: 0F AF /r).
func (a *Asm) ImulRR(w Width, dst, src Reg) { a.rr(0, w, esc(0xaf), dst, src) }

// ImulRM emits IMUL dst, src with a memory source; w is not W8.
func (a *Asm) ImulRM(w Width, dst Reg, src Mem) { a.rm(0, w, esc(0xaf), dst, src) }

// ImulRRI emits IMUL dst, src, imm: dst = src * imm; w is not W8 (6B /r ib,
// 69 /r).
func (a *Asm) ImulRRI(w Width, dst, src Reg, imm int32) {
	if fitsByte(w, imm) {
		a.rr(0, w, 0x6b, dst, src)
		a.Put(uint64(uint8(imm)), 1)
		return
	}
	a.rr(0, w, 0x69, dst, src)
	a.imm(w, imm)
}

// ImulRMI emits IMUL dst, src, imm with a memory source; w is not W8.
func (a *Asm) ImulRMI(w Width, dst Reg, src Mem, imm int32) {
	if fitsByte(w, imm) {
		a.rm(0, w, 0x6b, dst, src)
		a.Put(uint64(uint8(imm)), 1)
		return
	}
	a.rm(0, w, 0x69, dst, src)
	a.imm(w, imm)
}

// MulxRRR emits MULX hi, lo, src: hi:lo = RDX * src, unsigned, without touching
// the flags; w is W32 or W64 (SDM vol. 2: VEX.LZ.F2.0F38 F6 /r; BMI2).
func (a *Asm) MulxRRR(w Width, hi, lo, src Reg) { a.vex(w, 2, 3, 0xf6, hi, lo, src, nil) }

// Cdq emits CDQ: EDX = the sign of EAX (SDM vol. 2: 99).
func (a *Asm) Cdq() { a.Put(0x99, 1) }

// Cqo emits CQO: RDX = the sign of RAX (REX.W 99).
func (a *Asm) Cqo() { a.Put(0x9948, 2) }
