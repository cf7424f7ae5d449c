package arm64

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/skepvm/skep/jit/internal/emit"
)

// branches are all kinds of references, with their reach backwards.
var branches = []struct {
	name  string
	emit  func(a *Asm, l emit.Label)
	text  string // of the near form, without its target
	far   string // of the branch round the far form
	reach int
}{
	{"b", (*Asm).B, "b", "", reach26},
	{"bl", (*Asm).Bl, "bl", "", reach26},
	{"b.ne", func(a *Asm, l emit.Label) { a.BCond(NE, l) }, "b.ne", "b.eq", reach19},
	{"b.lt", func(a *Asm, l emit.Label) { a.BCond(LT, l) }, "b.lt", "b.ge", reach19},
	{"cbz", func(a *Asm, l emit.Label) { a.Cbz(W64, R30, l) }, "cbz x30,", "cbnz x30,", reach19},
	{"cbnz", func(a *Asm, l emit.Label) { a.Cbnz(W32, R1, l) }, "cbnz w1,", "cbz w1,", reach19},
	{"tbz", func(a *Asm, l emit.Label) { a.Tbz(R30, 63, l) }, "tbz x30, #63,", "tbnz x30, #63,", reach14},
	{"tbz low", func(a *Asm, l emit.Label) { a.Tbz(R3, 7, l) }, "tbz w3, #7,", "tbnz w3, #7,", reach14},
	{"tbnz", func(a *Asm, l emit.Label) { a.Tbnz(R9, 31, l) }, "tbnz w9, #31,", "tbz w9, #31,", reach14},
	{"adr", func(a *Asm, l emit.Label) { a.Adr(R17, l) }, "adr x17,", "", reach21},
}

// TestBranches reads back, with llvm-mc, each kind of branch at distances round
// the limits of its near form, and checks form and distance.
func TestBranches(t *testing.T) {
	var words []byte
	var names, want []string
	expect := func(name string, code []byte, text ...string) {
		words = append(words, code[:4*len(text)]...)
		for _, x := range text {
			names, want = append(names, name), append(want, x)
		}
	}
	a := NewAsm()
	for _, tc := range branches {
		gaps := []int{0, 4, 8, 100}
		if tc.reach < reach26 {
			for _, x := range []int{-8, -4, 0, 4, 8} {
				gaps = append(gaps, tc.reach+x)
			}
		}
		for _, gap := range gaps {
			for _, back := range []bool{false, true} {
				name := fmt.Sprintf("%s %d back=%v", tc.name, gap, back)
				a.Reset()
				l := a.NewLabel()
				at, near := 0, gap+4 < tc.reach
				if back {
					a.Bind(l)
					a.PutBytes(nops(gap))
					at, near = gap, gap <= tc.reach
					tc.emit(a, l)
				} else {
					tc.emit(a, l)
					a.PutBytes(nops(gap))
					a.Bind(l)
				}
				a.Nop()
				code, err := a.Finish()
				dist := gap + 4
				if back {
					dist = -gap
				}
				switch {
				case near && err == nil:
					expect(name, code[at:], fmt.Sprintf("%s #%d", tc.text, dist))
				case !near && tc.far != "" && err == nil:
					if back {
						dist -= 4 // from the second instruction
					}
					expect(name, code[at:], tc.far+" #8", fmt.Sprintf("b #%d", dist))
				case near || tc.far != "":
					t.Errorf("%s: %v", name, err)
				case err == nil:
					t.Errorf("%s: no error", name)
				}
			}
		}
	}
	got := disassemble(t, words)
	if len(got) != len(want) {
		t.Fatalf("%d instructions, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: got %q, want %q", names[i], got[i], want[i])
		}
	}
}

func nops(size int) []byte {
	p := make([]byte, size)
	pad(p)
	return p
}

// disassemble returns the text of each instruction.
func disassemble(t *testing.T, code []byte) (lines []string) {
	t.Helper()
	llvm, err := exec.LookPath("llvm-mc-19")
	if err != nil {
		t.Skip("llvm-mc-19 is not installed")
	}
	cmd := exec.Command(llvm, "-disassemble", "-triple=aarch64")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("% #x", code))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '.' {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestAlign checks that padding is whole instructions that do nothing.
func TestAlign(t *testing.T) {
	a := NewAsm()
	for range 3 {
		a.Nop()
		a.Align(32)
		a.Brk(1)
	}
	code, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(code); i += 4 {
		w := uint32(code[i]) | uint32(code[i+1])<<8 | uint32(code[i+2])<<16 | uint32(code[i+3])<<24
		want := uint32(nop)
		if i > 0 && i%32 == 0 {
			want = 0xd4200020
		}
		if w != want {
			t.Errorf("at %d: %#08x, want %#08x", i, w, want)
		}
	}
	if len(code) != 3*32+4 {
		t.Errorf("%d bytes", len(code))
	}
}

// BenchmarkEmit writes a typical mix of instructions; the figure is per
// instruction, resolving labels included.
func BenchmarkEmit(b *testing.B) {
	a := NewAsm()
	const insns = 4000
	b.ReportAllocs()
	for b.Loop() {
		a.Reset()
		for i := 0; i < insns/8; i++ {
			a.Mark(emit.PC(i))
			a.Ldr(S64, R0, At(R25, 64))
			a.Add(W32, R1, R0, R2)
			a.AddI(W64, R3, R3, 1000)
			a.Ldr(S8, R4, Indexed(R5, R3, UXTX, Bytes))
			a.CmpI(W32, R4, 17)
			next := a.NewLabel()
			a.BCond(NE, next)
			a.AndI(W64, R6, R4, 0xff00)
			a.Bind(next)
			a.Str(S32, R6, At(R24, -16))
		}
		if _, err := a.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/insns, "ns/insn")
}
