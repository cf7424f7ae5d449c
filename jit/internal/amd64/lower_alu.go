package amd64

import (
	"math/bits"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Arithmetic (RFC 9669, sections 4.1 and 4.2). At W32 the host clears the upper
// half of the destination, as ALU requires (SDM vol. 1, section 3.4.1.1).

func (l *lowerer) ALU(pc prog.PC, in prog.Insn) {
	w, dst := operandWidth(in), host[in.Dst]
	switch op := in.Op.ALUOp(); op {
	case isa.Add:
		l.binary(pc, in, (*Asm).AddRR, (*Asm).AddRI, (*Asm).AddRM)
	case isa.Sub:
		l.binary(pc, in, (*Asm).SubRR, (*Asm).SubRI, (*Asm).SubRM)
	case isa.Or:
		l.binary(pc, in, (*Asm).OrRR, (*Asm).OrRI, (*Asm).OrRM)
	case isa.And:
		if in.Op.Source() == isa.K && l.mask(dst, in.Imm) {
			return
		}
		l.binary(pc, in, (*Asm).AndRR, (*Asm).AndRI, (*Asm).AndRM)
	case isa.Xor:
		l.binary(pc, in, (*Asm).XorRR, (*Asm).XorRI, (*Asm).XorRM)
	case isa.Mul:
		if in.Op.Source() == isa.K {
			l.multiply(w, dst, in.Imm)
		} else {
			l.binary(pc, in, (*Asm).ImulRR, nil, (*Asm).ImulRM)
		}
	case isa.Div, isa.Mod:
		l.divide(pc, in)
	case isa.Lsh:
		l.shift(in, (*Asm).ShlRI, (*Asm).ShlRCL, (*Asm).ShlxRRR)
	case isa.Rsh:
		l.shift(in, (*Asm).ShrRI, (*Asm).ShrRCL, (*Asm).ShrxRRR)
	case isa.Arsh:
		l.shift(in, (*Asm).SarRI, (*Asm).SarRCL, (*Asm).SarxRRR)
	case isa.Neg:
		l.NegR(w, dst)
	case isa.Mov:
		l.mov(in)
	case isa.End:
		l.swap(in)
	}
}

// multiply lowers a product with n. Next to a power of 2 that is a shift and a sum,
// which take two cycles, or one, where a multiplication takes three: hashes wait for it.
func (l *lowerer) multiply(w Width, dst Reg, n int32) {
	power := func(n int32) bool { return n > 1 && n&(n-1) == 0 }
	switch {
	case n == 3, n == 5, n == 9:
		l.Lea(w, dst, Indexed(dst, dst, int(n-1), 0))
	case power(n):
		l.ShlRI(w, dst, uint8(bits.TrailingZeros32(uint32(n))))
	case power(n - 1):
		l.MovRR(w, scratch, dst)
		l.ShlRI(w, scratch, uint8(bits.TrailingZeros32(uint32(n-1))))
		l.AddRR(w, dst, scratch)
	case n > 3 && power(n+1):
		l.MovRR(w, scratch, dst)
		l.ShlRI(w, dst, uint8(bits.TrailingZeros32(uint32(n+1))))
		l.SubRR(w, dst, scratch)
	default:
		l.ImulRRI(w, dst, dst, n)
	}
}

// binary lowers an operation whose second operand can be anything.
func (l *lowerer) binary(pc prog.PC, in prog.Insn, rr func(*Asm, Width, Reg, Reg), ri func(*Asm, Width, Reg, int32), rm func(*Asm, Width, Reg, Mem)) {
	w, dst := operandWidth(in), host[in.Dst]
	switch load := l.p.Info[pc].Load - 1; {
	case in.Op.Source() == isa.K:
		ri(l.Asm, w, dst, in.Imm)
	case load >= 0:
		m, _ := l.loaded(load)
		rm(l.Asm, w, dst, m)
	default:
		rr(l.Asm, w, dst, host[in.Src])
	}
	if op := in.Op.ALUOp(); op != isa.Mul {
		l.flags = flags{at: l.Len(), pc: pc, reg: dst, w: w, logical: op != isa.Add && op != isa.Sub}
		if op == isa.Add && in.Op.Source() == isa.X && l.p.Info[pc].Load == 0 && in.Src != in.Dst {
			l.flags.added = 1 << in.Src
		}
	}
}

// flags are what the flags say: of the result of an operation, with no overflow
// or carry if it is logical, as long as no code follows it.
type flags struct {
	at      emit.Off
	pc      prog.PC // of the operation
	reg     Reg
	w       Width
	logical bool
	added   opt.Regs // what the operation has added, each of them; reg is none of these
}

// tested reports whether the flags are as a comparison of in's register with 0
// at pc would set them, as far as op needs. No jump leads to pc, or to what lies
// before it and writes no code.
func (l *lowerer) tested(pc prog.PC, in prog.Insn) bool {
	f, w := &l.flags, operandWidth(in)
	if f.reg != host[in.Dst] || !l.flagsAt(pc) {
		return false
	}
	switch in.Op.JmpOp() {
	case isa.JEq, isa.JNe:
		return f.w == w || f.w == W32 // whose upper half is 0
	case isa.JSet:
		return false // no comparison: no bit of 0 is set
	}
	return f.w == w && f.logical
}

// flagsAt reports whether l.flags are the flags at pc, on every way there.
func (l *lowerer) flagsAt(pc prog.PC) bool {
	if l.flags.at != l.Len() {
		return false
	}
	for at := l.flags.pc + 1; at <= pc; at++ {
		if l.p.Info[at].Target {
			return false
		}
	}
	return true
}

// carried reports whether the carry says at pc whether sum is below part, at width w:
// it does after an addition of part that made sum.
func (l *lowerer) carried(pc prog.PC, w Width, sum, part prog.Reg) bool {
	f := &l.flags
	return f.added.Has(part) && f.reg == host[sum] && f.w == w && l.flagsAt(pc)
}

// mask lowers dst &= imm if a zero extension does it, in fewer bytes.
func (l *lowerer) mask(dst Reg, imm int32) bool {
	switch imm {
	case 0xff:
		l.MovzxRR(W8, dst, dst)
	case 0xffff:
		l.MovzxRR(W16, dst, dst)
	default:
		return false
	}
	return true
}

func (l *lowerer) mov(in prog.Insn) {
	w, dst, src := operandWidth(in), host[in.Dst], host[in.Src]
	switch {
	case in.Op.Source() == isa.K && in.Imm == 0:
		l.ZeroR(dst)
	case in.Op.Source() == isa.K && w == W64:
		l.MovRI(dst, uint64(int64(in.Imm)))
	case in.Op.Source() == isa.K:
		l.MovRI(dst, uint64(uint32(in.Imm)))
	case in.Off == 8:
		l.MovsxRR(w, W8, dst, src)
	case in.Off == 16:
		l.MovsxRR(w, W16, dst, src)
	case in.Off == 32:
		l.MovsxRR(w, W32, dst, src)
	default:
		l.MovRR(w, dst, src)
	}
}

// swap lowers the byte swaps; programs are little-endian, as the host is.
func (l *lowerer) swap(in prog.Insn) {
	dst := host[in.Dst]
	reverse := in.Op.Class() == isa.ALU64 || in.Op.Source() == isa.X
	switch {
	case in.Imm == 16:
		if reverse {
			l.RolRI(W16, dst, 8)
		}
		l.MovzxRR(W16, dst, dst)
	case in.Imm == 32 && reverse:
		l.BswapR(W32, dst)
	case in.Imm == 32:
		l.MovRR(W32, dst, dst)
	case reverse:
		l.BswapR(W64, dst)
	}
}

// shift lowers a shift. The host masks counts as the program's semantics do.
func (l *lowerer) shift(in prog.Insn, ri func(*Asm, Width, Reg, uint8), cl func(*Asm, Width, Reg), bmi2 func(*Asm, Width, Reg, Reg, Reg)) {
	w, dst, src := operandWidth(in), host[in.Dst], host[in.Src]
	switch {
	case in.Op.Source() == isa.K:
		count := uint8(in.Imm) & uint8(w.Bits()-1)
		if count == 0 {
			if w == W32 {
				l.MovRR(W32, dst, dst)
			}
			return
		}
		ri(l.Asm, w, dst, count)
	case l.features.BMI2:
		bmi2(l.Asm, w, dst, dst, src)
	case src == RCX:
		if dst == RCX { // the count is the value
			l.MovRR(W64, scratch, RCX)
			cl(l.Asm, w, scratch)
			l.MovRR(w, RCX, scratch)
			return
		}
		cl(l.Asm, w, dst)
	case dst == RCX:
		l.MovRR(W64, scratch, RCX)
		l.MovRR(W32, RCX, src)
		cl(l.Asm, w, scratch)
		l.MovRR(w, RCX, scratch)
	default:
		l.MovRR(W64, scratch, RCX)
		l.MovRR(W32, RCX, src)
		cl(l.Asm, w, dst)
		l.MovRR(W64, RCX, scratch)
	}
}

// divide lowers division and modulo. By zero they give 0 and dst; the least
// number by −1, which the host traps, itself and 0.
func (l *lowerer) divide(pc prog.PC, in prog.Insn) {
	w, dst := operandWidth(in), host[in.Dst]
	signed, mod := in.Off == 1, in.Op.ALUOp() == isa.Mod
	if in.Op.Source() == isa.K {
		switch {
		case in.Imm == 0:
			l.byZero(w, dst, mod)
			return
		case in.Imm == -1 && signed:
			l.byMinusOne(w, dst, mod)
			return
		case l.divideByConstant(pc, w, dst, in.Imm, signed, mod):
			return
		case w == W32:
			l.MovRI(scratch, uint64(uint32(in.Imm)))
		default:
			l.MovRI(scratch, uint64(int64(in.Imm)))
		}
		l.quotient(pc, in, scratch)
		return
	}
	by := host[in.Src]
	if by == RAX || by == RDX {
		l.MovRR(W64, scratch, by)
		by = scratch
	}
	end := l.NewLabel()
	// rare writes out of line what happens if the divisor is what was compared.
	rare := func(write func(w Width, dst Reg, mod bool)) {
		at := l.NewLabel()
		l.JccL(E, at)
		l.Late(pc, func() {
			l.Bind(at)
			write(w, dst, mod)
			l.JmpL(end)
		})
	}
	if !l.p.Info[pc].NonZero {
		l.TestRR(w, by, by)
		rare(l.byZero)
	}
	if signed {
		l.CmpRI(w, by, -1)
		rare(l.byMinusOne)
	}
	l.quotient(pc, in, by)
	l.Bind(end)
}

func (l *lowerer) byZero(w Width, dst Reg, mod bool) {
	switch {
	case !mod:
		l.ZeroR(dst)
	case w == W32:
		l.MovRR(W32, dst, dst)
	}
}

func (l *lowerer) byMinusOne(w Width, dst Reg, mod bool) {
	if mod {
		l.ZeroR(dst)
	} else {
		l.NegR(w, dst)
	}
}

// quotient divides dst by a register that is neither RAX nor RDX and holds a
// divisor that does not trap; if it is scratch, it may be a copy of in.Src.
func (l *lowerer) quotient(pc prog.PC, in prog.Insn, by Reg) {
	w, dst := operandWidth(in), host[in.Dst]
	result := RAX
	if in.Op.ALUOp() == isa.Mod {
		result = RDX
	}
	// keep puts r aside, if the program needs it; back gets it back.
	spare := by != scratch
	keep := func(r Reg, of prog.Reg, off int32) (back func()) {
		switch {
		case dst == r || !l.lives(pc, of):
			return func() {}
		case in.Op.Source() == isa.X && host[in.Src] == r: // which scratch is a copy of
			return func() { l.MovRR(W64, r, scratch) }
		case spare:
			spare = false
			l.MovRR(W64, scratch, r)
			return func() { l.MovRR(W64, r, scratch) }
		}
		l.MovMR(W64, inFrame(off), r)
		return func() { l.MovRM(W64, r, inFrame(off)) }
	}
	backRAX := keep(RAX, prog.R0, layout.Scratch)
	backRDX := keep(RDX, prog.R3, layout.Scratch+8)
	if dst != RAX {
		l.MovRR(w, RAX, dst)
	}
	switch {
	case in.Off != 1:
		l.ZeroR(RDX)
		l.DivR(w, by)
	case w == W64:
		l.Cqo()
		l.IdivR(w, by)
	default:
		l.Cdq()
		l.IdivR(w, by)
	}
	if dst != result {
		l.MovRR(w, dst, result)
	}
	backRAX()
	backRDX()
}

// lives reports whether r holds something after the instruction at pc, which
// ends a straight line: package opt moves nothing over it.
func (l *lowerer) lives(pc prog.PC, r prog.Reg) bool {
	return l.p.Info[pc].Live.Has(r) ||
		slices.ContainsFunc(l.p.Funcs[l.F].Pins, func(x opt.Pin) bool { return x.Reg == r })
}
