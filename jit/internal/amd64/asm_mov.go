package amd64

// Moves, extensions, address computations and byte order.

// MovRR emits MOV dst, src (SDM vol. 2: 89 /r; 8-bit 88 /r).
func (a *Asm) MovRR(w Width, dst, src Reg) { a.rr(0, w, sized(w, 0x88), src, dst) }

// MovRM emits MOV dst, src with a memory source: a load (8B /r; 8-bit 8A /r).
// For bytes and words MovzxRM and MovsxRM are faster, since they write the
// whole register.
func (a *Asm) MovRM(w Width, dst Reg, src Mem) { a.rm(0, w, sized(w, 0x8a), dst, src) }

// MovMR emits MOV dst, src with a memory destination: a store.
func (a *Asm) MovMR(w Width, dst Mem, src Reg) { a.rm(0, w, sized(w, 0x88), src, dst) }

// MovMI emits MOV dst, imm: a store of an immediate, which is sign-extended at
// W64 (C7 /0; 8-bit C6 /0).
func (a *Asm) MovMI(w Width, dst Mem, imm int32) {
	a.extM(0, w, sized(w, 0xc6), 0, dst)
	a.imm(w, imm)
}

// MovRI makes dst = imm, all 64 bits, in the shortest way that leaves the
// flags alone: MOV r32, imm32 (B8+r), MOV r64, simm32 (REX.W C7 /0) or MOV r64,
// imm64 (REX.W B8+r).
func (a *Asm) MovRI(dst Reg, imm uint64) {
	b := uint64(dst >> 3)
	switch {
	case imm <= 0xffffffff:
		v, n := uint64(0xb8|dst&7), 1
		if b != 0 {
			v, n = 0x41|v<<8, 2
		}
		a.Put(v, n)
		a.Put(imm, 4)
	case imm == uint64(int64(int32(imm))):
		a.Put(0x48|b|0xc7<<8|uint64(0xc0|dst&7)<<16, 3)
		a.Put(imm, 4)
	default:
		a.Put(0x48|b|uint64(0xb8|dst&7)<<8, 2)
		a.Put(imm, 8)
	}
}

// ZeroR makes dst = 0, all 64 bits, in the shortest way: XOR r32, r32. It
// changes the flags.
func (a *Asm) ZeroR(dst Reg) { a.XorRR(W32, dst, dst) }

// MovzxRR makes dst = the low part of src of width from, all 64 bits: MOVZX
// (SDM vol. 2: 0F B6 /r, 0F B7 /r), or MOV for W32.
func (a *Asm) MovzxRR(from Width, dst, src Reg) {
	switch from {
	case W8:
		a.rrForce(0, W32, esc(0xb6), dst, src, highByte(src))
	case W16:
		a.rr(0, W32, esc(0xb7), dst, src)
	default:
		a.MovRR(from, dst, src)
	}
}

// MovzxRM makes dst = the memory of width from, zero-extended to 64 bits.
func (a *Asm) MovzxRM(from Width, dst Reg, src Mem) {
	switch from {
	case W8:
		a.rm(0, W32, esc(0xb6), dst, src)
	case W16:
		a.rm(0, W32, esc(0xb7), dst, src)
	default:
		a.MovRM(from, dst, src)
	}
}

// MovsxRR emits MOVSX or MOVSXD: dst = the low part of src of width from,
// sign-extended to width to, which is W32 or W64 and wider than from (SDM vol.
// 2: 0F BE /r, 0F BF /r, REX.W 63 /r).
func (a *Asm) MovsxRR(to, from Width, dst, src Reg) {
	switch from {
	case W8:
		a.rrForce(0, to, esc(0xbe), dst, src, highByte(src))
	case W16:
		a.rr(0, to, esc(0xbf), dst, src)
	default:
		a.rr(0, to, 0x63, dst, src)
	}
}

// MovsxRM emits MOVSX or MOVSXD with a memory source.
func (a *Asm) MovsxRM(to, from Width, dst Reg, src Mem) {
	switch from {
	case W8:
		a.rm(0, to, esc(0xbe), dst, src)
	case W16:
		a.rm(0, to, esc(0xbf), dst, src)
	default:
		a.rm(0, to, 0x63, dst, src)
	}
}

// XchgRR emits XCHG x, y: exchanges them (SDM vol. 2: 87 /r; 8-bit 86 /r; 90+r
// with the accumulator).
func (a *Asm) XchgRR(w Width, x, y Reg) {
	if w != W8 && (x == RAX || y == RAX) && !(w == W32 && x == y) {
		a.xchgAcc(w, x|y)
		return
	}
	a.rr(0, w, sized(w, 0x86), x, y)
}

// xchgAcc emits XCHG with the accumulator. For RAX itself that is NOP, 90; for
// EAX, XchgRR does not ask, since NOP would not clear the upper half.
func (a *Asm) xchgAcc(w Width, r Reg) {
	var h head
	if w == W64 && r == RAX {
		w = W32
	}
	if w == W16 {
		h.byte(prefix16)
	}
	if x := rex(w, 0, 0, r); x != 0 {
		h.byte(x)
	}
	h.byte(0x90 | uint8(r&7))
	a.Put(h.v, int(h.n/8))
}

// Lea emits LEA dst, m: dst = the address m, w wide; w is W32 or W64 (8D /r).
func (a *Asm) Lea(w Width, dst Reg, m Mem) { a.rm(0, w, 0x8d, dst, m) }

// BswapR emits BSWAP dst: reverses its bytes; w is W32 or W64 (SDM vol. 2: 0F
// C8+r). For 16 bits rotate by 8.
func (a *Asm) BswapR(w Width, dst Reg) {
	var h head
	if x := rex(w, 0, 0, dst); x != 0 {
		h.byte(x)
	}
	h.opcode(esc(0xc8 | uint8(dst&7)))
	a.Put(h.v, int(h.n/8))
}

// MovbeRM emits MOVBE dst, src: a load that reverses the bytes; w is not W8,
// and W16 leaves the upper bits of dst (SDM vol. 2: 0F 38 F0 /r).
func (a *Asm) MovbeRM(w Width, dst Reg, src Mem) { a.rm(0, w, 0xf0380f, dst, src) }

// MovbeMR emits MOVBE dst, src: a store that reverses the bytes; w is not W8
// (0F 38 F1 /r).
func (a *Asm) MovbeMR(w Width, dst Mem, src Reg) { a.rm(0, w, 0xf1380f, src, dst) }
