package arm64

// Loads and stores.

// A mode is how a Mem finds its address.
type mode uint8

const (
	offset   mode = iota // base + disp
	register             // base + extended index
	pre                  // base += disp, then base
	post                 // base, then base += disp
)

// A Mem is a memory operand. Build one with At, Indexed, Pre or Post.
type Mem struct {
	disp   int32
	base   Reg
	index  Reg
	extend Extend
	scaled bool
	mode   mode
}

// At is the memory at base + disp; base may be SP. FitsOffset says which disp an
// access can have.
func At(base Reg, disp int32) Mem { return Mem{disp: disp, base: base} }

// Indexed is the memory at base + index, where e says how index becomes 64 bits
// wide: UXTW, SXTW, or UXTX (none) for all of it. With scaled it is multiplied
// by the size of the access.
func Indexed(base, index Reg, e Extend, scaled Scaled) Mem {
	return Mem{base: base, index: index, extend: e, scaled: bool(scaled), mode: register}
}

// Scaled says whether an index counts elements.
type Scaled bool

const (
	Bytes    Scaled = false
	Elements Scaled = true
)

// Pre is the memory at base + disp, which base becomes; disp is from -256 to
// 255.
func Pre(base Reg, disp int32) Mem { return Mem{disp: disp, base: base, mode: pre} }

// Post is the memory at base, which then becomes base + disp; disp is from -256
// to 255.
func Post(base Reg, disp int32) Mem { return Mem{disp: disp, base: base, mode: post} }

// FitsOffset reports whether an access of size s can have the displacement:
// from 0 to 4095 times the size, in multiples of it, or from -256 to 255.
func FitsOffset(s Size, disp int32) bool {
	return disp >= -256 && disp < 256 || disp >= 0 && disp&(1<<s-1) == 0 && disp>>s < 4096
}

// mem appends a load or store of register t: op is the instruction for an
// unsigned offset, without its size.
func (a *Asm) mem(op uint32, s Size, t Reg, m Mem) {
	op |= uint32(s)<<30 | m.base.n()<<5 | t.n()
	switch {
	case m.mode == register:
		if m.extend&2 == 0 {
			must(false, "an index", m.extend)
		}
		if m.scaled {
			op |= 1 << 12
		}
		a.insn(op&^(1<<24) | 1<<21 | 2<<10 | m.index.n()<<16 | uint32(m.extend)<<13)
	case m.mode == offset && m.disp >= 0 && m.disp&(1<<s-1) == 0 && m.disp>>s < 4096:
		a.insn(op | uint32(m.disp>>s)<<10)
	default:
		if m.disp < -256 || m.disp > 255 {
			must(false, "a displacement", m.disp)
		}
		kind := [...]uint32{offset: 0, pre: 3, post: 1}[m.mode]
		a.insn(op&^(1<<24) | uint32(m.disp)&0x1ff<<12 | kind<<10)
	}
}

// Ldr emits LDR, LDRB or LDRH: t = the memory of size s, zero-extended to 64
// bits. An unscaled offset makes it LDUR and so on.
func (a *Asm) Ldr(s Size, t Reg, m Mem) { a.mem(0x39400000, s, t, m) }

// Ldrs emits LDRSB, LDRSH or LDRSW: t = the memory of size s, sign-extended to
// w; s is smaller than w.
func (a *Asm) Ldrs(w Width, s Size, t Reg, m Mem) {
	op := uint32(0x39c00000)
	if w == W64 {
		op = 0x39800000
	}
	a.mem(op, s, t, m)
}

// Str emits STR, STRB or STRH: the memory of size s = the low part of t.
func (a *Asm) Str(s Size, t Reg, m Mem) { a.mem(0x39000000, s, t, m) }

// FitsPair reports whether Ldp and Stp of width w can have the displacement: 7
// signed bits times the size.
func FitsPair(w Width, disp int32) bool {
	return disp&(4<<w-1) == 0 && disp>>(2+w) >= -64 && disp>>(2+w) < 64
}

func (a *Asm) pair(op uint32, w Width, t, u Reg, m Mem) {
	if m.mode == register || !FitsPair(w, m.disp) {
		must(false, "a pair", m.disp)
	}
	kind := [...]uint32{offset: 2, register: 0, pre: 3, post: 1}[m.mode]
	a.insn(op | w.sf() | kind<<23 | uint32(m.disp>>(2+w))&0x7f<<15 | u.n()<<10 | m.base.n()<<5 | t.n())
}

// Ldp emits LDP t, u, m: t and u = two adjacent values.
func (a *Asm) Ldp(w Width, t, u Reg, m Mem) { a.pair(0x28400000, w, t, u, m) }

// Stp emits STP t, u, m.
func (a *Asm) Stp(w Width, t, u Reg, m Mem) { a.pair(0x28000000, w, t, u, m) }
