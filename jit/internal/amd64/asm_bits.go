package amd64

// Shifts, rotates and bit operations.

// shiftRI emits C1 /n ib or D1 /n; 8-bit C0 and D0.
func (a *Asm) shiftRI(w Width, n uint8, dst Reg, count uint8) {
	if count == 1 {
		a.ext(w, sized(w, 0xd0), n, dst)
		return
	}
	a.ext(w, sized(w, 0xc0), n, dst)
	a.Put(uint64(count), 1)
}

// shiftMI is shiftRI on memory.
func (a *Asm) shiftMI(w Width, n uint8, dst Mem, count uint8) {
	if count == 1 {
		a.extM(0, w, sized(w, 0xd0), n, dst)
		return
	}
	a.extM(0, w, sized(w, 0xc0), n, dst)
	a.Put(uint64(count), 1)
}

// RolRI emits ROL dst, count: rotates dst left. The CPU masks count to 6 bits at W64, else
// to 5 (SDM vol. 2: C1 /0 ib, D1 /0).
func (a *Asm) RolRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 0, dst, count) }

// RolRCL emits ROL dst, CL (D3 /0).
func (a *Asm) RolRCL(w Width, dst Reg) { a.ext(w, sized(w, 0xd2), 0, dst) }

// RolMI emits ROL dst, count on memory.
func (a *Asm) RolMI(w Width, dst Mem, count uint8) { a.shiftMI(w, 0, dst, count) }

// RolMCL emits ROL dst, CL on memory.
func (a *Asm) RolMCL(w Width, dst Mem) { a.extM(0, w, sized(w, 0xd2), 0, dst) }

// RorRI emits ROR dst, count: rotates dst right. The CPU masks count to 6 bits at W64, else
// to 5 (SDM vol. 2: C1 /1 ib, D1 /1).
func (a *Asm) RorRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 1, dst, count) }

// RorRCL emits ROR dst, CL (D3 /1).
func (a *Asm) RorRCL(w Width, dst Reg) { a.ext(w, sized(w, 0xd2), 1, dst) }

// RorMI emits ROR dst, count on memory.
func (a *Asm) RorMI(w Width, dst Mem, count uint8) { a.shiftMI(w, 1, dst, count) }

// RorMCL emits ROR dst, CL on memory.
func (a *Asm) RorMCL(w Width, dst Mem) { a.extM(0, w, sized(w, 0xd2), 1, dst) }

// RcrRI emits RCR dst, count: rotates the carry flag and dst, as one number, right; quick
// by 1 only (SDM vol. 2: C1 /3 ib, D1 /3).
func (a *Asm) RcrRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 3, dst, count) }

// ShlRI emits SHL dst, count: dst <<= count. The CPU masks count to 6 bits at W64, else
// to 5 (SDM vol. 2: C1 /4 ib, D1 /4).
func (a *Asm) ShlRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 4, dst, count) }

// ShlRCL emits SHL dst, CL (D3 /4).
func (a *Asm) ShlRCL(w Width, dst Reg) { a.ext(w, sized(w, 0xd2), 4, dst) }

// ShlMI emits SHL dst, count on memory.
func (a *Asm) ShlMI(w Width, dst Mem, count uint8) { a.shiftMI(w, 4, dst, count) }

// ShlMCL emits SHL dst, CL on memory.
func (a *Asm) ShlMCL(w Width, dst Mem) { a.extM(0, w, sized(w, 0xd2), 4, dst) }

// ShrRI emits SHR dst, count: dst >>= count, unsigned. The CPU masks count to 6 bits at W64, else
// to 5 (SDM vol. 2: C1 /5 ib, D1 /5).
func (a *Asm) ShrRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 5, dst, count) }

// ShrRCL emits SHR dst, CL (D3 /5).
func (a *Asm) ShrRCL(w Width, dst Reg) { a.ext(w, sized(w, 0xd2), 5, dst) }

// ShrMI emits SHR dst, count on memory.
func (a *Asm) ShrMI(w Width, dst Mem, count uint8) { a.shiftMI(w, 5, dst, count) }

// ShrMCL emits SHR dst, CL on memory.
func (a *Asm) ShrMCL(w Width, dst Mem) { a.extM(0, w, sized(w, 0xd2), 5, dst) }

// SarRI emits SAR dst, count: dst >>= count, signed. The CPU masks count to 6 bits at W64, else
// to 5 (SDM vol. 2: C1 /7 ib, D1 /7).
func (a *Asm) SarRI(w Width, dst Reg, count uint8) { a.shiftRI(w, 7, dst, count) }

// SarRCL emits SAR dst, CL (D3 /7).
func (a *Asm) SarRCL(w Width, dst Reg) { a.ext(w, sized(w, 0xd2), 7, dst) }

// SarMI emits SAR dst, count on memory.
func (a *Asm) SarMI(w Width, dst Mem, count uint8) { a.shiftMI(w, 7, dst, count) }

// SarMCL emits SAR dst, CL on memory.
func (a *Asm) SarMCL(w Width, dst Mem) { a.extM(0, w, sized(w, 0xd2), 7, dst) }

// ShldRRI emits SHLD dst, src, count: dst <<= count, filled from the top of src; w is not W8 (SDM vol. 2: 0F A4 /r ib).
func (a *Asm) ShldRRI(w Width, dst, src Reg, count uint8) {
	a.rr(0, w, esc(0xa4), src, dst)
	a.Put(uint64(count), 1)
}

// ShldRRCL emits SHLD dst, src, CL (0F A5 /r).
func (a *Asm) ShldRRCL(w Width, dst, src Reg) { a.rr(0, w, esc(0xa5), src, dst) }

// ShrdRRI emits SHRD dst, src, count: dst >>= count, filled from the bottom of src; w is not W8 (SDM vol. 2: 0F AC /r ib).
func (a *Asm) ShrdRRI(w Width, dst, src Reg, count uint8) {
	a.rr(0, w, esc(0xac), src, dst)
	a.Put(uint64(count), 1)
}

// ShrdRRCL emits SHRD dst, src, CL (0F AD /r).
func (a *Asm) ShrdRRCL(w Width, dst, src Reg) { a.rr(0, w, esc(0xad), src, dst) }

// ShlxRRR emits SHLX dst, src, count: dst = src << count, count masked as in SHL,
// without touching the flags; w is W32 or W64 (SDM vol. 2: VEX.LZ.66.0F38 F7
// /r; BMI2).
func (a *Asm) ShlxRRR(w Width, dst, src, count Reg) { a.vex(w, 2, 1, 0xf7, dst, count, src, nil) }

// ShlxRMR emits SHLX dst, src, count with a memory source.
func (a *Asm) ShlxRMR(w Width, dst Reg, src Mem, count Reg) {
	a.vex(w, 2, 1, 0xf7, dst, count, 0, &src)
}

// SarxRRR emits SARX dst, src, count: dst = src >> count, signed, count masked as in SAR,
// without touching the flags; w is W32 or W64 (SDM vol. 2: VEX.LZ.F3.0F38 F7
// /r; BMI2).
func (a *Asm) SarxRRR(w Width, dst, src, count Reg) { a.vex(w, 2, 2, 0xf7, dst, count, src, nil) }

// SarxRMR emits SARX dst, src, count with a memory source.
func (a *Asm) SarxRMR(w Width, dst Reg, src Mem, count Reg) {
	a.vex(w, 2, 2, 0xf7, dst, count, 0, &src)
}

// ShrxRRR emits SHRX dst, src, count: dst = src >> count, unsigned, count masked as in SHR,
// without touching the flags; w is W32 or W64 (SDM vol. 2: VEX.LZ.F2.0F38 F7
// /r; BMI2).
func (a *Asm) ShrxRRR(w Width, dst, src, count Reg) { a.vex(w, 2, 3, 0xf7, dst, count, src, nil) }

// ShrxRMR emits SHRX dst, src, count with a memory source.
func (a *Asm) ShrxRMR(w Width, dst Reg, src Mem, count Reg) {
	a.vex(w, 2, 3, 0xf7, dst, count, 0, &src)
}

// RorxRRI emits RORX dst, src, count: dst = src rotated right, without touching
// the flags; w is W32 or W64 (SDM vol. 2: VEX.LZ.F2.0F3A F0 /r ib; BMI2).
func (a *Asm) RorxRRI(w Width, dst, src Reg, count uint8) {
	a.vex(w, 3, 3, 0xf0, dst, 0, src, nil)
	a.Put(uint64(count), 1)
}

// RorxRMI emits RORX dst, src, count with a memory source.
func (a *Asm) RorxRMI(w Width, dst Reg, src Mem, count uint8) {
	a.vex(w, 3, 3, 0xf0, dst, 0, 0, &src)
	a.Put(uint64(count), 1)
}

// AndnRRR emits ANDN dst, x, y: dst = ^x & y; w is W32 or W64 (SDM vol. 2:
// VEX.LZ.0F38 F2 /r; BMI1).
func (a *Asm) AndnRRR(w Width, dst, x, y Reg) { a.vex(w, 2, 0, 0xf2, dst, x, y, nil) }

// BzhiRRR emits BZHI dst, src, n: dst = the low n bits of src; w is W32 or W64
// (SDM vol. 2: VEX.LZ.0F38 F5 /r; BMI2).
func (a *Asm) BzhiRRR(w Width, dst, src, n Reg) { a.vex(w, 2, 0, 0xf5, dst, n, src, nil) }

// BextrRRR emits BEXTR dst, src, ctl: dst = as many bits of src as byte 1 of ctl
// says, from bit ctl[7:0] on; w is W32 or W64 (SDM vol. 2: VEX.LZ.0F38 F7 /r;
// BMI1).
func (a *Asm) BextrRRR(w Width, dst, src, ctl Reg) { a.vex(w, 2, 0, 0xf7, dst, ctl, src, nil) }

// BlsrRR emits BLSR dst, src: dst = src without its lowest set bit; w is W32 or
// W64 (SDM vol. 2: VEX.LZ.0F38 F3 /1; BMI1).
func (a *Asm) BlsrRR(w Width, dst, src Reg) { a.vex(w, 2, 0, 0xf3, 1, dst, src, nil) }

// BlsmskRR emits BLSMSK dst, src: dst = src up to its lowest set bit (F3 /2).
func (a *Asm) BlsmskRR(w Width, dst, src Reg) { a.vex(w, 2, 0, 0xf3, 2, dst, src, nil) }

// BlsiRR emits BLSI dst, src: dst = the lowest set bit of src (F3 /3).
func (a *Asm) BlsiRR(w Width, dst, src Reg) { a.vex(w, 2, 0, 0xf3, 3, dst, src, nil) }

// PopcntRR emits POPCNT dst, src: dst = how many bits of src are set;
// w is not W8 (SDM vol. 2: F3 0F B8 /r).
func (a *Asm) PopcntRR(w Width, dst, src Reg) { a.rr(prefixRep, w, esc(0xb8), dst, src) }

// PopcntRM emits POPCNT dst, src with a memory source.
func (a *Asm) PopcntRM(w Width, dst Reg, src Mem) { a.rm(prefixRep, w, esc(0xb8), dst, src) }

// TzcntRR emits TZCNT dst, src: dst = how many low bits of src are clear; BMI1;
// w is not W8 (SDM vol. 2: F3 0F BC /r).
func (a *Asm) TzcntRR(w Width, dst, src Reg) { a.rr(prefixRep, w, esc(0xbc), dst, src) }

// TzcntRM emits TZCNT dst, src with a memory source.
func (a *Asm) TzcntRM(w Width, dst Reg, src Mem) { a.rm(prefixRep, w, esc(0xbc), dst, src) }

// LzcntRR emits LZCNT dst, src: dst = how many high bits of src are clear;
// w is not W8 (SDM vol. 2: F3 0F BD /r).
func (a *Asm) LzcntRR(w Width, dst, src Reg) { a.rr(prefixRep, w, esc(0xbd), dst, src) }

// LzcntRM emits LZCNT dst, src with a memory source.
func (a *Asm) LzcntRM(w Width, dst Reg, src Mem) { a.rm(prefixRep, w, esc(0xbd), dst, src) }

// BsfRR emits BSF dst, src: dst = the index of the lowest set bit of src, which is not 0;
// w is not W8 (SDM vol. 2: 0F BC /r).
func (a *Asm) BsfRR(w Width, dst, src Reg) { a.rr(0, w, esc(0xbc), dst, src) }

// BsfRM emits BSF dst, src with a memory source.
func (a *Asm) BsfRM(w Width, dst Reg, src Mem) { a.rm(0, w, esc(0xbc), dst, src) }

// BsrRR emits BSR dst, src: dst = the index of the highest set bit of src, which is not 0;
// w is not W8 (SDM vol. 2: 0F BD /r).
func (a *Asm) BsrRR(w Width, dst, src Reg) { a.rr(0, w, esc(0xbd), dst, src) }

// BsrRM emits BSR dst, src with a memory source.
func (a *Asm) BsrRM(w Width, dst Reg, src Mem) { a.rm(0, w, esc(0xbd), dst, src) }

// BtRR emits BT x, n: the carry flag = bit n of x; n is masked to the width, which is not W8
// (SDM vol. 2: 0F A3 /r).
func (a *Asm) BtRR(w Width, x, n Reg) { a.rr(0, w, esc(0xa3), n, x) }

// BtRI emits BT x, n with an immediate (0F BA /4 ib).
func (a *Asm) BtRI(w Width, x Reg, n uint8) {
	a.ext(w, esc(0xba), 4, x)
	a.Put(uint64(n), 1)
}

// BtsRR emits BTS x, n: the same, and sets it; n is masked to the width, which is not W8
// (SDM vol. 2: 0F AB /r).
func (a *Asm) BtsRR(w Width, x, n Reg) { a.rr(0, w, esc(0xab), n, x) }

// BtsRI emits BTS x, n with an immediate (0F BA /5 ib).
func (a *Asm) BtsRI(w Width, x Reg, n uint8) {
	a.ext(w, esc(0xba), 5, x)
	a.Put(uint64(n), 1)
}

// BtrRR emits BTR x, n: the same, and clears it; n is masked to the width, which is not W8
// (SDM vol. 2: 0F B3 /r).
func (a *Asm) BtrRR(w Width, x, n Reg) { a.rr(0, w, esc(0xb3), n, x) }

// BtrRI emits BTR x, n with an immediate (0F BA /6 ib).
func (a *Asm) BtrRI(w Width, x Reg, n uint8) {
	a.ext(w, esc(0xba), 6, x)
	a.Put(uint64(n), 1)
}

// BtcRR emits BTC x, n: the same, and inverts it; n is masked to the width, which is not W8
// (SDM vol. 2: 0F BB /r).
func (a *Asm) BtcRR(w Width, x, n Reg) { a.rr(0, w, esc(0xbb), n, x) }

// BtcRI emits BTC x, n with an immediate (0F BA /7 ib).
func (a *Asm) BtcRI(w Width, x Reg, n uint8) {
	a.ext(w, esc(0xba), 7, x)
	a.Put(uint64(n), 1)
}

// BtMI emits BT x, n with x in memory; n is masked to the width.
func (a *Asm) BtMI(w Width, x Mem, n uint8) {
	a.extM(0, w, esc(0xba), 4, x)
	a.Put(uint64(n), 1)
}

// Crc32RR emits CRC32 dst, src: dst = the CRC-32C of dst and the low part of src
// of width w (SDM vol. 2: F2 0F 38 F1 /r; 8-bit F0; SSE4.2).
func (a *Asm) Crc32RR(w Width, dst, src Reg) {
	a.rrForce(prefixRepn, w, sized3(w), dst, src, w == W8 && highByte(src))
}

// Crc32RM emits CRC32 dst, src with a memory source.
func (a *Asm) Crc32RM(w Width, dst Reg, src Mem) {
	a.rmForce(prefixRepn, w, sized3(w), dst, src, false)
}

func sized3(w Width) opcode {
	if w == W8 {
		return 0xf0380f
	}
	return 0xf1380f
}
