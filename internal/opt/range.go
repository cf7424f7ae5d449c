package opt

import (
	"math"
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// A bound is the largest number that each register may hold on a straight line,
// as far as the instructions on it say.
type bound [prog.NumRegs]uint64

const most32 = math.MaxUint32

// forget makes b what holds where nothing is known.
func (b *bound) forget() {
	for r := range b {
		b[r] = math.MaxUint64
	}
}

// drop forgets the registers in rs.
func (b *bound) drop(rs Regs) {
	for ; rs != 0; rs &= rs - 1 {
		b[bits.TrailingZeros16(uint16(rs))] = math.MaxUint64
	}
}

// width returns the largest number of in's width.
func width(in *prog.Insn) uint64 {
	if in.Op.Class() == isa.ALU {
		return most32
	}
	return math.MaxUint64
}

// operand returns the largest number that the second operand of in, an ALU
// instruction, may be.
func (b *bound) operand(in *prog.Insn) uint64 {
	switch w := width(in); {
	case in.Op.Source() == isa.K:
		return uint64(int64(in.Imm)) & w
	default:
		return min(b[in.Src], w)
	}
}

// after returns the largest result of in, an ALU instruction.
//
// Sound: the operands of a 32-bit operation are the lower halves of registers,
// which are at most what the registers are, and at most most32. Where a result
// may exceed the width it can be anything of that width; or and xor set no bit
// above the highest that an operand may have.
func (b *bound) after(in *prog.Insn) uint64 {
	w := width(in)
	x, y := min(b[in.Dst], w), b.operand(in)
	k := in.Op.Source() == isa.K
	switch in.Op.ALUOp() {
	case isa.Mov:
		if in.Off == 0 {
			return y
		}
	case isa.And:
		return min(x, y)
	case isa.Or, isa.Xor:
		return 1<<bits.Len64(x|y) - 1
	case isa.Add:
		if sum, carry := bits.Add64(x, y, 0); carry == 0 && sum <= w {
			return sum
		}
	case isa.Mul:
		if hi, lo := bits.Mul64(x, y); hi == 0 && lo <= w {
			return lo
		}
	case isa.Lsh:
		if n := uint(in.Imm) & shiftMask(w); k && x <= w>>n {
			return x << n
		}
	case isa.Rsh:
		if k {
			return x >> (uint(in.Imm) & shiftMask(w))
		}
		return x
	case isa.Mod, isa.Div:
		if in.Off == 0 {
			return x // by 0 as well, which gives x or 0
		}
	case isa.End:
		return 1<<uint(in.Imm) - 1 // swaps are of their own width, not the class's
	}
	return w
}

// shiftMask returns which bits of a count matter for numbers up to w.
func shiftMask(w uint64) uint { return uint(bits.Len64(w)) - 1 }

// loads returns the largest number that in, a load, may give.
func loads(in *prog.Insn) uint64 {
	if n := in.Op.Size().Bytes(); in.Op.Mode() == isa.MEM && n < 8 {
		return 1<<(8*n) - 1
	}
	return math.MaxUint64
}

// widen returns the opcode of the 64-bit instruction that does what in does, given
// b before it, or that of in if there is none: one that loses nothing by being 32
// bits wide.
func (b *bound) widen(in *prog.Insn) isa.Op {
	if in.Op.Class() != isa.ALU {
		return in.Op
	}
	x, y := b[in.Dst], uint64(most32)+1
	if in.Op.Source() == isa.X {
		y = b[in.Src]
	} else if in.Imm >= 0 {
		y = uint64(in.Imm)
	}
	same := false
	switch in.Op.ALUOp() {
	case isa.Mov:
		same = in.Off == 0 && y <= most32
	case isa.Add:
		same = x <= most32 && y <= most32 && x+y <= most32
	case isa.Lsh:
		same = in.Op.Source() == isa.K && y < 32 && x <= most32>>y
	}
	if same {
		return in.Op&^7 | alu64
	}
	return in.Op
}

// idle reports whether in, an ALU instruction, leaves its register as it is,
// given b before it.
func (b *bound) idle(in *prog.Insn) bool {
	op := in.Op.ALUOp()
	if op != isa.Mov && op != isa.And {
		return false
	}
	x := b[in.Dst]
	if x > width(in) {
		return false // it clears the upper half
	}
	switch op {
	case isa.Mov:
		return in.Op.Source() == isa.X && in.Off == 0 && in.Src == in.Dst
	case isa.And:
		mask := uint64(int64(in.Imm)) & width(in)
		return in.Op.Source() == isa.K && mask&(mask+1) == 0 && x <= mask
	}
	return false
}
