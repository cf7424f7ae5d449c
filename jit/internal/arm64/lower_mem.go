package arm64

import (
	"encoding/binary"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// Loads and stores (RFC 9669, section 5).

// operand returns the memory that a load or store with the given base register
// touches, and its size. In the context that is where the host has the field:
// a pointer whole, other fields the bytes that are asked for.
func (l *lowerer) operand(pc prog.PC, in prog.Insn, base prog.Reg) (Mem, Size) {
	s, off := accessSize(in), int32(in.Off)
	switch f := l.p.Info[pc].Field; {
	case f == nil:
	case f.IsPointer():
		s, off = S64, int32(f.HostOff)
	default:
		off += int32(f.HostOff) - int32(f.Off)
	}
	if FitsOffset(s, off) {
		return At(host[base], off), s
	}
	l.MovI(tmp2, uint64(int64(off)))
	return Indexed(host[base], tmp2, UXTX, Bytes), s
}

func (l *lowerer) LDX(pc prog.PC, in prog.Insn) {
	if x := &l.p.Info[pc].Idiom; x.Kind == opt.Access {
		l.access(in, x)
		return
	}
	m, s := l.operand(pc, in, in.Src)
	if in.Op.Mode() == isa.MEMSX {
		l.Ldrs(W64, s, host[in.Dst], m)
		return
	}
	l.Ldr(s, host[in.Dst], m)
}

// Operand lowers the load: nothing but loads has operands in memory.
func (l *lowerer) Operand(pc prog.PC) { l.LDX(pc, l.p.Insns[pc]) }

func (l *lowerer) STX(pc prog.PC, in prog.Insn) {
	m, s := l.operand(pc, in, in.Dst)
	l.Str(s, host[in.Src], m)
}

func (l *lowerer) ST(pc prog.PC, in prog.Insn) {
	m, s := l.operand(pc, in, in.Dst)
	if in.Imm == 0 {
		l.Str(s, ZR, m)
		return
	}
	l.MovI(tmp0, uint64(int64(in.Imm)))
	l.Str(s, tmp0, m)
}

// Relocate makes the instructions at off, a MOVZ and three MOVKs, load v.
func Relocate(code []byte, off int, v uint64) {
	for i := range 4 {
		at := code[off+4*i:]
		word := binary.LittleEndian.Uint32(at)
		binary.LittleEndian.PutUint32(at, word&^(0xffff<<5)|uint32(uint16(v>>(16*i)))<<5)
	}
}
