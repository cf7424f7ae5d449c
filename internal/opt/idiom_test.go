package opt_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// prepare returns the XDP program with the given text for lowering.
func prepare(t *testing.T, text string, specs ...*maps.Spec) *opt.Program {
	t.Helper()
	return prepareAs(t, linux.XDP, text, specs...)
}

func prepareAs(t *testing.T, typ *hook.Type, text string, specs ...*maps.Spec) *opt.Program {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("p", typ, insns, specs)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := verifier.Verify(context.Background(), p, verifier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := opt.Prepare(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestIdioms says which sequences are idioms and, above all, which are not.
func TestIdioms(t *testing.T) {
	const head = "r0 = *(u32 *)(r1 +16)\nr2 = *(u32 *)(r1 +12)\nr3 = 1\nr4 = 2\nr5 = r0\n"
	const tail = "r0 += r2\nr0 += r5\nexit"
	rot := func(d, s prog.Reg, n int32, wide bool) opt.Idiom {
		return opt.Idiom{Kind: opt.Rotate, Wide: wide, Dst: d, Src: s, Imm: n}
	}
	for _, tc := range []struct {
		name, text string
		want       opt.Idiom
		merged     int
	}{
		{"rotate a copy", "r3 = r2\nr3 >>= 51\nr0 = r2\nr0 <<= 13\nr0 |= r3\n", rot(prog.R0, prog.R2, 13, true), 4},
		{"rotate in place", "w3 = w2\nw3 <<= 7\nw2 >>= 25\nw2 |= w3\n", rot(prog.R2, prog.R2, 7, false), 3},
		{"into the other", "w3 = w2\nw3 <<= 7\nw2 >>= 25\nw3 |= w2\nr2 = 1\nr0 ^= r3\n", rot(prog.R3, prog.R2, 7, false), 3},
		{"counts do not match", "r3 = r2\nr3 >>= 51\nr0 = r2\nr0 <<= 12\nr0 |= r3\n", opt.Idiom{}, 0},
		{"widths do not match", "r3 = r2\nr3 >>= 25\nr0 = r2\nw0 <<= 7\nr0 |= r3\n", opt.Idiom{}, 0},
		{"a 32-bit copy of a 64-bit value", "w3 = w2\nr3 >>= 51\nr0 = r2\nr0 <<= 13\nr0 |= r3\n", opt.Idiom{}, 0},
		{"two values", "r3 = r2\nr3 >>= 51\nr0 = r5\nr0 <<= 13\nr0 |= r3\n", opt.Idiom{}, 0},
		{"the part is read", "r3 = r2\nr3 >>= 51\nr0 = r2\nr0 <<= 13\nr0 |= r3\nr0 += r3\n", opt.Idiom{}, 0},
		{"a jump leads inside", "if r2 == 1 goto +3\nr3 = r2\nr3 >>= 51\nr0 = r2\nr0 <<= 13\nr0 |= r3\n", opt.Idiom{}, 0},
		{"sum of registers", "r0 = r2\nr0 += r5\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: prog.R5}, 1},
		{"sum with a constant", "r0 = r2\nr0 += -9\nr0 ^= r5\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: opt.NoIndex, Imm: -9}, 1},
		{"sum of 32 bits", "w0 = w2\nw0 += w5\n", opt.Idiom{Kind: opt.Sum, Dst: prog.R0, Src: prog.R2, Index: prog.R5}, 1},
		{"32 bits of a 64-bit copy", "r0 = r2\nw0 += -9\n", opt.Idiom{Kind: opt.Sum, Dst: prog.R0, Src: prog.R2, Index: opt.NoIndex, Imm: -9}, 1},
		{"64 bits of a 32-bit copy", "r4 = r2\nr4 <<= 40\nw0 = w4\nr0 += 5\n", opt.Idiom{}, 0},
		{"sum of three", "r0 = r2\nr0 += -9\nr0 += r5\nr0 ^= 1\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: prog.R5, Imm: -9}, 2},
		{"64 bits of a small 32-bit copy", "w0 = w2\nr0 += 5\nr0 ^= 1\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: opt.NoIndex, Imm: 5}, 1},
		{"scaled sum", "r3 = r2\nr3 <<= 3\nr0 = r5\nr0 += r3\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R5, Index: prog.R2, Shift: 3}, 3},
		{"scaled too far", "r3 = r2\nr3 <<= 4\nr0 = r5\nr0 += r3\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R5, Index: prog.R3}, 1},
		{"what is scaled is read", "r3 = r2\nr3 <<= 3\nr0 = r5\nr0 += r3\nr0 ^= r3\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R5, Index: prog.R3}, 1},
		{"lower half", "r3 = r2\nr3 <<= 7\nr0 = r3\nr0 <<= 32\nr0 >>= 32\n", opt.Idiom{Kind: opt.Sum, Dst: prog.R0, Src: prog.R3, Index: opt.NoIndex}, 2},
		{"lower half with its sign", "r0 = r2\nr0 <<= 32\nr0 s>>= 32\n", opt.Idiom{}, 0},
		{"a move or not", "if r2 s> r5 goto +1\nr0 = r2\n", opt.Idiom{Kind: opt.Choose, Imm: 1}, 1},
		{"a 32-bit move or 64 bits", "r0 <<= 9\nif r2 != 1 goto +1\nw0 = w2\n", opt.Idiom{Kind: opt.Choose, Wide: true, Imm: 1}, 1},
		{"a 32-bit move or 32 bits", "w0 += 9\nif r2 != 1 goto +1\nw0 = w2\n", opt.Idiom{Kind: opt.Choose, Imm: 1}, 1},
		{"an operation or not", "if w2 >= w5 goto +1\nr0 ^= r4\n", opt.Idiom{Kind: opt.Choose, Imm: 1}, 1},
		{"two moves or none", "if r2 >= r5 goto +2\nr0 = r4\nr5 = 7\n", opt.Idiom{Kind: opt.Choose, Imm: 2}, 2},
		{"back either way", "r0 = 1\nr0 += 1\nr2 = *(u64 *)(r10 -8)\nif r0 > 9 goto +3\nif r2 >= 5 goto -4\nr5 = 7\ngoto -6\n", opt.Idiom{Kind: opt.Choose, Imm: 1}, 1},
		{"two moves, of which one reads the other", "if r2 >= r5 goto +2\nr0 = r4\nr5 = r0\n", opt.Idiom{}, 0},
		{"a move and an operation", "if r2 >= r5 goto +2\nr0 = r4\nr5 += 7\n", opt.Idiom{}, 0},
		{"an operation that may take long", "if r2 >= r5 goto +1\nr0 *= r4\n", opt.Idiom{}, 0},
		{"a load or not", "*(u64 *)(r10 -8) = 1\nif r2 >= r5 goto +1\nr0 = *(u64 *)(r10 -8)\n", opt.Idiom{}, 2}, // R3 and R4, which nobody reads
		{"a jump leads to the second move", "if r2 == 1 goto +2\nif r2 >= r5 goto +2\nr0 = r4\nr5 = 7\n", opt.Idiom{}, 0},
		{"to somewhere else", "if r2 >= r5 goto +2\nr0 = r4\ngoto +1\nr0 += 2\n", opt.Idiom{}, 0},
		{"a carry", "r0 += r2\nr4 = 1\nif r0 < r2 goto +1\nr4 = 0\nr5 += r4\nr4 = 2\n", opt.Idiom{Kind: opt.Tally, Wide: true, Dst: prog.R5, Imm: 1}, 3},
		{"a carry before", "goto +3\nr5 += r4\nr4 = 2\ngoto +5\nr0 += r2\nr4 = 1\nif r0 < r2 goto -6\nr4 = 0\ngoto -8\n", opt.Idiom{Kind: opt.Tally, Wide: true, Dst: prog.R5, Imm: 1}, 3},
		{"a carry that is read", "r0 += r2\nr4 = 1\nif r0 < r2 goto +1\nr4 = 0\nr5 += r4\nr0 += r4\n", opt.Idiom{Kind: opt.Set, Wide: true, Dst: prog.R4, Imm: 1}, 2},
		{"a carry, or something else", "if r2 == 9 goto +4\nr0 += r2\nr4 = 1\nif r0 < r2 goto +1\nr4 = 0\nr5 += r4\nr4 = 2\n", opt.Idiom{Kind: opt.Set, Wide: true, Dst: prog.R4, Imm: 1}, 2},
		{"a carry, and one more", "r0 <<= 32\nr2 <<= 32\ngoto +0\nr0 += r2\nif r0 >= r2 goto +1\nr0 += 1\n", opt.Idiom{Kind: opt.Choose, Imm: 1}, 1},
		{"a carry of another width", "goto +0\nw0 += w2\nif r0 >= r2 goto +1\nr0 += 1\n", opt.Idiom{}, 0},
		{"a carry of another sum", "goto +0\nr0 += r2\nif r0 >= r5 goto +1\nr0 += 1\n", opt.Idiom{}, 0},
		{"a move that waits for what was before", "goto +0\nif r2 s> r5 goto +1\nr0 = r2\n", opt.Idiom{}, 0},
		{"an operation on what was before", "*(u64 *)(r10 -8) = 1\ngoto +0\nr2 = *(u64 *)(r10 -8)\nif r2 s> 5 goto +1\nr0 ^= 7\n", opt.Idiom{}, 2},
		{"a bit of what was before", "goto +0\nr4 = 1\nif r2 s> r5 goto +1\nr4 = 0\nr5 += r4\n", opt.Idiom{}, 0},
		{"a search", "*(u64 *)(r10 -8) = 1\nr2 &= 7\ngoto +0\nr3 = r10\nr3 += r2\nr3 = *(u8 *)(r3 -8)\nif r3 > 7 goto +1\nr0 = r2\n", opt.Idiom{Kind: opt.Access, Wide: true, Src: prog.R10, Index: prog.R2, Imm: -8}, 3},
		{"what the stack holds", "*(u64 *)(r10 -8) = 1\nr0 = *(u64 *)(r10 -8)\nif r0 > r2 goto +1\nr0 = r2\n", opt.Idiom{}, 2}, // as above
		{"jump over a jump", "if r2 != 1 goto +1\ngoto +1\nr0 += 1\n", opt.Idiom{Kind: opt.Branch, To: 8}, 1},
		{"jump over more", "if r2 != 1 goto +2\nr0 += 1\ngoto +1\nr0 += 1\n", opt.Idiom{}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prepare(t, head+tc.text+tail)
			merged := 0
			var got opt.Idiom
			for pc := range p.Info {
				if p.Info[pc].Merged {
					merged++
				}
				if x := p.Info[pc].Idiom; x.Kind != opt.NoIdiom {
					got = x
				}
			}
			if got != tc.want || merged != tc.merged {
				t.Errorf("got %+v of %d merged, want %+v of %d", got, merged, tc.want, tc.merged)
			}
		})
	}
}

// TestAccess says which addresses are computed by the access.
func TestAccess(t *testing.T) {
	const head = "r2 = *(u32 *)(r1 +16)\nr2 &= 3\nr5 = 7\n*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -16) = 1\n*(u64 *)(r10 -24) = 1\n*(u64 *)(r10 -32) = 1\n"
	access := func(src, index prog.Reg, shift uint8) opt.Idiom {
		return opt.Idiom{Kind: opt.Access, Wide: true, Src: src, Index: index, Shift: shift, Imm: -32}
	}
	for _, tc := range []struct {
		name, text string
		want       opt.Idiom
		merged     int
	}{
		{"base and index", "r2 <<= 3\nr0 = 4\nr3 = r10\nr3 += r2\nr0 = *(u64 *)(r3 -32)\n", access(prog.R10, prog.R2, 0), 2},
		{"scaled", "r2 <<= 3\nr3 = r10\nr3 += r2\nr0 = *(u64 *)(r3 -32)\n", access(prog.R10, prog.R2, 3), 3},
		{"scaled copy", "r4 = r2\nr4 <<= 3\nr3 = r10\nr3 += r4\nr0 = *(u64 *)(r3 -32)\nr0 += r2\n", access(prog.R10, prog.R2, 3), 4},
		{"scaled base", "r3 = r2\nr3 <<= 3\nr3 += r10\nr0 = *(u64 *)(r3 -32)\n", access(prog.R10, prog.R2, 3), 3},
		{"base, constant and index", "r2 <<= 2\nr3 = r10\nr3 += -32\nr3 += r2\nr0 = *(u32 *)(r3 +0)\n", access(prog.R10, prog.R2, 2), 4},
		{"base, constant and a scaled copy", "r4 = r2\nr4 <<= 2\nr3 = r10\nr3 += -32\nr3 += r4\nr0 = *(u32 *)(r3 +0)\nr0 += r2\n", access(prog.R10, prog.R2, 2), 5},
		{"the sum is read", "r2 <<= 2\nr3 = r10\nr3 += -32\nr3 += r2\nr0 = *(u32 *)(r3 +0)\nr0 = r3\nr0 -= r10\n", opt.Idiom{}, 2},
		{"the index is read", "r2 <<= 3\nr3 = r10\nr3 += r2\nr0 = *(u64 *)(r3 -32)\nr0 += r2\n", access(prog.R10, prog.R2, 0), 2},
		{"the index is stored", "r2 <<= 3\nr3 = r10\nr3 += r2\n*(u64 *)(r3 -32) = r2\nr0 = 0\n", access(prog.R10, prog.R2, 0), 2},
		{"the address is loaded over", "r2 <<= 3\nr0 = r10\nr0 += r2\nr0 = *(u64 *)(r0 -32)\n", access(prog.R10, prog.R2, 3), 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prepare(t, head+tc.text+"exit")
			merged := 0
			var got opt.Idiom
			for pc := range p.Info {
				if p.Info[pc].Merged {
					merged++
				}
				if x := p.Info[pc].Idiom; x.Kind == opt.Access {
					got = x
				}
			}
			if got != tc.want || merged != tc.merged {
				t.Errorf("got %+v of %d merged, want %+v of %d", got, merged, tc.want, tc.merged)
			}
		})
	}
}

// TestBound says which programs need no meter.
func TestBound(t *testing.T) {
	loop := func(body string, n int) string {
		return fmt.Sprintf("r0 = 0\nr1 = 3\n%sr0 += 1\nif r0 != %d goto -3\nexit", body, n)
	}
	for _, tc := range []struct {
		text string
		want bool // metered
	}{
		{"r0 = 0\nexit", false},
		{loop("r2 = r0\n", 1000), false},
		{loop("r2 = r0\n", 80_000), false},
		{loop("r2 = r0\n", 90_000), true},
		{loop("r1 /= 3\n", 21_000), false}, // slow: a quarter as many
		{loop("r1 /= 3\n", 22_000), true},
		{loop("*(u64 *)(r10 -8) = 1\n", 80_000), false},
		{"*(u64 *)(r10 -8) = 1\n" + loop("lock *(u64 *)(r10 -8) += r1\n", 10_000), false}, // slower
		{"*(u64 *)(r10 -8) = 1\n" + loop("lock *(u64 *)(r10 -8) += r1\n", 11_000), true},
		{"r6 = 0\ncall 7\nr6 += 1\nif r6 != 10000 goto -3\nexit", false}, // nobody knows how slow
		{"r6 = 0\ncall 7\nr6 += 1\nif r6 != 11000 goto -3\nexit", true},
		{"call f\nexit\nf:\nr0 = 0\nexit", false},
	} {
		if got := prepare(t, tc.text).Metered(); got != tc.want {
			t.Errorf("%q: metered %v", tc.text, got)
		}
	}
}

// TestHeads says where loops are aligned.
func TestHeads(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []opt.Head
	}{
		{"none", "r0 = 0\nexit", nil},
		{"one", "r0 = 0\nr0 += 1\nif r0 != 9 goto -2\nexit", []opt.Head{{1, 3, 3}}},
		{"two ways back", "r0 = 0\nr0 += 1\nif r0 == 5 goto -2\nif r0 != 9 goto -3\nexit", []opt.Head{{1, 3, 4}}},
		{"nested", "r0 = 0\nr1 = 0\nr1 += 1\nif r1 != 5 goto -2\nr0 += 1\nif r0 != 9 goto -5\nexit",
			[]opt.Head{{1, 6, 6}, {2, 4, 4}}},
		{"entered in the middle of a shorter one", // the outer loop's head lies in the inner one
			"r0 = 0\ngoto +7\nr1 += 1\nif r1 == 5 goto +3\nr1 += 1\nif r1 == 6 goto +1\nif r1 != 5 goto -5\nr0 += 1\nif r0 == 9 goto +2\nr1 = 0\ngoto -7\nexit",
			[]opt.Head{{2, 7, 7}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := prepare(t, tc.text).Heads; !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestIdle says which instructions leave everything as it is.
func TestIdle(t *testing.T) {
	for text, want := range map[string]bool{
		"r0 = *(u8 *)(r10 -8)\nr0 &= 255":                     true,
		"r0 = *(u8 *)(r10 -8)\nr0 &= 127":                     false,
		"r0 = *(u8 *)(r10 -8)\nw0 += 1\nr0 &= 255":            false,
		"r0 = *(u8 *)(r10 -8)\nw0 += 1\nr0 &= 511":            true,
		"r0 = *(u8 *)(r10 -8)\nr0 &= 0xff0":                   false,
		"r0 = *(u32 *)(r10 -8)\nw0 = w0":                      true,
		"r0 = *(u64 *)(r10 -8)\nw0 = w0":                      false,
		"r0 = *(u64 *)(r10 -8)\nw0 &= -1":                     false, // clears the upper half
		"r0 = *(u64 *)(r10 -8)\nr0 &= -1":                     true,
		"r0 = *(u16 *)(r10 -8)\nr0 = be16 r0\nw0 = w0":        true,
		"r0 = *(u8 *)(r10 -8)\nif r0 == 3 goto +0\nr0 &= 255": false, // a jump leads to it
	} {
		p := prepare(t, "*(u64 *)(r10 -8) = 5\n"+text+"\nexit")
		if got := p.Info[len(p.Insns)-2].Merged; got != want {
			t.Errorf("%q: idle %v", text, got)
		}
	}
}

// TestOperand says which loads are operands of the instruction that reads them.
func TestOperand(t *testing.T) {
	const head = "*(u64 *)(r10 -8) = 7\n*(u64 *)(r10 -16) = 1\nr6 = r10\nr6 += -16\nr7 = *(u32 *)(r1 +16)\nr0 = 5\nr5 = 0\n"
	for text, want := range map[string]bool{
		"r2 = *(u64 *)(r6 +0)\nr0 += r2":                            true,
		"r2 = *(u64 *)(r6 +0)\nr0 *= r2":                            true,
		"r2 = *(u32 *)(r6 +0)\nw0 ^= w2":                            true,
		"r2 = *(u32 *)(r6 +0)\nr0 += r2":                            false, // not of its width
		"r2 = *(u64 *)(r6 +0)\nw0 += w2":                            false,
		"r2 = *(u64 *)(r6 +0)\nr0 <<= r2":                           false,
		"r2 = *(u64 *)(r6 +0)\nr0 /= r2":                            false,
		"r2 = *(u64 *)(r6 +0)\nr2 += r0":                            false, // it is not the second
		"r2 = *(u64 *)(r6 +0)\nr2 += r2":                            false,
		"r2 = *(u64 *)(r6 +0)\nr0 += r2\nr0 += r2":                  false, // read again
		"r2 = *(u64 *)(r6 +0)\nr5 = 1\nr0 += r2":                    true,
		"r2 = *(u64 *)(r6 +0)\nr5 = r2\nr0 += r2":                   false,
		"r2 = *(u64 *)(r6 +0)\nr6 = 1\nr0 += r2":                    false, // its address is gone
		"r2 = *(u64 *)(r6 +0)\n*(u8 *)(r10 -8) = 1\nr0 += r2":       false, // it may change
		"r6 = *(u64 *)(r6 +0)\nr0 += r6":                            true,
		"r2 = *(u64 *)(r6 +0)\nr5 /= r7\nr0 += r2":                  false, // hosts want registers for it
		"r2 = *(u64 *)(r6 +0)\nif r2 > r0 goto +0":                  true,
		"r2 = *(u64 *)(r6 +0)\nif r0 s> r2 goto +0":                 true,
		"r2 = *(u8 *)(r6 +0)\nif r0 > r2 goto +0":                   false,
		"r2 = *(u8 *)(r6 +0)\nif r2 > 200 goto +0":                  true,
		"r2 = *(u8 *)(r6 +0)\nif w2 == 0 goto +0":                   true,
		"r2 = *(u8 *)(r6 +0)\nif r2 > 256 goto +0":                  false,
		"r2 = *(u8 *)(r6 +0)\nif r2 != -1 goto +0":                  false,
		"r2 = *(u8 *)(r6 +0)\nif r2 s> 20 goto +0":                  false,
		"r2 = *(u16 *)(r6 +0)\nif r2 > 200 goto +0":                 false,
		"r2 = *(u32 *)(r6 +0)\nif r2 > 200000 goto +0":              true,
		"r2 = *(u32 *)(r6 +0)\nif r2 > -1 goto +0":                  false,
		"r2 = *(u32 *)(r6 +0)\nif w2 s> -1 goto +0":                 true,
		"r2 = *(u8 *)(r6 +0)\nif r2 & 129 goto +0":                  true,
		"r2 = *(u8 *)(r6 +0)\nif r2 == 7 goto +1\nr0 = 1\nr0 += r2": false, // read where it goes
	} {
		p := prepare(t, head+text+"\nr0 ^= r5\nexit")
		got := false
		for pc := range p.Info {
			if l := p.Info[pc].Load; l > 0 {
				got = p.Info[l-1].Merged
			}
		}
		if got != want {
			t.Errorf("%q: in memory %v", text, got)
		}
	}
}

// TestShare says which sums are left to the accesses that they are for.
func TestShare(t *testing.T) {
	const head = "r2 = *(u32 *)(r1 +16)\nr2 &= 8\n*(u64 *)(r10 -8) = 1\n*(u64 *)(r10 -16) = 1\n*(u64 *)(r10 -24) = 1\n*(u64 *)(r10 -32) = 1\nr0 = 0\n"
	const sum = "r3 = r10\nr3 += r2\n"
	for text, want := range map[string]int{ // accesses that add up
		sum + "r4 = *(u64 *)(r3 -32)\nr5 = *(u64 *)(r3 -24)":                                                                 2,
		sum + "r4 = *(u64 *)(r3 -32)\nr3 = *(u64 *)(r3 -24)\nr0 = r3":                                                        2,
		sum + "*(u64 *)(r3 -32) = 5\n*(u64 *)(r3 -24) = r2\nr5 = *(u8 *)(r3 -16)":                                            3,
		sum + "r4 = *(u64 *)(r3 -32)\nr5 = *(u64 *)(r3 -24)\nr3 += 1":                                                        0, // read
		sum + "*(u64 *)(r10 -32) = r3\nr5 = *(u64 *)(r3 -24)\nr4 = *(u8 *)(r3 -24)":                                          0,
		sum + "r2 = *(u64 *)(r3 -32)\nr5 = *(u64 *)(r3 -24)":                                                                 0, // the index is gone
		sum + "r4 = *(u64 *)(r3 -32)\nr2 = *(u64 *)(r3 -24)\nr0 = r2":                                                        2,
		sum + "r4 = *(u64 *)(r3 -32)\nr5 = 3\nr5 /= r4\nr4 = *(u64 *)(r3 -24)":                                               0, // hosts want registers for it
		sum + "r4 = *(u64 *)(r3 -32)\nif r4 == 5 goto +0\nr5 = *(u64 *)(r3 -24)":                                             0, // beyond a jump
		"r3 = r10\nr3 += -32\nr4 = *(u64 *)(r3 +0)\nr5 = *(u64 *)(r3 +8)":                                                    2,
		sum + "r4 = *(u8 *)(r3 -32)\nr4 = *(u8 *)(r3 -31)\nr4 = *(u8 *)(r3 -30)\nr4 = *(u8 *)(r3 -29)\nr4 = *(u8 *)(r3 -28)": 0, // too many
	} {
		p := prepare(t, head+text+"\nexit")
		got := 0
		for pc := range p.Info {
			if p.Info[pc].Idiom.Kind == opt.Access && !p.Info[pc].Merged {
				got++
			}
		}
		if got != want {
			t.Errorf("%q: %d accesses add up, want %d", text, got, want)
		}
	}
}

// TestPins says which constants get a register.
func TestPins(t *testing.T) {
	spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1}
	const loop = "r0 = 0\nr3 = map[0][0]+8\nr4 = *(u64 *)(r3 +0)\nr0 += 1\nif r0 != 9 goto -5\n"
	for _, tc := range []struct {
		name, text string
		want       []opt.Pin
	}{
		{"in a loop", loop + "exit", []opt.Pin{{prog.R9, 1}}},
		{"outside", "r3 = map[0][0]+0\nr0 = 0\nr0 += 1\nif r0 != 9 goto -2\nexit", nil},
		{"no register is free", "r1 = 0\nr2 = 0\nr5 = 0\nr6 = 0\nr7 = 0\nr8 = 0\nr9 = 0\n" + loop + "exit", nil},
		{"one is", "r1 = 0\nr2 = 0\nr5 = 0\nr6 = 0\nr8 = 0\nr9 = 0\n" + loop + "exit", []opt.Pin{{prog.R7, 7}}},
		{"a call", "call 8\n" + loop + "exit", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prepare(t, tc.text, spec)
			if got := p.Funcs[0].Pins; !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			for _, x := range p.Funcs[0].Pins {
				if i := p.Info[x.PC].Idiom; !p.Info[x.PC].Merged && (i.Kind != opt.Sum || i.Src != x.Reg) {
					t.Errorf("what the register holds is loaded all the same: %+v", i)
				}
			}
		})
	}
}

// TestNonZero says whose divisor needs no test.
func TestNonZero(t *testing.T) {
	const head = "r2 = *(u32 *)(r1 +16)\nr0 = 100\n"
	for text, want := range map[string]bool{
		head + "r0 /= r2\nexit":                                false,
		head + "if r2 == 0 goto +1\nr0 %= r2\nexit":            true,
		head + "r2 <<= 32\nif r2 == 0 goto +1\nw0 %= w2\nexit": false, // on 32 bits it is
		head + "r2 |= 1\nr0 s/= r2\nexit":                      true,
	} {
		p := prepare(t, text)
		if got := p.Info[len(p.Insns)-2].NonZero; got != want {
			t.Errorf("%q: never 0: %v", text, got)
		}
	}
}
