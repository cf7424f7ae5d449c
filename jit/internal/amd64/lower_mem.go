package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// Loads and stores (RFC 9669, section 5).

// operand returns the memory that a load or store with the given base register
// touches, and its width. In the context that is where the host has the field:
// a pointer whole, other fields the bytes that are asked for.
func (l *lowerer) operand(pc prog.PC, in prog.Insn, base prog.Reg) (Mem, Width) {
	f := l.p.Info[pc].Field
	switch {
	case f == nil:
		return At(host[base], int32(in.Off)), accessWidth(in)
	case f.IsPointer():
		return At(host[base], int32(f.HostOff)), W64
	default:
		return At(host[base], int32(f.HostOff)+int32(in.Off)-int32(f.Off)), accessWidth(in)
	}
}

func (l *lowerer) LDX(pc prog.PC, in prog.Insn) {
	m, w := l.operand(pc, in, in.Src)
	if in.Op.Mode() == isa.MEMSX {
		l.MovsxRM(W64, w, host[in.Dst], m)
		return
	}
	l.loadZero(w, host[in.Dst], m)
}

// Operand has nothing to do: instructions have operands in memory.
func (l *lowerer) Operand(pc prog.PC) {}

// loaded returns the memory that the load at pc loads, and its width.
func (l *lowerer) loaded(pc prog.PC) (Mem, Width) {
	if x := &l.p.Info[pc].Idiom; x.Kind == opt.Access {
		return address(x), accessWidth(l.p.Insns[pc])
	}
	in := l.p.Insns[pc]
	return l.operand(pc, in, in.Src)
}

// loadZero loads m, zero-extended.
func (l *lowerer) loadZero(w Width, dst Reg, m Mem) {
	if w < W32 {
		l.MovzxRM(w, dst, m)
	} else {
		l.MovRM(w, dst, m)
	}
}

func (l *lowerer) STX(pc prog.PC, in prog.Insn) {
	m, w := l.operand(pc, in, in.Dst)
	l.MovMR(w, m, host[in.Src])
}

func (l *lowerer) ST(pc prog.PC, in prog.Insn) {
	m, w := l.operand(pc, in, in.Dst)
	l.MovMI(w, m, narrow(w, in.Imm))
}

// narrow returns the constant of a store as the host takes it: sign-extended
// from its width.
func narrow(w Width, imm int32) int32 {
	switch w {
	case W8:
		return int32(int8(imm))
	case W16:
		return int32(int16(imm))
	}
	return imm
}

// placeholder is a constant that takes the longest form of a move: two bytes
// of prefix and opcode, then the constant.
const placeholder = 0x7fff_ffff_ffff_ffff

// Relocate makes the instructions at off load v.
func Relocate(code []byte, off int, v uint64) {
	for i := range 8 {
		code[off+2+i] = byte(v >> (8 * i))
	}
}
