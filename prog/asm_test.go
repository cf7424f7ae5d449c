package prog

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/internal/isa"
)

// instance returns a valid instruction of form f with random fields.
func instance(f *isa.Form, r *rand.Rand) []Insn {
	in, next := Insn{Op: f.Op}, Insn{}
	pick := func(name string, n int32) int32 {
		if v, ok := f.Fixed(name); ok {
			return v
		}
		return n
	}
	number := func() int32 {
		edges := []int32{0, 1, -1, 1 << 30, -1 << 31, 1<<31 - 1, 255, -128}
		if r.IntN(2) == 0 {
			return edges[r.IntN(len(edges))]
		}
		return int32(r.Uint32())
	}
	reg := func(use isa.Use) int32 {
		if use&isa.Write != 0 {
			return r.Int32N(NumRegs - 1)
		}
		return r.Int32N(NumRegs)
	}
	in.Dst = Reg(pick("dst", reg(f.Dst)))
	in.Src = Reg(pick("src", reg(f.Src)))
	in.Off = int16(pick("off", number()))
	in.Imm = pick("imm", number())
	next.Imm = pick("next", number())
	if in.IsWide() {
		return []Insn{in, next}
	}
	return []Insn{in}
}

// TestFormatAssemble checks that the printer and the assembler are each
// other's inverse, on every form.
func TestFormatAssemble(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		for range 50 {
			want := instance(f, r)
			text := Format(want[0], append(want, Insn{})[1])
			got, err := Assemble(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s: %s", text, d)
			}
		}
	}
}

// TestAssembleLLVM checks the texts that clang writes against what its own
// assembler makes of them (llvm-mc 19 -triple bpfel -mcpu=v4 -show-encoding;
// the kernel's spelling where llvm-mc has none).
func TestAssembleLLVM(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc-19")
	if err != nil {
		t.Skip("no llvm-mc-19 to compare with")
	}
	texts := []string{
		"r1 = 5", "r1 = -5", "w1 = 7", "r3 = r4", "w3 = w4", "r1 = 0x123456789abcdef0 ll", "r1 = -1 ll",
		"r1 += r2", "r1 -= 7", "r1 *= r2", "r1 /= 3", "r1 |= r9", "r1 &= 15", "r1 <<= 3", "r1 >>= r2", "r1 %= 5", "r1 ^= r0", "r1 s>>= 4",
		"w1 += w2", "w1 -= 7", "w1 *= w2", "w1 /= 3", "w1 |= w9", "w1 &= 15", "w1 <<= 3", "w1 >>= w2", "w1 %= 5", "w1 ^= w0", "w1 s>>= 4",
		"r1 s/= r2", "r1 s%= r2", "w1 s/= w2", "w1 s%= w2", "r1 s/= 5", "w1 s%= 6",
		"r1 = -r1", "w1 = -w1", "r1 = (s8)r2", "r1 = (s16)r2", "r1 = (s32)r2", "w1 = (s8)w2", "w1 = (s16)w2",
		"r1 = be16 r1", "r1 = be32 r1", "r1 = be64 r1", "r1 = le16 r1", "r1 = le32 r1", "r1 = le64 r1",
		"r1 = bswap16 r1", "r1 = bswap32 r1", "r1 = bswap64 r1",
		"r1 = *(u8 *)(r2 + 3)", "r1 = *(u16 *)(r2 - 4)", "r1 = *(u32 *)(r2 + 0x8)", "r1 = *(u64 *)(r10 - 8)",
		"w1 = *(u8 *)(r2 + 3)", "w1 = *(u16 *)(r2 - 4)", "w1 = *(u32 *)(r2 + 8)",
		"r1 = *(s8 *)(r2 + 3)", "r1 = *(s16 *)(r2 + 4)", "r1 = *(s32 *)(r2 + 8)",
		"*(u8 *)(r2 + 3) = r4", "*(u16 *)(r2 + 4) = r4", "*(u32 *)(r2 + 8) = r4", "*(u64 *)(r10 - 8) = r4",
		"*(u8 *)(r2 + 3) = w4", "*(u32 *)(r2 + 8) = w4",
		"*(u8 *)(r2 + 3) = 4", "*(u16 *)(r2 + 3) = -4", "*(u32 *)(r2 + 8) = 4", "*(u64 *)(r10 - 8) = -4",
		"lock *(u64 *)(r1 + 8) += r2", "lock *(u32 *)(r1 + 8) += w2", "lock *(u64 *)(r1 + 8) &= r2", "lock *(u32 *)(r1 + 8) |= w2", "lock *(u64 *)(r1 + 8) ^= r2",
		"r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)", "w2 = atomic_fetch_add((u32 *)(r1 + 8), w2)", "r2 = atomic_fetch_xor((u64 *)(r1 + 8), r2)",
		"w2 = atomic_fetch_or((u32 *)(r1 + 8), w2)", "r2 = atomic_fetch_and((u64 *)(r1 + 8), r2)",
		"r2 = xchg_64(r1 + 8, r2)", "w2 = xchg32_32(r1 + 8, w2)", "r0 = cmpxchg_64(r1 + 8, r0, r2)", "w0 = cmpxchg32_32(r1 + 8, w0, w2)",
		"r0 = *(u8 *)skb[5]", "r0 = *(u16 *)skb[5]", "r0 = *(u32 *)skb[r3]",
		"goto +3", "gotol +7000", "may_goto +2", "if r1 == 5 goto +1", "if r1 s> r2 goto -1", "if w1 != 0x10 goto +1", "if w1 s<= w2 goto +4", "if r1 & 8 goto +1",
		"if r1 > -1 goto +1", "if r1 < r2 goto +1", "if r1 >= 1 goto +1", "if r1 <= 1 goto +1", "if r1 s< 1 goto +1", "if r1 s>= 1 goto +1",
		"call 5", "callx r3", "exit",
	}
	codes := llvmCodes(t, mc, strings.Join(texts, "\n")+"\n")
	if len(codes) != len(texts) {
		t.Fatalf("llvm-mc made %d instructions of %d", len(codes), len(texts))
	}
	for i, text := range texts {
		got, err := Assemble(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(codes[i], Encode(got)); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// llvmCodes returns the encodings that llvm-mc shows for the lines of text.
func llvmCodes(t *testing.T, mc, text string) [][]byte {
	t.Helper()
	cmd := exec.Command(mc, "-triple", "bpfel", "-mcpu=v4", "-show-encoding")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var codes [][]byte
	for _, part := range strings.Split(string(out), "encoding: [")[1:] {
		list, _, _ := strings.Cut(part, "]")
		code, err := hex.DecodeString(strings.NewReplacer("0x", "", ",", "").Replace(list))
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, code)
	}
	return codes
}

func TestAssembleProgram(t *testing.T) {
	got, err := Assemble(`
; a program with everything that refers to a place
main:	r6 = r1            # comment
loop:
	r6 += -1
	if r6 != 0 goto loop   // back
	if w6 s> 0xffffffff goto out
	gotol out
	call twice
	r2 = subprog[twice]#twice
	r1 = map[0][0]+8#data
	call bpf_map_lookup_elem#1
out: exit
  0000000000000068 <twice>:
	14: (bf) r0 = r1
	15: (18) r2 = 0x5
	17: (05) goto pc+0 <twice+0x8>
	exit
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Insn{
		{Op: 0xbf, Dst: 6, Src: 1},
		{Op: 0x07, Dst: 6, Imm: -1},
		{Op: 0x55, Dst: 6, Off: -2},
		{Op: 0x66, Dst: 6, Off: 7, Imm: -1},
		{Op: 0x06, Imm: 6},
		{Op: 0x85, Src: 1, Imm: 6},
		{Op: 0x18, Dst: 2, Src: 4, Imm: 5}, {},
		{Op: 0x18, Dst: 1, Src: 2}, {Imm: 8},
		{Op: 0x85, Imm: 1},
		{Op: 0x95},
		{Op: 0xbf, Dst: 0, Src: 1},
		{Op: 0x18, Dst: 2, Imm: 5}, {},
		{Op: 0x05},
		{Op: 0x95},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAssembleErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"r1 = r2\nfoo", "line 2: foo: no such instruction"},
		{"r1 = 0xffffffff", "line 1: r1 = 0xffffffff: 4294967295 is outside -2147483648 to 2147483647"},
		{"w1 = 0x1ffffffff", "line 1: w1 = 0x1ffffffff: 8589934591 is outside -2147483648 to 4294967295"},
		{"r11 = 1", "line 1: register r11: they go from r0 to r10"},
		{"r10 = 1", "line 1: r10 = 1: mov: dst is 10, the frame pointer, which is read-only"},
		{"r1 = -r2", "line 1: r1 = -r2: no such instruction"},
		{"r1 = be24 r1", "line 1: r1 = be24 r1: no such instruction"},
		{"goto nowhere", "line 1: label nowhere is not defined"},
		{"a: exit\na: exit", "line 2: label a is defined twice"},
		{"goto +40000", "line 1: goto +40000: 40000 is outside -32768 to 32767"},
		{"r1 = 1 ll ll", "line 1: r1 = 1 ll ll: no such instruction"},
		{"r1 = 99999999999999999999 ll", "line 1: number 99999999999999999999: not an integer of 64 bits"},
		{"r1 = 0x ll", "line 1: number 0x: not an integer of 64 bits"},
		{"if w1 == r2 goto +1", "line 1: if w1 == r2 goto +1: no such instruction"},
		{"r1 = é", "line 1: character 'Ã'"},
	} {
		_, err := Assemble(tc.text)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q: got %v, want %s", tc.text, err, tc.want)
		}
	}
	far := "a:" + strings.Repeat("exit\n", 40000) + "goto a"
	if _, err := Assemble(far); err == nil || err.Error() != "line 40001: label a is -40001 slots away: beyond 16 bits, use gotol" {
		t.Errorf("far label: %v", err)
	}
	if _, err := Assemble(strings.Repeat("exit\n", MaxInsns+1)); err == nil {
		t.Error("a program over the limit was assembled")
	}
}

func FuzzAssemble(f *testing.F) {
	seeds, _ := filepath.Glob("../testdata/conformance/*.data")
	for _, s := range seeds[:min(len(seeds), 20)] {
		if b, err := os.ReadFile(s); err == nil {
			f.Add(string(b))
		}
	}
	f.Add("l: if r1 s>= -5 goto l\nr1 = *(u8 *)skb[r2 + -1]\ncall l\nr0 = map[1][0]+7 ; x\n 3: (18) r1 = 0x5")
	f.Fuzz(func(t *testing.T, text string) {
		insns, err := Assemble(text)
		if err != nil {
			return
		}
		for pc := 0; pc < len(insns); pc++ {
			next := Insn{}
			wide := insns[pc].IsWide()
			if wide {
				next = insns[pc+1]
			}
			s := Format(insns[pc], next)
			again, err := Assemble(s)
			if err != nil || again[0] != insns[pc] || wide && again[1] != next {
				t.Errorf("%s: assembles to %v, %v", s, again, err)
			}
			if wide {
				pc++
			}
		}
	})
}
