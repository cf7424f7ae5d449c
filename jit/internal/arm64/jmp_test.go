package arm64

import (
	"fmt"
	"os"
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
	{"tbz", func(a *Asm, l emit.Label) { a.Tbz(R30, 63, l) }, "tbz x30, #0x3f,", "tbnz x30, #0x3f,", reach14},
	{"tbz low", func(a *Asm, l emit.Label) { a.Tbz(R3, 7, l) }, "tbz w3, #0x7,", "tbnz w3, #0x7,", reach14},
	{"tbnz", func(a *Asm, l emit.Label) { a.Tbnz(R9, 31, l) }, "tbnz w9, #0x1f,", "tbz w9, #0x1f,", reach14},
	{"adr", func(a *Asm, l emit.Label) { a.Adr(R17, l) }, "adr x17,", "", reach21},
}

// TestBranches reads back, with llvm-objdump, each kind of branch at distances
// round the limits of its near form, and checks form and target.
func TestBranches(t *testing.T) {
	if testing.Short() {
		t.Skip("disassembles hundreds of megabytes, for the far forms; skipped with -short")
	}
	d := newDisassembler(t)
	for _, tc := range branches {
		dists := []int{0, 4, 8, 100}
		if tc.reach < reach26 {
			for _, x := range []int{-8, -4, 0, 4, 8} {
				dists = append(dists, tc.reach+x)
			}
		}
		for _, gap := range dists {
			for _, back := range []bool{false, true} {
				name := fmt.Sprintf("%s %d back=%v", tc.name, gap, back)
				a := NewAsm()
				l := a.NewLabel()
				at, target := 0, 0
				if back {
					a.Bind(l)
					a.PutBytes(nops(gap))
					at = gap
					tc.emit(a, l)
				} else {
					tc.emit(a, l)
					a.PutBytes(nops(gap))
					a.Bind(l)
				}
				near := gap <= tc.reach-8
				if back {
					near = gap <= tc.reach
				}
				a.Nop()
				code, err := a.Finish()
				if tc.far == "" && !near {
					if err == nil {
						t.Errorf("%s: no error", name)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if !back {
					target = gap + 4
					if !near {
						target += 4
					}
				}
				var want []string
				if near {
					want = []string{fmt.Sprintf("%s %#x", tc.text, target)}
				} else {
					want = []string{fmt.Sprintf("%s %#x", tc.far, at+8), fmt.Sprintf("b %#x", target)}
				}
				if got := d.lines(code, at, len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		}
	}
}

func nops(size int) []byte {
	p := make([]byte, size)
	pad(p)
	return p
}

// A disassembler runs llvm-objdump.
type disassembler struct {
	t                *testing.T
	objdump, objcopy string
	dir              string
}

func newDisassembler(t *testing.T) *disassembler {
	d := &disassembler{t: t, dir: t.TempDir()}
	for name, path := range map[string]*string{"llvm-objdump-19": &d.objdump, "llvm-objcopy-19": &d.objcopy} {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	return d
}

// lines returns the text of n instructions from off on.
func (d *disassembler) lines(code []byte, off, n int) (lines []string) {
	d.t.Helper()
	bin, obj := d.dir+"/code.bin", d.dir+"/code.o"
	if err := os.WriteFile(bin, code, 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.run(d.objcopy, "-I", "binary", "-O", "elf64-littleaarch64", "--rename-section=.data=.text,code", bin, obj)
	out := d.run(d.objdump, "-d", "--no-show-raw-insn", "--no-leading-addr", "--print-imm-hex",
		fmt.Sprintf("--start-address=%d", off), fmt.Sprintf("--stop-address=%d", off+4*n), obj)
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
			continue
		}
		line, _, _ = strings.Cut(line, "<")
		line, _, _ = strings.Cut(line, "//")
		lines = append(lines, strings.TrimPrefix(strings.Join(strings.Fields(line), " "), "#"))
	}
	for i := range lines {
		lines[i] = strings.Replace(lines[i], "adr x17, #", "adr x17, ", 1)
	}
	return lines
}

func (d *disassembler) run(name string, args ...string) string {
	d.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%.2000s", name, err, out)
	}
	return string(out)
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
