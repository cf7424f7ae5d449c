package arm64

// Shifts, bit fields and operations on the bits of one register.

// Lslv emits LSLV d, n, m: d = n << m; m is taken modulo the width.
func (a *Asm) Lslv(w Width, d, n, m Reg) { a.rrr(0x1ac02000|w.sf(), d, n, m) }

// Lsrv emits LSRV d, n, m: d = n >> m, unsigned; m is taken modulo the width.
func (a *Asm) Lsrv(w Width, d, n, m Reg) { a.rrr(0x1ac02400|w.sf(), d, n, m) }

// Asrv emits ASRV d, n, m: d = n >> m, signed; m is taken modulo the width.
func (a *Asm) Asrv(w Width, d, n, m Reg) { a.rrr(0x1ac02800|w.sf(), d, n, m) }

// Rorv emits RORV d, n, m: d = n rotated right by m; m is taken modulo the width.
func (a *Asm) Rorv(w Width, d, n, m Reg) { a.rrr(0x1ac02c00|w.sf(), d, n, m) }

// bitfield appends SBFM, BFM or UBFM (Arm ARM): the field of bits up to s, from
// r on if r <= s, else moved to bit width-r.
func (a *Asm) bitfield(op uint32, w Width, d, n Reg, r, s uint) {
	if r >= uint(w.Bits()) || s >= uint(w.Bits()) {
		must(false, "a bit field", [2]uint{r, s})
	}
	a.insn(op | w.sf() | uint32(w)<<22 | uint32(r)<<16 | uint32(s)<<10 | n.n()<<5 | d.n())
}

const (
	sbfm = 0x13000000
	bfm  = 0x33000000
	ubfm = 0x53000000
)

// LslI emits LSL d, n, #c: d = n << c, c less than the width.
func (a *Asm) LslI(w Width, d, n Reg, c uint) {
	top := uint(w.Bits()) - 1
	a.bitfield(ubfm, w, d, n, -c&top, top-c)
}

// LsrI emits LSR d, n, #c: d = n >> c, unsigned, c less than the width.
func (a *Asm) LsrI(w Width, d, n Reg, c uint) { a.bitfield(ubfm, w, d, n, c, uint(w.Bits())-1) }

// AsrI emits ASR d, n, #c: d = n >> c, signed, c less than the width.
func (a *Asm) AsrI(w Width, d, n Reg, c uint) { a.bitfield(sbfm, w, d, n, c, uint(w.Bits())-1) }

// RorI emits ROR d, n, #c: d = n rotated right by c, less than the width.
func (a *Asm) RorI(w Width, d, n Reg, c uint) { a.Extr(w, d, n, n, c) }

// Extr emits EXTR d, n, m, #lsb: d = the bits of n:m from lsb on.
func (a *Asm) Extr(w Width, d, n, m Reg, lsb uint) {
	if lsb >= uint(w.Bits()) {
		must(false, "EXTR", lsb)
	}
	a.rrr(0x13800000|w.sf()|uint32(w)<<22|uint32(lsb)<<10, d, n, m)
}

// Ubfx emits UBFX d, n, #lsb, #width: d = width bits of n from lsb on.
func (a *Asm) Ubfx(w Width, d, n Reg, lsb, width uint) { a.bitfield(ubfm, w, d, n, lsb, lsb+width-1) }

// Sbfx emits SBFX d, n, #lsb, #width: the same, sign-extended.
func (a *Asm) Sbfx(w Width, d, n Reg, lsb, width uint) { a.bitfield(sbfm, w, d, n, lsb, lsb+width-1) }

// Ubfiz emits UBFIZ d, n, #lsb, #width: d = the low width bits of n, at lsb.
func (a *Asm) Ubfiz(w Width, d, n Reg, lsb, width uint) {
	a.bitfield(ubfm, w, d, n, -lsb&(uint(w.Bits())-1), width-1)
}

// Sbfiz emits SBFIZ d, n, #lsb, #width: the same, sign-extended.
func (a *Asm) Sbfiz(w Width, d, n Reg, lsb, width uint) {
	a.bitfield(sbfm, w, d, n, -lsb&(uint(w.Bits())-1), width-1)
}

// Bfi emits BFI d, n, #lsb, #width: the low width bits of n replace those of d
// at lsb.
func (a *Asm) Bfi(w Width, d, n Reg, lsb, width uint) {
	a.bitfield(bfm, w, d, n, -lsb&(uint(w.Bits())-1), width-1)
}

// Bfxil emits BFXIL d, n, #lsb, #width: width bits of n from lsb on replace the
// lowest of d.
func (a *Asm) Bfxil(w Width, d, n Reg, lsb, width uint) { a.bitfield(bfm, w, d, n, lsb, lsb+width-1) }

// Sxtb emits SXTB d, n: d = the low byte of n, sign-extended to w.
func (a *Asm) Sxtb(w Width, d, n Reg) { a.bitfield(sbfm, w, d, n, 0, 7) }

// Sxth emits SXTH d, n: d = the low 16 bits of n, sign-extended to w.
func (a *Asm) Sxth(w Width, d, n Reg) { a.bitfield(sbfm, w, d, n, 0, 15) }

// Sxtw emits SXTW d, n: d = the low 32 bits of n, sign-extended to 64.
func (a *Asm) Sxtw(d, n Reg) { a.bitfield(sbfm, W64, d, n, 0, 31) }

// Uxtb emits UXTB d, n: d = the low byte of n.
func (a *Asm) Uxtb(d, n Reg) { a.bitfield(ubfm, W32, d, n, 0, 7) }

// Uxth emits UXTH d, n: d = the low 16 bits of n.
func (a *Asm) Uxth(d, n Reg) { a.bitfield(ubfm, W32, d, n, 0, 15) }

// Rev emits REV d, n: d = the bytes of n, reversed.
func (a *Asm) Rev(w Width, d, n Reg) { a.rr(0x5ac00800|w.sf()|uint32(w)<<10, d, n) }

// Rev16 emits REV16 d, n: the bytes of each 16 bits, reversed.
func (a *Asm) Rev16(w Width, d, n Reg) { a.rr(0x5ac00400|w.sf(), d, n) }

// Rev32 emits REV32 d, n: the bytes of each 32 bits of the 64, reversed.
func (a *Asm) Rev32(d, n Reg) { a.rr(0xdac00800, d, n) }

// Rbit emits RBIT d, n: d = the bits of n, reversed.
func (a *Asm) Rbit(w Width, d, n Reg) { a.rr(0x5ac00000|w.sf(), d, n) }

// Clz emits CLZ d, n: d = how many high bits of n are clear.
func (a *Asm) Clz(w Width, d, n Reg) { a.rr(0x5ac01000|w.sf(), d, n) }

// FmovToV emits FMOV Dd, Xn or FMOV Sd, Wn: the low part of d = n, the rest 0.
func (a *Asm) FmovToV(w Width, d VReg, n Reg) {
	a.insn(0x1e270000 | w.sf() | uint32(w)<<22 | n.n()<<5 | uint32(d&31))
}

// FmovFromV emits FMOV Xd, Dn or FMOV Wd, Sn: d = the low part of n.
func (a *Asm) FmovFromV(w Width, d Reg, n VReg) {
	a.insn(0x1e260000 | w.sf() | uint32(w)<<22 | uint32(n&31)<<5 | d.n())
}

// Cnt emits CNT Vd.8B, Vn.8B: each byte of d = how many bits are set in the byte
// of n.
func (a *Asm) Cnt(d, n VReg) { a.insn(0x0e205800 | uint32(n&31)<<5 | uint32(d&31)) }

// Addv emits ADDV Bd, Vn.8B: d = the sum of the bytes of n.
func (a *Asm) Addv(d, n VReg) { a.insn(0x0e31b800 | uint32(n&31)<<5 | uint32(d&31)) }
