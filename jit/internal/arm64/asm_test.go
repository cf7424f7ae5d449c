package arm64

import (
	"fmt"
	"testing"

	"github.com/skepvm/skep/jit/internal/asmtest"
)

// The tables below hold each method with every operand that changes its
// encoding: both meanings of register 31, and the ends of each field.

var target = asmtest.Target{Triple: "aarch64", Attr: "+lse,+rcpc"}

var (
	widths = []Width{W32, W64}
	sizes  = []Size{S8, S16, S32, S64}
	regs   = []Reg{R0, R1, R7, R18, R30, ZR}
	orders = []Order{Relaxed, Acquire, Release, AcqRel}
)

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

// triples calls f with registers such that each place has each of regs.
func triples(f func(d, n, m Reg)) {
	for _, r := range regs {
		f(r, R3, R4)
		f(R3, r, R4)
		f(R3, R4, r)
	}
}

func TestAdditive(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name    string
		flags   bool
		rrr     func(*Asm, Width, Reg, Reg, Reg)
		shifted func(*Asm, Width, Reg, Reg, Reg, Shift, uint)
		ext     func(*Asm, Width, Reg, Reg, Reg, Extend, uint)
		imm     func(*Asm, Width, Reg, Reg, uint32)
	}{
		{"add", false, (*Asm).Add, (*Asm).AddShifted, (*Asm).AddExt, (*Asm).AddI},
		{"adds", true, (*Asm).Adds, (*Asm).AddsShifted, (*Asm).AddsExt, (*Asm).AddsI},
		{"sub", false, (*Asm).Sub, (*Asm).SubShifted, (*Asm).SubExt, (*Asm).SubI},
		{"subs", true, (*Asm).Subs, (*Asm).SubsShifted, (*Asm).SubsExt, (*Asm).SubsI},
	} {
		for _, w := range widths {
			triples(func(d, n, m Reg) {
				tb.add(func(a *Asm) { op.rrr(a, w, d, n, m) }, "%s %s, %s, %s", op.name, d.Name(w), n.Name(w), m.Name(w))
			})
			for s := LSL; s <= ASR; s++ {
				for _, c := range []uint{1, uint(w.Bits()) - 1} {
					tb.add(func(a *Asm) { op.shifted(a, w, R1, R2, R3, s, c) }, "%s %s, %s, %s, %s #%d",
						op.name, R1.Name(w), R2.Name(w), R3.Name(w), s, c)
				}
			}
			for e := UXTB; e <= SXTX; e++ {
				from := W32
				if e&3 == 3 {
					from = W64
				}
				if w == W32 && from == W64 {
					continue
				}
				for _, c := range []uint{0, 4} {
					tb.add(func(a *Asm) { op.ext(a, w, R1, SP, R3, e, c) }, "%s %s, %s, %s, %s #%d",
						op.name, R1.Name(w), SP.Name(w), R3.Name(from), e, c)
				}
			}
			for _, i := range []uint32{0, 1, 0xfff, 0x1000, 0xfff000} {
				tb.add(func(a *Asm) { op.imm(a, w, R1, SP, i) }, "%s %s, %s, #%d", op.name, R1.Name(w), SP.Name(w), i)
				if !op.flags && i != 0 {
					tb.add(func(a *Asm) { op.imm(a, w, SP, R30, i) }, "%s %s, %s, #%d", op.name, SP.Name(w), R30.Name(w), i)
				}
			}
		}
	}
	for _, w := range widths {
		x, y := R9.Name(w), R30.Name(w)
		tb.add(func(a *Asm) { a.Cmp(w, R9, R30) }, "cmp %s, %s", x, y)
		tb.add(func(a *Asm) { a.CmpShifted(w, R9, R30, ASR, 3) }, "cmp %s, %s, asr #3", x, y)
		tb.add(func(a *Asm) { a.CmpExt(w, R9, R30, SXTH, 2) }, "cmp %s, w30, sxth #2", x)
		tb.add(func(a *Asm) { a.CmpI(w, R9, 0xabc000) }, "cmp %s, #0xabc000", x)
		tb.add(func(a *Asm) { a.Cmn(w, R9, R30) }, "cmn %s, %s", x, y)
		tb.add(func(a *Asm) { a.CmnI(w, R9, 77) }, "cmn %s, #77", x)
		tb.add(func(a *Asm) { a.Neg(w, R9, R30) }, "neg %s, %s", x, y)
		tb.add(func(a *Asm) { a.Adc(w, R9, R30, R1) }, "adc %s, %s, %s", x, y, R1.Name(w))
		tb.add(func(a *Asm) { a.Sbc(w, R9, R30, R1) }, "sbc %s, %s, %s", x, y, R1.Name(w))
	}
	tb.compare(t, "additive.golden")
}

func TestLogical(t *testing.T) {
	tb := newTable()
	for _, op := range []struct {
		name    string
		rrr     func(*Asm, Width, Reg, Reg, Reg)
		shifted func(*Asm, Width, Reg, Reg, Reg, Shift, uint)
		imm     func(*Asm, Width, Reg, Reg, uint64)
	}{
		{"and", (*Asm).And, (*Asm).AndShifted, (*Asm).AndI}, {"bic", (*Asm).Bic, (*Asm).BicShifted, nil},
		{"orr", (*Asm).Orr, (*Asm).OrrShifted, (*Asm).OrrI}, {"orn", (*Asm).Orn, (*Asm).OrnShifted, nil},
		{"eor", (*Asm).Eor, (*Asm).EorShifted, (*Asm).EorI}, {"eon", (*Asm).Eon, (*Asm).EonShifted, nil},
		{"ands", (*Asm).Ands, (*Asm).AndsShifted, (*Asm).AndsI}, {"bics", (*Asm).Bics, (*Asm).BicsShifted, nil},
	} {
		for _, w := range widths {
			triples(func(d, n, m Reg) {
				tb.add(func(a *Asm) { op.rrr(a, w, d, n, m) }, "%s %s, %s, %s", op.name, d.Name(w), n.Name(w), m.Name(w))
			})
			for s := LSL; s <= ROR; s++ {
				for _, c := range []uint{1, uint(w.Bits()) - 1} {
					tb.add(func(a *Asm) { op.shifted(a, w, R1, R2, R3, s, c) }, "%s %s, %s, %s, %s #%d",
						op.name, R1.Name(w), R2.Name(w), R3.Name(w), s, c)
				}
			}
			if op.imm == nil {
				continue
			}
			imms := []uint64{1, 0xff, 0x80000000, 0x55555555, 0x0ff00ff0, 0xfffffffe, 0x80000001}
			if w == W64 {
				imms = []uint64{1, 1 << 63, 0x5555555555555555, 0x0ff00ff00ff00ff0, 0xfffffffffffffffe, 0x8000000180000001, 0xffff00000000ffff}
			}
			for _, i := range imms {
				tb.add(func(a *Asm) { op.imm(a, w, R1, R30, i) }, "%s %s, %s, #%#x", op.name, R1.Name(w), R30.Name(w), i)
			}
		}
	}
	for _, w := range widths {
		x, y := R9.Name(w), R30.Name(w)
		tb.add(func(a *Asm) { a.Tst(w, R9, R30) }, "tst %s, %s", x, y)
		tb.add(func(a *Asm) { a.TstI(w, R9, 0xf0) }, "tst %s, #0xf0", x)
		tb.add(func(a *Asm) { a.Mvn(w, R9, R30) }, "mvn %s, %s", x, y)
		tb.add(func(a *Asm) { a.Mov(w, R9, R30) }, "mov %s, %s", x, y)
		tb.add(func(a *Asm) { a.Mov(w, R9, ZR) }, "mov %s, %s", x, ZR.Name(w))
		for part := uint(0); part < 2<<w; part++ {
			for _, i := range []uint16{0, 1, 0xffff} {
				tb.add(func(a *Asm) { a.Movz(w, R9, i, part) }, "movz %s, #%d, lsl #%d", x, i, 16*part)
				tb.add(func(a *Asm) { a.Movn(w, R9, i, part) }, "movn %s, #%d, lsl #%d", x, i, 16*part)
				tb.add(func(a *Asm) { a.Movk(w, R9, i, part) }, "movk %s, #%d, lsl #%d", x, i, 16*part)
			}
		}
	}
	tb.compare(t, "logical.golden")
}

func TestBits(t *testing.T) {
	tb := newTable()
	for _, w := range widths {
		top := uint(w.Bits()) - 1
		for _, op := range []struct {
			name string
			rrr  func(*Asm, Width, Reg, Reg, Reg)
			imm  func(*Asm, Width, Reg, Reg, uint)
		}{
			{"lsl", (*Asm).Lslv, (*Asm).LslI}, {"lsr", (*Asm).Lsrv, (*Asm).LsrI},
			{"asr", (*Asm).Asrv, (*Asm).AsrI}, {"ror", (*Asm).Rorv, (*Asm).RorI},
		} {
			triples(func(d, n, m Reg) {
				tb.add(func(a *Asm) { op.rrr(a, w, d, n, m) }, "%s %s, %s, %s", op.name, d.Name(w), n.Name(w), m.Name(w))
			})
			for _, c := range []uint{0, 1, 8, 31, top} {
				tb.add(func(a *Asm) { op.imm(a, w, R2, R30, c) }, "%s %s, %s, #%d", op.name, R2.Name(w), R30.Name(w), c)
			}
		}
		for _, op := range []struct {
			name string
			emit func(*Asm, Width, Reg, Reg, uint, uint)
		}{
			{"ubfx", (*Asm).Ubfx}, {"sbfx", (*Asm).Sbfx}, {"ubfiz", (*Asm).Ubfiz}, {"sbfiz", (*Asm).Sbfiz},
			{"bfi", (*Asm).Bfi}, {"bfxil", (*Asm).Bfxil},
		} {
			for _, f := range [][2]uint{{0, 1}, {0, 8}, {3, 7}, {8, 16}, {1, top}, {top, 1}, {0, top}} {
				tb.add(func(a *Asm) { op.emit(a, w, R2, R30, f[0], f[1]) }, "%s %s, %s, #%d, #%d",
					op.name, R2.Name(w), R30.Name(w), f[0], f[1])
			}
		}
		for _, c := range []uint{0, 5, top} {
			tb.add(func(a *Asm) { a.Extr(w, R2, R30, R1, c) }, "extr %s, %s, %s, #%d", R2.Name(w), R30.Name(w), R1.Name(w), c)
		}
		for _, op := range []struct {
			name string
			emit func(*Asm, Width, Reg, Reg)
		}{{"rev", (*Asm).Rev}, {"rev16", (*Asm).Rev16}, {"rbit", (*Asm).Rbit}, {"clz", (*Asm).Clz}} {
			for _, r := range regs {
				tb.add(func(a *Asm) { op.emit(a, w, r, R7) }, "%s %s, %s", op.name, r.Name(w), R7.Name(w))
				tb.add(func(a *Asm) { op.emit(a, w, R7, r) }, "%s %s, %s", op.name, R7.Name(w), r.Name(w))
			}
		}
		tb.add(func(a *Asm) { a.Sxtb(w, R2, R30) }, "sxtb %s, w30", R2.Name(w))
		tb.add(func(a *Asm) { a.Sxth(w, R2, R30) }, "sxth %s, w30", R2.Name(w))
		tb.add(func(a *Asm) { a.FmovToV(w, 31, R7) }, "fmov %c31, %s", "sd"[w], R7.Name(w))
		tb.add(func(a *Asm) { a.FmovFromV(w, R7, 31) }, "fmov %s, %c31", R7.Name(w), "sd"[w])
	}
	tb.add(func(a *Asm) { a.Sxtw(R2, R30) }, "sxtw x2, w30")
	tb.add(func(a *Asm) { a.Uxtb(R2, R30) }, "uxtb w2, w30")
	tb.add(func(a *Asm) { a.Uxth(R2, R30) }, "uxth w2, w30")
	tb.add(func(a *Asm) { a.Rev32(R2, R30) }, "rev32 x2, x30")
	tb.add(func(a *Asm) { a.Cnt(1, 31) }, "cnt v1.8b, v31.8b")
	tb.add(func(a *Asm) { a.Addv(31, 1) }, "addv b31, v1.8b")
	tb.compare(t, "bits.golden")
}

func TestMul(t *testing.T) {
	tb := newTable()
	for _, w := range widths {
		for _, op := range []struct {
			name string
			rrr  func(*Asm, Width, Reg, Reg, Reg)
		}{{"mul", (*Asm).Mul}, {"mneg", (*Asm).Mneg}, {"udiv", (*Asm).Udiv}, {"sdiv", (*Asm).Sdiv}} {
			triples(func(d, n, m Reg) {
				tb.add(func(a *Asm) { op.rrr(a, w, d, n, m) }, "%s %s, %s, %s", op.name, d.Name(w), n.Name(w), m.Name(w))
			})
		}
		for _, r := range []Reg{R0, R18, R30} {
			tb.add(func(a *Asm) { a.Madd(w, R1, R2, R3, r) }, "madd %s, %s, %s, %s", R1.Name(w), R2.Name(w), R3.Name(w), r.Name(w))
			tb.add(func(a *Asm) { a.Msub(w, R1, R2, R3, r) }, "msub %s, %s, %s, %s", R1.Name(w), R2.Name(w), R3.Name(w), r.Name(w))
		}
	}
	for _, r := range []Reg{R0, R18, R30} {
		tb.add(func(a *Asm) { a.Smaddl(r, R2, R3, r) }, "smaddl %s, w2, w3, %s", r, r)
		tb.add(func(a *Asm) { a.Umaddl(r, R2, R3, r) }, "umaddl %s, w2, w3, %s", r, r)
		tb.add(func(a *Asm) { a.Smull(R1, r, r) }, "smull x1, %s, %s", r.Name(W32), r.Name(W32))
		tb.add(func(a *Asm) { a.Umull(R1, r, r) }, "umull x1, %s, %s", r.Name(W32), r.Name(W32))
		tb.add(func(a *Asm) { a.Smulh(R1, r, r) }, "smulh x1, %s, %s", r, r)
		tb.add(func(a *Asm) { a.Umulh(R1, r, r) }, "umulh x1, %s, %s", r, r)
	}
	tb.compare(t, "mul.golden")
}

// suffix is what a mnemonic has for narrow accesses.
func (s Size) suffix() string { return [...]string{"b", "h", "", ""}[s] }

func (s Size) width() Width {
	if s == S64 {
		return W64
	}
	return W32
}

// text returns m in assembly text.
func (m Mem) text(s Size) string {
	switch m.mode {
	case pre:
		return fmt.Sprintf("[%s, #%d]!", m.base, m.disp)
	case post:
		return fmt.Sprintf("[%s], #%d", m.base, m.disp)
	case register:
		from := W32
		ext := m.extend.String()
		if m.extend&1 != 0 {
			from = W64
		}
		if m.extend == UXTX {
			ext = "lsl"
			if !m.scaled {
				return fmt.Sprintf("[%s, %s]", m.base, m.index.Name(from))
			}
		}
		if m.scaled {
			return fmt.Sprintf("[%s, %s, %s #%d]", m.base, m.index.Name(from), ext, s)
		}
		return fmt.Sprintf("[%s, %s, %s]", m.base, m.index.Name(from), ext)
	}
	return fmt.Sprintf("[%s, #%d]", m.base, m.disp)
}

func TestMem(t *testing.T) {
	tb := newTable()
	for _, s := range sizes {
		var mems []Mem
		for _, base := range []Reg{R0, R30, SP} {
			for _, d := range []int32{0, 1, 255, -1, -256, 1 << s, 4095 << s, 8, 256} {
				if FitsOffset(s, d) {
					mems = append(mems, At(base, d))
				}
			}
			for _, e := range []Extend{UXTW, UXTX, SXTW, SXTX} {
				mems = append(mems, Indexed(base, R30, e, Bytes), Indexed(base, R1, e, Elements))
			}
			for _, d := range []int32{-256, -8, 0, 8, 255} {
				mems = append(mems, Pre(base, d), Post(base, d))
			}
		}
		for _, m := range mems {
			unscaled := m.mode == offset && (m.disp < 0 || m.disp&(1<<s-1) != 0)
			ld, st := "ldr", "str"
			if unscaled {
				ld, st = "ldur", "stur"
			}
			// A base that changes may not be the register that is loaded.
			for _, r := range []Reg{R3, ZR} {
				tb.add(func(a *Asm) { a.Ldr(s, r, m) }, "%s%s %s, %s", ld, s.suffix(), r.Name(s.width()), m.text(s))
				tb.add(func(a *Asm) { a.Str(s, r, m) }, "%s%s %s, %s", st, s.suffix(), r.Name(s.width()), m.text(s))
			}
			for _, w := range widths {
				if s < S32 || s == S32 && w == W64 {
					sfx := [...]string{"b", "h", "w"}[s]
					tb.add(func(a *Asm) { a.Ldrs(w, s, R3, m) }, "%ss%s %s, %s", ld, sfx, R3.Name(w), m.text(s))
				}
			}
		}
	}
	for _, w := range widths {
		for _, base := range []Reg{R0, SP} {
			for _, d := range []int32{0, 4 << w, -64 * (4 << w), 63 * (4 << w)} {
				for _, m := range []Mem{At(base, d), Pre(base, d), Post(base, d)} {
					tb.add(func(a *Asm) { a.Ldp(w, R3, R30, m) }, "ldp %s, %s, %s", R3.Name(w), R30.Name(w), m.text(0))
					tb.add(func(a *Asm) { a.Stp(w, R3, ZR, m) }, "stp %s, %s, %s", R3.Name(w), ZR.Name(w), m.text(0))
				}
			}
		}
	}
	tb.compare(t, "mem.golden")
}

func TestAtomic(t *testing.T) {
	tb := newTable()
	for _, s := range sizes {
		w := s.width()
		for _, base := range []Reg{R0, R30, SP} {
			for _, op := range []struct {
				name string
				emit func(*Asm, Size, Reg, Reg)
			}{{"ldar", (*Asm).Ldar}, {"stlr", (*Asm).Stlr}, {"ldapr", (*Asm).Ldapr}} {
				tb.add(func(a *Asm) { op.emit(a, s, R7, base) }, "%s%s %s, [%s]", op.name, s.suffix(), R7.Name(w), base)
			}
			tb.add(func(a *Asm) { a.Ldxr(s, Relaxed, R7, base) }, "ldxr%s %s, [%s]", s.suffix(), R7.Name(w), base)
			tb.add(func(a *Asm) { a.Ldxr(s, Acquire, R7, base) }, "ldaxr%s %s, [%s]", s.suffix(), R7.Name(w), base)
			tb.add(func(a *Asm) { a.Stxr(s, Relaxed, R9, R7, base) }, "stxr%s w9, %s, [%s]", s.suffix(), R7.Name(w), base)
			tb.add(func(a *Asm) { a.Stxr(s, Release, R9, R7, base) }, "stlxr%s w9, %s, [%s]", s.suffix(), R7.Name(w), base)
			for _, o := range orders {
				order := [...]string{"", "a", "l", "al"}[o]
				for _, op := range []struct {
					name string
					emit func(*Asm, Size, Order, Reg, Reg, Reg)
				}{
					{"ldadd", (*Asm).Ldadd}, {"ldclr", (*Asm).Ldclr}, {"ldeor", (*Asm).Ldeor}, {"ldset", (*Asm).Ldset},
					{"swp", (*Asm).Swp}, {"cas", (*Asm).Cas},
				} {
					for _, r := range []Reg{R2, R29, ZR} {
						tb.add(func(a *Asm) { op.emit(a, s, o, R7, r, base) }, "%s%s%s %s, %s, [%s]",
							op.name, order, s.suffix(), R7.Name(w), r.Name(w), base)
					}
				}
			}
		}
	}
	tb.add(func(a *Asm) { a.Clrex() }, "clrex")
	tb.add(func(a *Asm) { a.Dmb(ISH) }, "dmb ish")
	tb.add(func(a *Asm) { a.Dmb(ISHLD) }, "dmb ishld")
	tb.add(func(a *Asm) { a.Dmb(ISHST) }, "dmb ishst")
	tb.add(func(a *Asm) { a.Isb() }, "isb")
	tb.add(func(a *Asm) { a.Csdb() }, "csdb")
	tb.add(func(a *Asm) { a.Yield() }, "yield")
	tb.compare(t, "atomic.golden")
}

func TestCond(t *testing.T) {
	tb := newTable()
	for _, w := range widths {
		for c := EQ; c <= LE; c++ {
			for _, op := range []struct {
				name string
				emit func(*Asm, Width, Reg, Reg, Reg, Cond)
			}{{"csel", (*Asm).Csel}, {"csinc", (*Asm).Csinc}, {"csinv", (*Asm).Csinv}, {"csneg", (*Asm).Csneg}} {
				triples(func(d, n, m Reg) {
					tb.add(func(a *Asm) { op.emit(a, w, d, n, m, c) }, "%s %s, %s, %s, %s", op.name, d.Name(w), n.Name(w), m.Name(w), c)
				})
			}
			tb.add(func(a *Asm) { a.Cset(w, R30, c) }, "cset %s, %s", R30.Name(w), c)
			tb.add(func(a *Asm) { a.Csetm(w, R30, c) }, "csetm %s, %s", R30.Name(w), c)
			tb.add(func(a *Asm) { a.Cinc(w, R30, R7, c) }, "cinc %s, %s, %s", R30.Name(w), R7.Name(w), c)
			tb.add(func(a *Asm) { a.Cneg(w, R30, R7, c) }, "cneg %s, %s, %s", R30.Name(w), R7.Name(w), c)
			for _, f := range []Flags{0, FlagV, FlagC, FlagZ, FlagN, 15} {
				tb.add(func(a *Asm) { a.Ccmp(w, R30, R7, f, c) }, "ccmp %s, %s, #%d, %s", R30.Name(w), R7.Name(w), f, c)
				tb.add(func(a *Asm) { a.Ccmn(w, R7, R30, f, c) }, "ccmn %s, %s, #%d, %s", R7.Name(w), R30.Name(w), f, c)
				tb.add(func(a *Asm) { a.CcmpI(w, R30, 31, f, c) }, "ccmp %s, #31, #%d, %s", R30.Name(w), f, c)
				tb.add(func(a *Asm) { a.CcmnI(w, R7, 1, f, c) }, "ccmn %s, #1, #%d, %s", R7.Name(w), f, c)
			}
		}
	}
	for _, r := range []Reg{R0, R17, R30} {
		tb.add(func(a *Asm) { a.Br(r) }, "br %s", r)
		tb.add(func(a *Asm) { a.Blr(r) }, "blr %s", r)
	}
	tb.add(func(a *Asm) { a.Ret() }, "ret")
	tb.add(func(a *Asm) { a.Nop() }, "nop")
	tb.add(func(a *Asm) { a.Brk(0xffff) }, "brk #0xffff")
	tb.compare(t, "cond.golden")
}
