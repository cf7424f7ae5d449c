package checked

import (
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

var testType = &hook.Type{Name: "test", Return: hook.AnyReturn}

// bind makes a machine ready to run insns.
func bind(t testing.TB, insns []prog.Insn) *Code {
	t.Helper()
	p, err := prog.FromInsns("p", testType, insns, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Bind(p, Binding{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(m *Machine, c *Code) (uint64, error) {
	m.Begin(c, &Run{})
	defer m.End()
	return m.Exec()
}

var edges = []uint64{0, 1, 2, 7, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32,
	1<<63 - 1, 1 << 63, ^uint64(0), ^uint64(0) - 1, 0x8123456789abcdef}

// wide returns the instructions that load v into r.
func wide(r prog.Reg, v uint64) []prog.Insn {
	return []prog.Insn{{Op: isa.Wide, Dst: r, Imm: int32(v)}, {Imm: int32(v >> 32)}}
}

// TestLoop holds what the loop computes itself against package isa: every
// arithmetic operation and jump, in both widths and forms, on every pair of
// edges and some other values.
func TestLoop(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	m := NewMachine(nil)
	exit := prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)}
	values := append([]uint64(nil), edges...)
	for range 4 {
		values = append(values, rnd.Uint64())
	}
	for _, class := range []isa.Class{isa.ALU, isa.ALU64, isa.JMP, isa.JMP32} {
		for code := 0; code < 0xe0; code += 0x10 {
			for _, src := range []isa.Source{isa.K, isa.X} {
				in := prog.Insn{Op: isa.Op(class) | isa.Op(code) | isa.Op(src), Dst: 0, Src: 2}
				if src == isa.K {
					in.Src = 0
				}
				jump := class == isa.JMP || class == isa.JMP32
				switch {
				case jump && (code == int(isa.JA) || code == int(isa.Call) || code == int(isa.Exit)),
					!jump && code == int(isa.End), !jump && code == int(isa.Neg) && src == isa.X:
					continue
				case !jump && code == int(isa.Neg):
					in.Src = 0
				}
				for _, a := range values {
					for _, b := range values {
						if src == isa.K {
							b = uint64(int64(int32(b)))
							in.Imm = int32(b)
							if !jump && code == int(isa.Neg) {
								in.Imm = 0
							}
						}
						var want uint64
						insns := append(wide(0, a), wide(2, b)...)
						switch class {
						case isa.ALU64:
							want = isa.Compute64(isa.ALUOp(code), 0, a, b)
							insns = append(insns, in, exit)
						case isa.ALU:
							want = isa.Compute32(isa.ALUOp(code), 0, uint32(a), uint32(b))
							insns = append(insns, in, exit)
						default:
							taken := isa.Jump64(isa.JmpOp(code), a, b)
							if class == isa.JMP32 {
								taken = isa.Jump32(isa.JmpOp(code), uint32(a), uint32(b))
							}
							want = 1
							if taken {
								want = 2
							}
							j := in
							j.Off = 2
							insns = append(insns, j, prog.Insn{Op: 0xb7, Imm: 1}, exit, prog.Insn{Op: 0xb7, Imm: 2}, exit)
						}
						got, err := run(m, bind(t, insns))
						if err != nil || got != want {
							t.Fatalf("%v with %#x, %#x: got %#x, %v, want %#x", prog.Format(in, prog.Insn{}), a, b, got, err, want)
						}
					}
				}
			}
		}
	}
}

// TestEffects compares what package checked says an instruction reads and
// writes with isa's table, which the printer and the assembler use.
func TestEffects(t *testing.T) {
	for _, f := range isa.Forms() {
		if f.Op.Class() == isa.JMP && (f.Op.JmpOp() == isa.Call || f.Op.JmpOp() == isa.Exit) || f.Op.Class() == isa.LD {
			continue // registers that no field names
		}
		in := prog.Insn{Op: f.Op, Dst: 3, Src: 4}
		if n, ok := f.Fixed("imm"); ok {
			in.Imm = n
		}
		if n, ok := f.Fixed("off"); ok {
			in.Off = int16(n)
		}
		var want effect
		for _, r := range []struct {
			use isa.Use
			bit regs
		}{{f.Dst, 1 << 3}, {f.Src, 1 << 4}} {
			if r.use&isa.Read != 0 {
				want.reads |= r.bit
			}
			if r.use&isa.Write != 0 {
				want.writes |= r.bit
			}
		}
		if in.Op.Class() == isa.STX && in.Op.Mode() == isa.ATOMIC && in.Imm == isa.AtomicCmpXchg {
			want.reads, want.writes = want.reads|1, want.writes|1
		}
		if got := effectOf(in); got != want {
			t.Errorf("%s: %+v, the table says %+v", f.Text, got, want)
		}
	}
}
