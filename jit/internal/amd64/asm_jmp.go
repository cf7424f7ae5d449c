package amd64

import (
	"encoding/binary"
	"math"

	"github.com/skepvm/skep/jit/internal/emit"
)

// Jumps, calls, and what depends on conditions.

const (
	jmpNear emit.FormID = iota
	jmpShort
	jccNear
	jccShort
	ripRel
)

func patch32(code []byte, dist int32) {
	binary.LittleEndian.PutUint32(code[len(code)-4:], uint32(dist))
}

func patch8(code []byte, dist int32) { code[len(code)-1] = byte(dist) }

// forms are the references to labels: the distance counts from the end of the
// instruction (SDM vol. 2, JMP, Jcc; section 2.2.1.6 for RIP-relative).
var forms = []emit.Form{
	jmpNear: {Name: "jmp rel32", Size: 5, From: 5, Min: math.MinInt32, Max: math.MaxInt32,
		Patch: patch32, Short: jmpShort, Shrink: func(dst, _ []byte) { dst[0], dst[1] = 0xeb, 0 }},
	jmpShort: {Name: "jmp rel8", Size: 2, From: 2, Min: -128, Max: 127, Patch: patch8},
	jccNear: {Name: "jcc rel32", Size: 6, From: 6, Min: math.MinInt32, Max: math.MaxInt32,
		Patch: patch32, Short: jccShort, Shrink: func(dst, src []byte) { dst[0], dst[1] = src[1]-0x10, 0 }},
	jccShort: {Name: "jcc rel8", Size: 2, From: 2, Min: -128, Max: 127, Patch: patch8},
	ripRel:   {Name: "rip+disp32", Size: 7, From: 7, Min: math.MinInt32, Max: math.MaxInt32, Patch: patch32},
}

// JmpL emits JMP l, short where that reaches (SDM vol. 2: EB cb, E9 cd).
func (a *Asm) JmpL(l emit.Label) {
	if d, ok := a.Bound(l); ok && d <= 126 {
		a.Put(0xeb, 2)
		a.Ref(jmpShort, l)
		return
	}
	a.Put(0xe9, 5)
	a.Ref(jmpNear, l)
}

// JccL emits Jcc l, short where that reaches (70+cc cb, 0F 80+cc cd).
func (a *Asm) JccL(c Cond, l emit.Label) {
	if d, ok := a.Bound(l); ok && d <= 126 {
		a.Put(uint64(0x70|c), 2)
		a.Ref(jccShort, l)
		return
	}
	a.Put(0x0f|uint64(0x80|c)<<8, 6)
	a.Ref(jccNear, l)
}

// JmpR emits JMP r: to the address in r (FF /4).
func (a *Asm) JmpR(r Reg) { a.ext(W32, 0xff, 4, r) }

// JmpM emits JMP m: to the address that m holds.
func (a *Asm) JmpM(m Mem) { a.extM(0, W32, 0xff, 4, m) }

// CallR emits CALL r (FF /2). It pushes a return address.
func (a *Asm) CallR(r Reg) { a.ext(W32, 0xff, 2, r) }

// CallM emits CALL m: to the address that m holds. It pushes a return address.
func (a *Asm) CallM(m Mem) { a.extM(0, W32, 0xff, 2, m) }

// Ret emits RET (C3).
func (a *Asm) Ret() { a.Put(0xc3, 1) }

// LeaL emits LEA dst, [RIP+l]: dst = the address of l.
func (a *Asm) LeaL(dst Reg, l emit.Label) {
	a.Put(0x48|uint64(dst>>3)<<2|0x8d<<8|uint64(5|dst&7<<3)<<16, 7)
	a.Ref(ripRel, l)
}

// SetccR emits SETcc dst: the low byte of dst = 1 if c holds, else 0 (SDM vol.
// 2: 0F 90+cc).
func (a *Asm) SetccR(c Cond, dst Reg) { a.ext(W8, esc(0x90|uint8(c)), 0, dst) }

// SetccM emits SETcc dst on a byte of memory.
func (a *Asm) SetccM(c Cond, dst Mem) { a.extM(0, W8, esc(0x90|uint8(c)), 0, dst) }

// CmovccRR emits CMOVcc dst, src: dst = src if c holds; w is not W8. At W32 the
// upper half of dst is cleared either way (SDM vol. 2: 0F 40+cc /r).
func (a *Asm) CmovccRR(w Width, c Cond, dst, src Reg) { a.rr(0, w, esc(0x40|uint8(c)), dst, src) }

// CmovccRM emits CMOVcc dst, src with a memory source, which is read either way.
func (a *Asm) CmovccRM(w Width, c Cond, dst Reg, src Mem) {
	a.rm(0, w, esc(0x40|uint8(c)), dst, src)
}

// Ud2 emits UD2, which faults: a place that must not be reached (0F 0B).
func (a *Asm) Ud2() { a.Put(0x0b0f, 2) }

// Endbr64 emits ENDBR64: an indirect branch may come here (F3 0F 1E FA).
func (a *Asm) Endbr64() { a.Put(0xfa1e0ff3, 4) }

// Align makes the next instruction start at a multiple of n, a power of two.
func (a *Asm) Align(n emit.Off) { a.Buffer.Align(n, 1) }

// nops are the recommended multi-byte NOPs (SDM vol. 2, NOP, table 4-12).
var nops = [...]string{
	"", "\x90", "\x66\x90", "\x0f\x1f\x00", "\x0f\x1f\x40\x00", "\x0f\x1f\x44\x00\x00",
	"\x66\x0f\x1f\x44\x00\x00", "\x0f\x1f\x80\x00\x00\x00\x00", "\x0f\x1f\x84\x00\x00\x00\x00\x00",
	"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00",
}

// pad fills p with as few NOPs as there are.
func pad(p []byte) {
	for len(p) > 0 {
		n := min(len(p), len(nops)-1)
		copy(p, nops[n])
		p = p[n:]
	}
}
