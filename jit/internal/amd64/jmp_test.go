package amd64

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"os/exec"
	"strings"
	"testing"

	"github.com/skepvm/skep/jit/internal/emit"
)

// TestBranchDistance checks, for each distance round the limits of the short
// form, that a jump has the shortest form that reaches, and reaches its target.
func TestBranchDistance(t *testing.T) {
	for _, tc := range []struct {
		name        string
		emit        func(a *Asm, l emit.Label)
		short, near string // hex of the opcode
	}{
		{"jmp", (*Asm).JmpL, "eb", "e9"},
		{"jne", func(a *Asm, l emit.Label) { a.JccL(NE, l) }, "75", "0f85"},
		{"jg", func(a *Asm, l emit.Label) { a.JccL(G, l) }, "7f", "0f8f"},
	} {
		for _, gap := range []int{0, 1, 100, 123, 124, 125, 126, 127, 128, 129, 130, 131, 1000} {
			t.Run(fmt.Sprintf("%s forward %d", tc.name, gap), func(t *testing.T) {
				a := NewAsm()
				l := a.NewLabel()
				tc.emit(a, l)
				a.PutBytes(make([]byte, gap))
				a.Bind(l)
				code := finish(t, a)
				checkJump(t, code, 0, gap, gap <= 127, tc.short, tc.near)
			})
			t.Run(fmt.Sprintf("%s backward %d", tc.name, gap), func(t *testing.T) {
				a := NewAsm()
				l := a.NewLabel()
				a.Bind(l)
				a.PutBytes(make([]byte, gap))
				tc.emit(a, l)
				code := finish(t, a)
				checkJump(t, code, gap, -len(code), gap+2 <= 128, tc.short, tc.near)
			})
		}
	}
}

func finish(t *testing.T, a *Asm) []byte {
	t.Helper()
	code, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func checkJump(t *testing.T, code []byte, at, dist int, isShort bool, short, near string) {
	t.Helper()
	want := near
	if isShort {
		want = short
	}
	n := len(want) / 2
	if got := fmt.Sprintf("%x", code[at:at+n]); got != want {
		t.Fatalf("opcode %s, want %s", got, want)
	}
	var got int
	if isShort {
		got = int(int8(code[at+n]))
	} else {
		got = int(int32(binary.LittleEndian.Uint32(code[at+n:])))
	}
	if got != dist {
		t.Fatalf("distance %d, want %d", got, dist)
	}
}

// TestRelaxation writes random code full of jumps and alignments, and checks
// with llvm-objdump that each jump arrives where it should: at an instruction
// that loads the number of its label.
func TestRelaxation(t *testing.T) {
	objdump, err := exec.LookPath("llvm-objdump-19")
	if err != nil {
		t.Skip("llvm-objdump-19 is not installed")
	}
	objcopy, err := exec.LookPath("llvm-objcopy-19")
	if err != nil {
		t.Skip("llvm-objcopy-19 is not installed")
	}
	rng := rand.New(rand.NewSource(1))
	a := NewAsm()
	for round := range 5 {
		a.Reset()
		const labels = 200
		first := a.NewLabels(labels)
		var want []emit.Label // by jump, in order
		for i := range labels {
			if rng.Intn(4) == 0 {
				a.Align(16)
			}
			a.Mark(emit.PC(i))
			a.Bind(first + emit.Label(i))
			a.MovRI(RAX, uint64(i))
			for range rng.Intn(6) {
				l := first + emit.Label(max(0, min(labels-1, i+rng.Intn(30)-15)))
				switch rng.Intn(3) {
				case 0:
					a.JmpL(l)
				case 1:
					a.JccL(Cond(rng.Intn(16)), l)
				default:
					a.LeaL(Reg(rng.Intn(16)), l)
				}
				want = append(want, l)
			}
		}
		code := finish(t, a)
		targets := disassemble(t, objdump, objcopy, code)
		if len(targets) != len(want) {
			t.Fatalf("round %d: %d jumps, want %d", round, len(targets), len(want))
		}
		pcs := a.PCMap()
		for i, l := range want {
			off := a.Offset(l)
			if targets[i] != int(off) {
				t.Fatalf("round %d: jump %d goes to %#x, its label is at %#x", round, i, targets[i], off)
			}
			if got := binary.LittleEndian.Uint32(code[off+1:]); code[off] != 0xb8 || got != uint32(l-first) {
				t.Fatalf("round %d: label %d is at % x", round, l, code[off:off+5])
			}
			if pc, ok := pcs.PC(off); !ok || pc != emit.PC(l-first) {
				t.Fatalf("round %d: code of label %d belongs to %d, %v", round, l, pc, ok)
			}
		}
	}
}

// disassemble returns the targets of the jumps and RIP-relative LEAs in code.
func disassemble(t *testing.T, objdump, objcopy string, code []byte) []int {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir+"/code.bin", code)
	run(t, objcopy, "-I", "binary", "-O", "elf64-x86-64", "--rename-section=.data=.text,code", dir+"/code.bin", dir+"/code.o")
	out := run(t, objdump, "-d", "--no-show-raw-insn", "--no-leading-addr", "--print-imm-hex", dir+"/code.o")
	var targets []int
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 || (f[0][0] != 'j' && f[0] != "leaq") {
			continue
		}
		var target int
		arg := f[1]
		if f[0] == "leaq" { // leaq 0x10(%rip), %rax   # 0x20 <...>
			_, arg, _ = strings.Cut(line, "# ")
		}
		if _, err := fmt.Sscanf(arg, "0x%x", &target); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		targets = append(targets, target)
	}
	return targets
}

func TestPad(t *testing.T) {
	objdump, err := exec.LookPath("llvm-mc-19")
	if err != nil {
		t.Skip("llvm-mc-19 is not installed")
	}
	for n := 1; n < 20; n++ {
		p := make([]byte, n)
		pad(p)
		cmd := exec.Command(objdump, "-disassemble", "-triple=x86_64")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("% #x", p))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := 0
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, ".") {
				continue
			}
			lines++
			if !strings.HasPrefix(line, "nop") && line != "xchgw\t%ax, %ax" {
				t.Errorf("padding of %d bytes has %q", n, line)
			}
		}
		if want := (n + len(nops) - 2) / (len(nops) - 1); lines != want {
			t.Errorf("padding of %d bytes has %d instructions, want %d", n, lines, want)
		}
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
		l := a.NewLabel()
		for i := 0; i < insns/8; i++ {
			a.Mark(emit.PC(i))
			a.MovRM(W64, RAX, At(R13, 64))
			a.AddRR(W32, RCX, RAX)
			a.AddRI(W64, RBX, 1000)
			a.MovzxRM(W8, RDX, Indexed(RSI, RBX, 1, 14))
			a.CmpRI(W32, RDX, 17)
			next := a.NewLabel()
			a.JccL(NE, next)
			a.ShlxRRR(W64, R8, RDX, RCX)
			a.Bind(next)
			a.MovMR(W32, At(R12, -16), R8)
		}
		a.Bind(l)
		if _, err := a.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/insns, "ns/insn")
}
