package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/prog"
)

// What helpers compute.

// inlineCsumDiff is csum_diff as helpers.CsumDiff does it. Sums of words of 32 bits
// are kept in 64, which so few words do not fill, and folded at the end.
//
// Sound: ones' complement sums of the same words are the same number modulo
// 2^16−1, and the only question is which of its two zeros. A fold gives the one
// without bits only for a sum of nothing but those, like the end-around carry, and
// so do folds of folds; what is taken out is folded to 32 bits before it is
// inverted, as there.
func (l *Lowerer) inlineCsumDiff(pc prog.PC, x *opt.Inline) {
	const old, new, seed, sum, temp, word = prog.R1, prog.R3, prog.R5, prog.R0, prog.R4, Temp
	l.alu(pc, isa.Mov, S32, sum, seed)
	switch {
	case x.From > 0 && x.Size > 0:
		l.m.Zero(prog.R2)
		l.addWords(pc, prog.R2, old, word, x.From)
		l.fold(pc, S64, prog.R2, temp)
		l.aluImm(pc, isa.Xor, S32, prog.R2, -1)
		l.addWords(pc, sum, new, word, x.Size)
		l.alu(pc, isa.Add, S64, sum, prog.R2)
		l.fold(pc, S64, sum, temp)
	case x.Size > 0:
		l.addWords(pc, sum, new, word, x.Size)
		l.fold(pc, S64, sum, temp)
	case x.From > 0:
		l.aluImm(pc, isa.Xor, S32, sum, -1)
		l.addWords(pc, sum, old, word, x.From)
		l.fold(pc, S64, sum, temp)
		l.aluImm(pc, isa.Xor, S32, sum, -1)
	}
	l.fold(pc, S32, sum, temp)
}

// addWords adds the n bytes at from to sum, 4 at a time.
func (l *Lowerer) addWords(pc prog.PC, sum, from, word prog.Reg, n uint32) {
	for at := int32(0); at < int32(n); at += 4 {
		l.m.Load(S32, word, At(from, at))
		l.alu(pc, isa.Add, S64, sum, word)
	}
}

// fold adds both halves of sum with an end-around carry: the upper half of the sum
// of it and its halves the other way round.
func (l *Lowerer) fold(pc prog.PC, s Size, sum, temp prog.Reg) {
	half := int32(4) << s
	l.alu(pc, isa.Mov, s, temp, sum)
	l.m.SwapHalves(s, temp)
	l.alu(pc, isa.Add, s, sum, temp)
	l.aluImm(pc, isa.Rsh, s, sum, half)
}

// inlineRandom is a step of xorshift64* (Vigna, An experimental exploration of
// Marsaglia's xorshift generators, scrambled, 2016), of which the upper half counts.
// The state is never 0.
func (l *Lowerer) inlineRandom(pc prog.PC) {
	const state, temp = prog.R0, prog.R1
	l.m.Load(S64, state, InCtx(rt.OffRandom))
	for _, step := range []struct {
		op isa.ALUOp
		n  int32
	}{{isa.Rsh, 12}, {isa.Lsh, 25}, {isa.Rsh, 27}} {
		l.alu(pc, isa.Mov, S64, temp, state)
		l.aluImm(pc, step.op, S64, temp, step.n)
		l.alu(pc, isa.Xor, S64, state, temp)
	}
	l.m.Store(S64, InCtx(rt.OffRandom), state)
	l.m.Const(temp, 0x2545f4914f6cdd1d)
	l.alu(pc, isa.Mul, S64, state, temp)
	l.aluImm(pc, isa.Rsh, S64, state, 32)
}
