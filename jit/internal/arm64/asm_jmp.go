package arm64

import (
	"encoding/binary"

	"github.com/skepvm/skep/jit/internal/emit"
)

// Branches, and what depends on conditions.

const (
	b26 emit.FormID = iota
	condFar
	condNear
	zeroFar
	zeroNear
	bitFar
	bitNear
	adr21
)

// Reaches of branches, in bytes.
const (
	reach26 = 1 << 27 // B, BL
	reach19 = 1 << 20 // B.cond, CBZ
	reach14 = 1 << 15 // TBZ
	reach21 = 1 << 20 // ADR
)

// Bits of a conditional branch that turn it into the opposite one.
const (
	invertCond = 1 << 0
	invertZero = 1 << 24 // CBZ and CBNZ, TBZ and TBNZ
)

// forms are the references to labels: the distance counts from the start of the
// instruction (Arm ARM, C1.3.3). A conditional branch is drafted as the opposite
// one round a B, which reaches everywhere.
var forms = []emit.Form{
	b26: {Name: "b", Size: 4, Min: -reach26, Max: reach26 - 4, Patch: patchB},

	condFar: {Name: "far b.cond", Size: 8, From: 4, Min: -reach26, Max: reach26 - 4, Patch: patchFar,
		Short: condNear, Shrink: shrink(19, invertCond)},
	condNear: {Name: "b.cond", Size: 4, Min: -reach19, Max: reach19 - 4, Patch: patch(5, 19)},

	zeroFar: {Name: "far cbz", Size: 8, From: 4, Min: -reach26, Max: reach26 - 4, Patch: patchFar,
		Short: zeroNear, Shrink: shrink(19, invertZero)},
	zeroNear: {Name: "cbz", Size: 4, Min: -reach19, Max: reach19 - 4, Patch: patch(5, 19)},

	bitFar: {Name: "far tbz", Size: 8, From: 4, Min: -reach26, Max: reach26 - 4, Patch: patchFar,
		Short: bitNear, Shrink: shrink(14, invertZero)},
	bitNear: {Name: "tbz", Size: 4, Min: -reach14, Max: reach14 - 4, Patch: patch(5, 14)},

	adr21: {Name: "adr", Size: 4, Min: -reach21, Max: reach21 - 1, Patch: patchAdr},
}

// patch returns a function that writes a distance in words into size bits at
// lsb, which are zero.
func patch(lsb, size uint) func([]byte, int32) {
	mask := uint32(1)<<size - 1
	return func(code []byte, dist int32) {
		w := binary.LittleEndian.Uint32(code)
		binary.LittleEndian.PutUint32(code, w|uint32(dist>>2)&mask<<lsb)
	}
}

// patchFar writes the distance of the B behind a conditional branch.
func patchFar(code []byte, dist int32) { patchB(code[4:], dist) }

var patchB = patch(0, 26)

// patchAdr writes a distance in bytes: bits 1:0 go to 30:29, the rest to 23:5.
func patchAdr(code []byte, dist int32) {
	w := binary.LittleEndian.Uint32(code)
	w |= uint32(dist)&3<<29 | uint32(dist)>>2&(1<<19-1)<<5
	binary.LittleEndian.PutUint32(code, w)
}

// shrink returns a function that makes a conditional branch with a distance of
// size bits from the opposite one round a B.
func shrink(size uint, invert uint32) func(dst, src []byte) {
	mask := (uint32(1)<<size - 1) << 5
	return func(dst, src []byte) {
		w := binary.LittleEndian.Uint32(src)
		binary.LittleEndian.PutUint32(dst, w&^mask^invert)
	}
}

// branch emits the conditional branch word, whose distance is zero, to l.
func (a *Asm) branch(word, invert uint32, near, far emit.FormID, l emit.Label) {
	if d, ok := a.Bound(l); ok && int32(d) <= -forms[near].Min {
		a.insn(word)
		a.Ref(near, l)
		return
	}
	const over = 2 << 5 // round the next instruction
	a.Put(uint64(word^invert|over)|0x14000000<<32, 8)
	a.Ref(far, l)
}

// B emits B l.
func (a *Asm) B(l emit.Label) {
	a.insn(0x14000000)
	a.Ref(b26, l)
}

// Bl emits BL l. It changes R30.
func (a *Asm) Bl(l emit.Label) {
	a.insn(0x94000000)
	a.Ref(b26, l)
}

// BCond emits B.c l.
func (a *Asm) BCond(c Cond, l emit.Label) {
	a.branch(0x54000000|uint32(c), invertCond, condNear, condFar, l)
}

// Cbz emits CBZ t, l: goes to l if t is 0.
func (a *Asm) Cbz(w Width, t Reg, l emit.Label) {
	a.branch(0x34000000|w.sf()|t.n(), invertZero, zeroNear, zeroFar, l)
}

// Cbnz emits CBNZ t, l: goes to l if t is not 0.
func (a *Asm) Cbnz(w Width, t Reg, l emit.Label) {
	a.branch(0x35000000|w.sf()|t.n(), invertZero, zeroNear, zeroFar, l)
}

// testBit returns the fields of TBZ for a bit, less than 64.
func testBit(t Reg, bit uint) uint32 {
	if bit >= 64 {
		must(false, "TBZ", bit)
	}
	return uint32(bit)>>5<<31 | uint32(bit)&31<<19 | t.n()
}

// Tbz emits TBZ t, #bit, l: goes to l if the bit is 0.
func (a *Asm) Tbz(t Reg, bit uint, l emit.Label) {
	a.branch(0x36000000|testBit(t, bit), invertZero, bitNear, bitFar, l)
}

// Tbnz emits TBNZ t, #bit, l: goes to l if the bit is 1.
func (a *Asm) Tbnz(t Reg, bit uint, l emit.Label) {
	a.branch(0x37000000|testBit(t, bit), invertZero, bitNear, bitFar, l)
}

// Adr emits ADR d, l: d = the address of l, at most 1 MB away.
func (a *Asm) Adr(d Reg, l emit.Label) {
	a.insn(0x10000000 | d.n())
	a.Ref(adr21, l)
}

// Br emits BR n: goes to the address in n.
func (a *Asm) Br(n Reg) { a.insn(0xd61f0000 | n.n()<<5) }

// Blr emits BLR n: calls the address in n. It changes R30.
func (a *Asm) Blr(n Reg) { a.insn(0xd63f0000 | n.n()<<5) }

// Ret emits RET: goes to the address in R30.
func (a *Asm) Ret() { a.insn(0xd65f03c0) }

// Csel emits CSEL d, n, m, c: d = n if c holds, else m.
func (a *Asm) Csel(w Width, d, n, m Reg, c Cond) { a.rrr(0x1a800000|w.sf()|uint32(c)<<12, d, n, m) }

// Csinc emits CSINC d, n, m, c: d = n if c holds, else m + 1.
func (a *Asm) Csinc(w Width, d, n, m Reg, c Cond) { a.rrr(0x1a800400|w.sf()|uint32(c)<<12, d, n, m) }

// Csinv emits CSINV d, n, m, c: d = n if c holds, else ^m.
func (a *Asm) Csinv(w Width, d, n, m Reg, c Cond) { a.rrr(0x5a800000|w.sf()|uint32(c)<<12, d, n, m) }

// Csneg emits CSNEG d, n, m, c: d = n if c holds, else -m.
func (a *Asm) Csneg(w Width, d, n, m Reg, c Cond) { a.rrr(0x5a800400|w.sf()|uint32(c)<<12, d, n, m) }

// Cset emits CSET d, c: d = 1 if c holds, else 0.
func (a *Asm) Cset(w Width, d Reg, c Cond) { a.Csinc(w, d, ZR, ZR, c.Not()) }

// Csetm emits CSETM d, c: d = all ones if c holds, else 0.
func (a *Asm) Csetm(w Width, d Reg, c Cond) { a.Csinv(w, d, ZR, ZR, c.Not()) }

// Cinc emits CINC d, n, c: d = n + 1 if c holds, else n.
func (a *Asm) Cinc(w Width, d, n Reg, c Cond) { a.Csinc(w, d, n, n, c.Not()) }

// Cneg emits CNEG d, n, c: d = -n if c holds, else n.
func (a *Asm) Cneg(w Width, d, n Reg, c Cond) { a.Csneg(w, d, n, n, c.Not()) }

// A Flags is a value of the flags.
type Flags uint8

const (
	FlagV Flags = 1 << iota // overflow
	FlagC                   // carry
	FlagZ                   // zero
	FlagN                   // negative
)

// Ccmp emits CCMP n, m, #f, c: the flags of n - m if c holds, else f.
func (a *Asm) Ccmp(w Width, n, m Reg, f Flags, c Cond) {
	a.insn(0x7a400000 | w.sf() | m.n()<<16 | uint32(c)<<12 | n.n()<<5 | uint32(f))
}

// CcmpI emits CCMP n, #imm, #f, c; imm is less than 32.
func (a *Asm) CcmpI(w Width, n Reg, imm uint8, f Flags, c Cond) {
	if imm >= 32 {
		must(false, "CCMP", imm)
	}
	a.insn(0x7a400800 | w.sf() | uint32(imm)<<16 | uint32(c)<<12 | n.n()<<5 | uint32(f))
}

// Ccmn emits CCMN n, m, #f, c: the flags of n + m if c holds, else f.
func (a *Asm) Ccmn(w Width, n, m Reg, f Flags, c Cond) {
	a.insn(0x3a400000 | w.sf() | m.n()<<16 | uint32(c)<<12 | n.n()<<5 | uint32(f))
}

// CcmnI emits CCMN n, #imm, #f, c; imm is less than 32.
func (a *Asm) CcmnI(w Width, n Reg, imm uint8, f Flags, c Cond) {
	if imm >= 32 {
		must(false, "CCMN", imm)
	}
	a.insn(0x3a400800 | w.sf() | uint32(imm)<<16 | uint32(c)<<12 | n.n()<<5 | uint32(f))
}

// Nop emits NOP.
func (a *Asm) Nop() { a.insn(nop) }

// Brk emits BRK #imm, which stops: a place that must not be reached.
func (a *Asm) Brk(imm uint16) { a.insn(0xd4200000 | uint32(imm)<<5) }

// Align makes the next instruction start at a multiple of n bytes, a power of
// two.
func (a *Asm) Align(n emit.Off) { a.Buffer.Align(n, 4) }

const nop = 0xd503201f

// pad fills p with NOPs.
func pad(p []byte) {
	for ; len(p) >= 4; p = p[4:] {
		binary.LittleEndian.PutUint32(p, nop)
	}
}
