package isa_test

import (
	"encoding/binary"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

// edges are the values where carries, signs, widths and shift masks change.
var edges = []uint64{
	0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x1122334455667788,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffff00000000, ^uint64(1), ^uint64(0),
}

// ask loads body, which may use r1 = dst, r2 = src and r3 = the third value,
// and leaves its result in r1, and returns a function that runs it.
func ask(t *testing.T, body ...prog.Insn) func(dst, src, third uint64) uint64 {
	t.Helper()
	insns := []prog.Insn{
		{Op: 0xbf, Dst: 6, Src: 1},
		{Op: 0x79, Dst: 1, Src: 6, Off: 0},
		{Op: 0x79, Dst: 2, Src: 6, Off: 8},
		{Op: 0x79, Dst: 3, Src: 6, Off: 16},
	}
	insns = append(insns, body...)
	insns = append(insns, prog.Insn{Op: 0x7b, Dst: 6, Src: 1}, prog.Insn{Op: 0xb7}, prog.Insn{Op: 0x95})
	p, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.Syscall, Insns: insns})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(p.Close)
	ctx := make([]byte, 24)
	return func(dst, src, third uint64) uint64 {
		binary.NativeEndian.PutUint64(ctx, dst)
		binary.NativeEndian.PutUint64(ctx[8:], src)
		binary.NativeEndian.PutUint64(ctx[16:], third)
		r, err := p.Run(oracle.RunInput{Ctx: ctx})
		if err != nil {
			t.Fatal(err)
		}
		return binary.NativeEndian.Uint64(r.Ctx)
	}
}

// TestComputeKernel compares each arithmetic operation, swap, condition and
// atomic with the kernel's, on every pair of edges.
func TestComputeKernel(t *testing.T) {
	oracle.Skip(t)
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		var define func(dst, src uint64) uint64
		in := prog.Insn{Op: f.Op, Dst: 1}
		off, _ := f.Fixed("off")
		imm, _ := f.Fixed("imm")
		in.Off, in.Imm = int16(off), imm
		class, code := f.Op.Class(), f.Op.ALUOp()
		if f.Src != isa.Unused {
			in.Src = 2
		}
		switch {
		case f.Name == isa.AddrSpaceCast:
			continue
		case (class == isa.ALU || class == isa.ALU64) && code == isa.End:
			define = func(dst, _ uint64) uint64 { return isa.Swap(f.Op, imm, dst) }
		case f.Op.Source() == isa.K && code != isa.Neg:
			continue // same operation, other operand
		case class == isa.ALU64:
			define = func(dst, src uint64) uint64 { return isa.Compute64(code, in.Off, dst, src) }
		case class == isa.ALU:
			define = func(dst, src uint64) uint64 { return isa.Compute32(code, in.Off, uint32(dst), uint32(src)) }
		default:
			continue
		}
		t.Run(f.Text, func(t *testing.T) {
			kernel := ask(t, in)
			for _, dst := range edges {
				for _, src := range edges {
					if got, want := define(dst, src), kernel(dst, src, 0); got != want {
						t.Errorf("dst %#x, src %#x: %#x, the kernel has %#x", dst, src, got, want)
					}
				}
			}
		})
	}
}

func TestJumpKernel(t *testing.T) {
	oracle.Skip(t)
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		class := f.Op.Class()
		if class != isa.JMP && class != isa.JMP32 || f.Dst == isa.Unused || f.Src == isa.Unused {
			continue
		}
		t.Run(f.Text, func(t *testing.T) {
			kernel := ask(t,
				prog.Insn{Op: 0xb7, Dst: 0, Imm: 1},
				prog.Insn{Op: f.Op, Dst: 1, Src: 2, Off: 1},
				prog.Insn{Op: 0xb7, Dst: 0, Imm: 0},
				prog.Insn{Op: 0xbf, Dst: 1, Src: 0})
			for _, dst := range edges {
				for _, src := range edges {
					got := isa.Jump64(f.Op.JmpOp(), dst, src)
					if class == isa.JMP32 {
						got = isa.Jump32(f.Op.JmpOp(), uint32(dst), uint32(src))
					}
					if want := kernel(dst, src, 0) == 1; got != want {
						t.Errorf("dst %#x, src %#x: %v, the kernel has %v", dst, src, got, want)
					}
				}
			}
		})
	}
}

// TestAtomicKernel compares what each atomic stores.
func TestAtomicKernel(t *testing.T) {
	oracle.Skip(t)
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		code, _ := f.Fixed("imm")
		if f.Group != isa.GroupAtomic32 && f.Group != isa.GroupAtomic64 {
			continue
		}
		t.Run(f.Text, func(t *testing.T) {
			kernel := ask(t,
				prog.Insn{Op: 0x7b, Dst: 10, Src: 1, Off: -8},
				prog.Insn{Op: 0xbf, Dst: 0, Src: 3},
				prog.Insn{Op: f.Op, Dst: 10, Src: 2, Off: -8, Imm: code},
				prog.Insn{Op: 0x79, Dst: 1, Src: 10, Off: -8})
			for _, old := range edges {
				for _, src := range edges {
					for _, r0 := range []uint64{old, old ^ 1, old ^ 1<<40} {
						got := isa.Atomic64(code, old, src, r0)
						if f.Group == isa.GroupAtomic32 {
							got = old>>32<<32 | uint64(isa.Atomic32(code, uint32(old), uint32(src), uint32(r0)))
						}
						if want := kernel(old, src, r0); got != want {
							t.Errorf("old %#x, src %#x, r0 %#x: %#x, the kernel has %#x", old, src, r0, got, want)
						}
					}
				}
			}
		})
	}
}
