package opt

import (
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// TestBoundAfter checks bounds against the operations themselves: whatever the
// operands up to their bounds, no result exceeds its own; what is idle changes
// nothing, and what is widened means the same.
func TestBoundAfter(t *testing.T) {
	edges := []uint64{0, 1, 2, 3, 7, 8, 9, 31, 32, 255, 256, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
		0x1_0000_0000, 0x1_0000_00ff, 0x7fff_ffff_ffff_ffff, 1 << 63, ^uint64(0) - 1, ^uint64(0)}
	imms := []int32{0, 1, 2, 3, 5, 8, 16, 31, 32, 33, 63, 255, 0xffff, 0x7fff_ffff, -1, -2, -0x8000_0000}
	for _, class := range []isa.Op{isa.Op(isa.ALU), isa.Op(isa.ALU64)} {
		for _, op := range []isa.ALUOp{isa.Add, isa.Sub, isa.Mul, isa.Div, isa.Or, isa.And, isa.Lsh, isa.Rsh, isa.Neg, isa.Mod, isa.Xor, isa.Mov, isa.Arsh} {
			for _, off := range []int16{0, 1} {
				if off == 1 && op != isa.Div && op != isa.Mod {
					continue
				}
				for _, imm := range imms {
					testBound(t, prog.Insn{Op: class | isa.Op(op), Dst: 1, Off: off, Imm: imm}, edges, edges[:1])
				}
				testBound(t, prog.Insn{Op: class | isa.Op(op) | isa.Op(isa.X), Dst: 1, Src: 2, Off: off}, edges, edges)
			}
		}
	}
}

func testBound(t *testing.T, in prog.Insn, xs, ys []uint64) {
	t.Helper()
	x32 := in.Op.Class() == isa.ALU
	compute := func(in prog.Insn, x, y uint64) uint64 {
		if in.Op.Source() == isa.K {
			y = uint64(int64(in.Imm))
		}
		if in.Op.Class() == isa.ALU {
			return isa.Compute32(in.Op.ALUOp(), in.Off, uint32(x), uint32(y))
		}
		return isa.Compute64(in.Op.ALUOp(), in.Off, x, y)
	}
	for _, mx := range xs {
		for _, my := range ys {
			b := bound{1: mx, 2: my}
			most, idle, wide := b.after(&in), b.idle(&in), in
			wide.Op = b.widen(&in)
			if x32 && most > most32 {
				t.Fatalf("%v after up to %#x, %#x: %#x has more than 32 bits", in, mx, my, most)
			}
			for _, x := range xs {
				for _, y := range ys {
					if x > mx || y > my {
						continue
					}
					got := compute(in, x, y)
					if got > most {
						t.Fatalf("%v of %#x, %#x is %#x; with operands up to %#x, %#x the bound is %#x", in, x, y, got, mx, my, most)
					}
					if idle && got != x {
						t.Fatalf("%v of %#x, %#x is %#x; thought idle up to %#x, %#x", in, x, y, got, mx, my)
					}
					if w := compute(wide, x, y); w != got {
						t.Fatalf("%v of %#x, %#x is %#x; made %v up to %#x, %#x: %#x", in, x, y, got, wide, mx, my, w)
					}
				}
			}
		}
	}
}

// TestBoundSwap checks the bounds of swaps, whose width is not their class's.
func TestBoundSwap(t *testing.T) {
	for _, tc := range []struct {
		class isa.Op
		imm   int32
		want  uint64
	}{
		{isa.Op(isa.ALU), 16, 0xffff}, {isa.Op(isa.ALU), 32, 0xffff_ffff}, {isa.Op(isa.ALU), 64, ^uint64(0)},
		{isa.Op(isa.ALU64), 16, 0xffff}, {isa.Op(isa.ALU64), 32, 0xffff_ffff}, {isa.Op(isa.ALU64), 64, ^uint64(0)},
	} {
		b := bound{1: 5}
		if got := b.after(&prog.Insn{Op: tc.class | isa.Op(isa.End), Dst: 1, Imm: tc.imm}); got != tc.want {
			t.Errorf("class %v, %d bits: %#x, want %#x", tc.class, tc.imm, got, tc.want)
		}
	}
}
