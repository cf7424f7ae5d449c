package amd64

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/jit/internal/asmtest"
)

// The tables below hold each method with every operand that changes its
// encoding: registers with and without bit 3, those that are special as a base
// (RSP, R12 need SIB; RBP, R13 a displacement) or as a byte (SPL to DIL need
// REX), both sizes of displacement and of immediate.

var target = asmtest.Target{Triple: "x86_64", Prelude: ".intel_syntax noprefix",
	Attr: "+bmi,+bmi2,+movbe,+popcnt,+lzcnt,+sse4.2,+cx16"}

var (
	regs    = []Reg{RAX, RCX, RSP, RBP, RDI, R8, R12, R13, R15}
	few     = []Reg{RAX, RDI, R9}
	widths  = []Width{W8, W16, W32, W64}
	wide    = []Width{W16, W32, W64}
	widest  = []Width{W32, W64}
	imms    = []int32{0, 1, -1, 127, 128, -128, -129, 0x7fffffff, -0x80000000}
	imms16  = []int32{0, 1, -1, 127, 128, -128, -129, 0x7fff, -0x8000}
	imms8   = []int32{0, 1, -1, 127, -128}
	allMems = func() (ms []Mem) {
		disps := []int32{0, 1, -128, 127, 128, -129, 0x7fffffff, -0x80000000}
		for _, d := range disps {
			for _, b := range regs {
				ms = append(ms, At(b, d))
				for _, x := range []Reg{RAX, RBP, R12, R13} {
					for _, s := range []int{1, 2, 4, 8} {
						ms = append(ms, Indexed(b, x, s, d))
					}
				}
			}
			ms = append(ms, Absolute(d))
			for _, x := range []Reg{RAX, RBP, R12, R13} {
				ms = append(ms, Scaled(x, 4, d))
			}
		}
		return ms
	}()
	fewMems = []Mem{At(RAX, 0), At(RSP, 8), At(RBP, 0), At(R12, 0), At(R13, 0), At(RDI, 1000),
		Indexed(RBX, R9, 8, 16), Indexed(R13, RSI, 1, 0), Scaled(R10, 2, 64), Absolute(4096)}
)

func immsOf(w Width) []int32 {
	switch w {
	case W8:
		return imms8
	case W16:
		return imms16
	}
	return imms
}

// text returns m in Intel's syntax.
func (m Mem) text(w Width) string { return m.sized(w.Bits()) }

func (m Mem) sized(bits int) string {
	name := map[int]string{0: "", 8: "byte ptr ", 16: "word ptr ", 32: "dword ptr ", 64: "qword ptr ", 128: "xmmword ptr "}[bits]
	var parts []string
	if m.base != noReg {
		parts = append(parts, m.base.String())
	}
	if m.index != noReg {
		parts = append(parts, fmt.Sprintf("%s*%d", m.index, 1<<m.shift))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s[%d]", name, m.disp)
	}
	return fmt.Sprintf("%s[%s %+d]", name, strings.Join(parts, " + "), m.disp)
}

// table collects rows.
type table struct {
	asm  *Asm
	rows []asmtest.Row
	seen map[string]bool
}

func newTable() *table { return &table{asm: NewAsm(), seen: map[string]bool{}} }

// add appends a row: what emit writes, and the text, which format gives.
func (tb *table) add(emit func(a *Asm), format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if tb.seen[text] {
		return
	}
	tb.seen[text] = true
	tb.asm.Reset()
	emit(tb.asm)
	tb.rows = append(tb.rows, asmtest.Row{Text: text, Code: append([]byte(nil), tb.asm.Bytes()...)})
}

func (tb *table) compare(t *testing.T, golden string) {
	t.Helper()
	asmtest.Compare(t, "testdata/"+golden, target, tb.rows)
}

func TestALU(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name string
		rr   func(*Asm, Width, Reg, Reg)
		ri   func(*Asm, Width, Reg, int32)
		rm   func(*Asm, Width, Reg, Mem)
		mr   func(*Asm, Width, Mem, Reg)
		mi   func(*Asm, Width, Mem, int32)
	}{
		{"add", (*Asm).AddRR, (*Asm).AddRI, (*Asm).AddRM, (*Asm).AddMR, (*Asm).AddMI},
		{"or", (*Asm).OrRR, (*Asm).OrRI, (*Asm).OrRM, (*Asm).OrMR, (*Asm).OrMI},
		{"adc", (*Asm).AdcRR, (*Asm).AdcRI, (*Asm).AdcRM, (*Asm).AdcMR, (*Asm).AdcMI},
		{"sbb", (*Asm).SbbRR, (*Asm).SbbRI, (*Asm).SbbRM, (*Asm).SbbMR, (*Asm).SbbMI},
		{"and", (*Asm).AndRR, (*Asm).AndRI, (*Asm).AndRM, (*Asm).AndMR, (*Asm).AndMI},
		{"sub", (*Asm).SubRR, (*Asm).SubRI, (*Asm).SubRM, (*Asm).SubMR, (*Asm).SubMI},
		{"xor", (*Asm).XorRR, (*Asm).XorRI, (*Asm).XorRM, (*Asm).XorMR, (*Asm).XorMI},
		{"cmp", (*Asm).CmpRR, (*Asm).CmpRI, (*Asm).CmpRM, (*Asm).CmpMR, (*Asm).CmpMI},
		{"test", (*Asm).TestRR, (*Asm).TestRI, nil, (*Asm).TestMR, (*Asm).TestMI},
	} {
		for _, w := range widths {
			for _, d := range regs {
				for _, s := range regs {
					tb.add(func(a *Asm) { op.rr(a, w, d, s) }, "%s %s, %s", op.name, d.Name(w), s.Name(w))
				}
				for _, i := range immsOf(w) {
					tb.add(func(a *Asm) { op.ri(a, w, d, i) }, "%s %s, %d", op.name, d.Name(w), i)
				}
			}
			for _, m := range fewMems {
				for _, r := range []Reg{RDI, R9} {
					if op.rm != nil {
						tb.add(func(a *Asm) { op.rm(a, w, r, m) }, "%s %s, %s", op.name, r.Name(w), m.text(w))
					}
					tb.add(func(a *Asm) { op.mr(a, w, m, r) }, "%s %s, %s", op.name, m.text(w), r.Name(w))
				}
				for _, i := range []int32{-128, 127, 1000}[:min(2+int(w), 3)] {
					tb.add(func(a *Asm) { op.mi(a, w, m, i) }, "%s %s, %d", op.name, m.text(w), i)
				}
			}
		}
	}
	tb.compare(t, "alu.golden")
}

func TestUnary(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name string
		r    func(*Asm, Width, Reg)
		m    func(*Asm, Width, Mem)
	}{
		{"not", (*Asm).NotR, (*Asm).NotM}, {"neg", (*Asm).NegR, (*Asm).NegM},
		{"inc", (*Asm).IncR, (*Asm).IncM}, {"dec", (*Asm).DecR, (*Asm).DecM},
		{"mul", (*Asm).MulR, (*Asm).MulM}, {"imul", (*Asm).Imul1R, (*Asm).Imul1M},
		{"div", (*Asm).DivR, (*Asm).DivM}, {"idiv", (*Asm).IdivR, (*Asm).IdivM},
	} {
		for _, w := range widths {
			for _, r := range regs {
				tb.add(func(a *Asm) { op.r(a, w, r) }, "%s %s", op.name, r.Name(w))
			}
			for _, m := range fewMems {
				tb.add(func(a *Asm) { op.m(a, w, m) }, "%s %s", op.name, m.text(w))
			}
		}
	}
	tb.compare(t, "unary.golden")
}

func TestMul(t *testing.T) {
	tb := newTable()
	for _, w := range wide {
		for _, d := range few {
			for _, s := range regs {
				tb.add(func(a *Asm) { a.ImulRR(w, d, s) }, "imul %s, %s", d.Name(w), s.Name(w))
				for _, i := range immsOf(w) {
					tb.add(func(a *Asm) { a.ImulRRI(w, d, s, i) }, "imul %s, %s, %d", d.Name(w), s.Name(w), i)
				}
				if w != W16 {
					tb.add(func(a *Asm) { a.MulxRRR(w, d, s, R13) }, "mulx %s, %s, %s", d.Name(w), s.Name(w), R13.Name(w))
					tb.add(func(a *Asm) { a.MulxRRR(w, R13, d, s) }, "mulx %s, %s, %s", R13.Name(w), d.Name(w), s.Name(w))
				}
			}
			for _, m := range fewMems {
				tb.add(func(a *Asm) { a.ImulRM(w, d, m) }, "imul %s, %s", d.Name(w), m.text(w))
				for _, i := range []int32{-3, 300} {
					tb.add(func(a *Asm) { a.ImulRMI(w, d, m, i) }, "imul %s, %s, %d", d.Name(w), m.text(w), i)
				}
			}
		}
	}
	tb.add(func(a *Asm) { a.Cdq() }, "cdq")
	tb.add(func(a *Asm) { a.Cqo() }, "cqo")
	tb.compare(t, "mul.golden")
}

func TestMov(t *testing.T) {
	tb := newTable()
	for _, w := range widths {
		for _, d := range regs {
			for _, s := range regs {
				tb.add(func(a *Asm) { a.MovRR(w, d, s) }, "mov %s, %s", d.Name(w), s.Name(w))
			}
		}
		for _, m := range fewMems {
			tb.add(func(a *Asm) { a.MovRM(w, RBP, m) }, "mov %s, %s", RBP.Name(w), m.text(w))
			tb.add(func(a *Asm) { a.MovMR(w, m, R9) }, "mov %s, %s", m.text(w), R9.Name(w))
			for _, i := range immsOf(w) {
				tb.add(func(a *Asm) { a.MovMI(w, m, i) }, "mov %s, %d", m.text(w), i)
			}
		}
		for _, r := range regs {
			// LLVM prefers the two-byte form of XCHG only with the accumulator
			// second; both orders mean the same.
			for _, s := range regs {
				x, y := r, s
				if x == RAX {
					x, y = y, x
				}
				tb.add(func(a *Asm) { a.XchgRR(w, x, y) }, "xchg %s, %s", x.Name(w), y.Name(w))
			}
		}
	}
	for _, r := range regs {
		for _, v := range []uint64{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
			tb.add(func(a *Asm) { a.MovRI(r, v) }, "mov %s, %d", r.Name(W32), v)
		}
		for _, v := range []int64{-1, -0x80000000} {
			tb.add(func(a *Asm) { a.MovRI(r, uint64(v)) }, "mov %s, %d", r, v)
		}
		for _, v := range []uint64{0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffff7fffffff} {
			tb.add(func(a *Asm) { a.MovRI(r, v) }, "movabs %s, %d", r, int64(v))
		}
		tb.add(func(a *Asm) { a.ZeroR(r) }, "xor %s, %s", r.Name(W32), r.Name(W32))
		for _, w := range widest {
			tb.add(func(a *Asm) { a.BswapR(w, r) }, "bswap %s", r.Name(w))
			for _, m := range fewMems {
				tb.add(func(a *Asm) { a.Lea(w, r, m) }, "lea %s, %s", r.Name(w), m.sized(0))
			}
		}
	}
	for _, m := range allMems {
		tb.add(func(a *Asm) { a.MovRM(W64, RDX, m) }, "mov rdx, %s", m.text(W64))
		tb.add(func(a *Asm) { a.MovMR(W32, m, R9) }, "mov %s, r9d", m.text(W32))
	}
	for _, w := range wide {
		for _, m := range fewMems {
			for _, r := range few {
				tb.add(func(a *Asm) { a.MovbeRM(w, r, m) }, "movbe %s, %s", r.Name(w), m.text(w))
				tb.add(func(a *Asm) { a.MovbeMR(w, m, r) }, "movbe %s, %s", m.text(w), r.Name(w))
			}
		}
	}
	tb.compare(t, "mov.golden")
}

func TestExtend(t *testing.T) {
	tb := newTable()
	for _, d := range regs {
		for _, s := range regs {
			for _, from := range []Width{W8, W16} {
				tb.add(func(a *Asm) { a.MovzxRR(from, d, s) }, "movzx %s, %s", d.Name(W32), s.Name(from))
				for _, to := range widest {
					tb.add(func(a *Asm) { a.MovsxRR(to, from, d, s) }, "movsx %s, %s", d.Name(to), s.Name(from))
				}
			}
			tb.add(func(a *Asm) { a.MovzxRR(W32, d, s) }, "mov %s, %s", d.Name(W32), s.Name(W32))
			tb.add(func(a *Asm) { a.MovsxRR(W64, W32, d, s) }, "movsxd %s, %s", d, s.Name(W32))
		}
		for _, m := range fewMems {
			for _, from := range []Width{W8, W16} {
				tb.add(func(a *Asm) { a.MovzxRM(from, d, m) }, "movzx %s, %s", d.Name(W32), m.text(from))
				for _, to := range widest {
					tb.add(func(a *Asm) { a.MovsxRM(to, from, d, m) }, "movsx %s, %s", d.Name(to), m.text(from))
				}
			}
			tb.add(func(a *Asm) { a.MovzxRM(W32, d, m) }, "mov %s, %s", d.Name(W32), m.text(W32))
			tb.add(func(a *Asm) { a.MovzxRM(W64, d, m) }, "mov %s, %s", d, m.text(W64))
			tb.add(func(a *Asm) { a.MovsxRM(W64, W32, d, m) }, "movsxd %s, %s", d, m.text(W32))
		}
	}
	tb.compare(t, "extend.golden")
}

func TestShift(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name string
		ri   func(*Asm, Width, Reg, uint8)
		rcl  func(*Asm, Width, Reg)
		mi   func(*Asm, Width, Mem, uint8)
		mcl  func(*Asm, Width, Mem)
	}{
		{"rol", (*Asm).RolRI, (*Asm).RolRCL, (*Asm).RolMI, (*Asm).RolMCL},
		{"ror", (*Asm).RorRI, (*Asm).RorRCL, (*Asm).RorMI, (*Asm).RorMCL},
		{"shl", (*Asm).ShlRI, (*Asm).ShlRCL, (*Asm).ShlMI, (*Asm).ShlMCL},
		{"shr", (*Asm).ShrRI, (*Asm).ShrRCL, (*Asm).ShrMI, (*Asm).ShrMCL},
		{"sar", (*Asm).SarRI, (*Asm).SarRCL, (*Asm).SarMI, (*Asm).SarMCL},
	} {
		for _, w := range widths {
			for _, r := range regs {
				for _, n := range []uint8{1, 2, uint8(w.Bits() - 1)} {
					tb.add(func(a *Asm) { op.ri(a, w, r, n) }, "%s %s, %d", op.name, r.Name(w), n)
				}
				tb.add(func(a *Asm) { op.rcl(a, w, r) }, "%s %s, cl", op.name, r.Name(w))
			}
			for _, m := range fewMems {
				for _, n := range []uint8{1, 7} {
					tb.add(func(a *Asm) { op.mi(a, w, m, n) }, "%s %s, %d", op.name, m.text(w), n)
				}
				tb.add(func(a *Asm) { op.mcl(a, w, m) }, "%s %s, cl", op.name, m.text(w))
			}
		}
	}
	for _, w := range wide {
		for _, d := range regs {
			for _, s := range few {
				tb.add(func(a *Asm) { a.ShldRRI(w, d, s, 5) }, "shld %s, %s, 5", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.ShrdRRI(w, d, s, 5) }, "shrd %s, %s, 5", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.ShldRRCL(w, d, s) }, "shld %s, %s, cl", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.ShrdRRCL(w, d, s) }, "shrd %s, %s, cl", d.Name(w), s.Name(w))
			}
		}
	}
	for _, w := range widths {
		for _, r := range regs {
			tb.add(func(a *Asm) { a.RcrRI(w, r, 1) }, "rcr %s, 1", r.Name(w))
			tb.add(func(a *Asm) { a.RcrRI(w, r, 3) }, "rcr %s, 3", r.Name(w))
		}
	}
	tb.compare(t, "shift.golden")
}

func TestBMI(t *testing.T) {
	tb := newTable()
	for _, w := range widest {
		for _, op := range []struct {
			name string
			rrr  func(*Asm, Width, Reg, Reg, Reg)
		}{
			{"shlx", (*Asm).ShlxRRR}, {"shrx", (*Asm).ShrxRRR}, {"sarx", (*Asm).SarxRRR},
			{"andn", (*Asm).AndnRRR}, {"bzhi", (*Asm).BzhiRRR}, {"bextr", (*Asm).BextrRRR},
		} {
			for _, x := range regs {
				for _, y := range few {
					for _, z := range few {
						tb.add(func(a *Asm) { op.rrr(a, w, x, y, z) }, "%s %s, %s, %s", op.name, x.Name(w), y.Name(w), z.Name(w))
						tb.add(func(a *Asm) { op.rrr(a, w, y, x, z) }, "%s %s, %s, %s", op.name, y.Name(w), x.Name(w), z.Name(w))
						tb.add(func(a *Asm) { op.rrr(a, w, y, z, x) }, "%s %s, %s, %s", op.name, y.Name(w), z.Name(w), x.Name(w))
					}
				}
			}
		}
		for _, op := range []struct {
			name string
			rmr  func(*Asm, Width, Reg, Mem, Reg)
		}{{"shlx", (*Asm).ShlxRMR}, {"shrx", (*Asm).ShrxRMR}, {"sarx", (*Asm).SarxRMR}} {
			for _, m := range fewMems {
				for _, r := range few {
					tb.add(func(a *Asm) { op.rmr(a, w, r, m, R14) }, "%s %s, %s, %s", op.name, r.Name(w), m.text(w), R14.Name(w))
				}
			}
		}
		for _, d := range regs {
			for _, s := range regs {
				tb.add(func(a *Asm) { a.RorxRRI(w, d, s, 13) }, "rorx %s, %s, 13", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.BlsrRR(w, d, s) }, "blsr %s, %s", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.BlsmskRR(w, d, s) }, "blsmsk %s, %s", d.Name(w), s.Name(w))
				tb.add(func(a *Asm) { a.BlsiRR(w, d, s) }, "blsi %s, %s", d.Name(w), s.Name(w))
			}
			for _, m := range fewMems {
				tb.add(func(a *Asm) { a.RorxRMI(w, d, m, 13) }, "rorx %s, %s, 13", d.Name(w), m.text(w))
			}
		}
	}
	tb.compare(t, "bmi.golden")
}

func TestBits(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name string
		rr   func(*Asm, Width, Reg, Reg)
		rm   func(*Asm, Width, Reg, Mem)
	}{
		{"popcnt", (*Asm).PopcntRR, (*Asm).PopcntRM}, {"tzcnt", (*Asm).TzcntRR, (*Asm).TzcntRM},
		{"lzcnt", (*Asm).LzcntRR, (*Asm).LzcntRM}, {"bsf", (*Asm).BsfRR, (*Asm).BsfRM}, {"bsr", (*Asm).BsrRR, (*Asm).BsrRM},
	} {
		for _, w := range wide {
			for _, d := range regs {
				for _, s := range regs {
					tb.add(func(a *Asm) { op.rr(a, w, d, s) }, "%s %s, %s", op.name, d.Name(w), s.Name(w))
				}
			}
			for _, m := range fewMems {
				tb.add(func(a *Asm) { op.rm(a, w, R10, m) }, "%s %s, %s", op.name, R10.Name(w), m.text(w))
			}
		}
	}
	for _, op := range []struct {
		name string
		rr   func(*Asm, Width, Reg, Reg)
		ri   func(*Asm, Width, Reg, uint8)
	}{
		{"bt", (*Asm).BtRR, (*Asm).BtRI}, {"bts", (*Asm).BtsRR, (*Asm).BtsRI},
		{"btr", (*Asm).BtrRR, (*Asm).BtrRI}, {"btc", (*Asm).BtcRR, (*Asm).BtcRI},
	} {
		for _, w := range wide {
			for _, d := range regs {
				for _, s := range few {
					tb.add(func(a *Asm) { op.rr(a, w, d, s) }, "%s %s, %s", op.name, d.Name(w), s.Name(w))
				}
				tb.add(func(a *Asm) { op.ri(a, w, d, 9) }, "%s %s, 9", op.name, d.Name(w))
			}
		}
	}
	for _, w := range wide {
		for _, m := range fewMems {
			tb.add(func(a *Asm) { a.BtMI(w, m, 9) }, "bt %s, 9", m.text(w))
		}
	}
	for _, w := range widths {
		d32 := W32
		if w == W64 {
			d32 = W64
		}
		for _, d := range few {
			for _, s := range regs {
				tb.add(func(a *Asm) { a.Crc32RR(w, d, s) }, "crc32 %s, %s", d.Name(d32), s.Name(w))
			}
			for _, m := range fewMems {
				tb.add(func(a *Asm) { a.Crc32RM(w, d, m) }, "crc32 %s, %s", d.Name(d32), m.text(w))
			}
		}
	}
	tb.compare(t, "bits.golden")
}

func TestAtomic(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name string
		mr   func(*Asm, Width, Mem, Reg)
		mi   func(*Asm, Width, Mem, int32)
	}{
		{"lock add", (*Asm).LockAddMR, (*Asm).LockAddMI}, {"lock or", (*Asm).LockOrMR, (*Asm).LockOrMI},
		{"lock and", (*Asm).LockAndMR, (*Asm).LockAndMI}, {"lock sub", (*Asm).LockSubMR, (*Asm).LockSubMI},
		{"lock xor", (*Asm).LockXorMR, (*Asm).LockXorMI},
		{"lock xadd", (*Asm).LockXaddMR, nil}, {"xchg", (*Asm).XchgMR, nil}, {"lock cmpxchg", (*Asm).LockCmpxchgMR, nil},
	} {
		for _, w := range widths {
			for _, m := range fewMems {
				for _, r := range []Reg{RAX, RBX, RSI, R9} {
					tb.add(func(a *Asm) { op.mr(a, w, m, r) }, "%s %s, %s", op.name, m.text(w), r.Name(w))
				}
				if op.mi == nil {
					continue
				}
				for _, i := range []int32{-128, 127, 1000}[:min(2+int(w), 3)] {
					tb.add(func(a *Asm) { op.mi(a, w, m, i) }, "%s %s, %d", op.name, m.text(w), i)
				}
			}
		}
	}
	for _, m := range fewMems {
		for _, w := range widths {
			tb.add(func(a *Asm) { a.LockIncM(w, m) }, "lock inc %s", m.text(w))
			tb.add(func(a *Asm) { a.LockDecM(w, m) }, "lock dec %s", m.text(w))
		}
		tb.add(func(a *Asm) { a.LockCmpxchg16b(m) }, "lock cmpxchg16b %s", m.sized(128))
	}
	tb.add(func(a *Asm) { a.Mfence() }, "mfence")
	tb.add(func(a *Asm) { a.Lfence() }, "lfence")
	tb.add(func(a *Asm) { a.Pause() }, "pause")
	tb.compare(t, "atomic.golden")
}

func TestCond(t *testing.T) {
	tb := newTable()
	for c := O; c <= G; c++ {
		for _, r := range regs {
			tb.add(func(a *Asm) { a.SetccR(c, r) }, "set%s %s", c, r.Name(W8))
			for _, w := range wide {
				tb.add(func(a *Asm) { a.CmovccRR(w, c, r, R9) }, "cmov%s %s, %s", c, r.Name(w), R9.Name(w))
				tb.add(func(a *Asm) { a.CmovccRR(w, c, RBX, r) }, "cmov%s %s, %s", c, RBX.Name(w), r.Name(w))
			}
		}
		for _, m := range fewMems {
			tb.add(func(a *Asm) { a.SetccM(c, m) }, "set%s %s", c, m.text(W8))
			tb.add(func(a *Asm) { a.CmovccRM(W64, c, RSI, m) }, "cmov%s rsi, %s", c, m.text(W64))
		}
	}
	for _, r := range regs {
		tb.add(func(a *Asm) { a.JmpR(r) }, "jmp %s", r)
		tb.add(func(a *Asm) { a.CallR(r) }, "call %s", r)
	}
	for _, m := range fewMems {
		tb.add(func(a *Asm) { a.JmpM(m) }, "jmp %s", m.text(W64))
		tb.add(func(a *Asm) { a.CallM(m) }, "call %s", m.text(W64))
	}
	tb.add(func(a *Asm) { a.Ret() }, "ret")
	tb.add(func(a *Asm) { a.Ud2() }, "ud2")
	tb.add(func(a *Asm) { a.Endbr64() }, "endbr64")
	tb.compare(t, "cond.golden")
}
