package opt_test

import (
	"context"
	"slices"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// prepare returns the program with the given text for lowering.
func prepare(t *testing.T, text string) *opt.Program {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("p", linux.XDP, insns, nil)
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
		{"a jump leads inside", "if r2 == 1 goto +1\nr3 = r2\nr3 >>= 51\nr0 = r2\nr0 <<= 13\nr0 |= r3\n", opt.Idiom{}, 0},
		{"sum of registers", "r0 = r2\nr0 += r5\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: prog.R5}, 1},
		{"sum with a constant", "r0 = r2\nr0 += -9\n", opt.Idiom{Kind: opt.Sum, Wide: true, Dst: prog.R0, Src: prog.R2, Index: opt.NoIndex, Imm: -9}, 1},
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
	for text, want := range map[string]bool{
		"r0 = 0\nexit": false,
		"r0 = 0\nr0 += 1\nif r0 != 1000 goto -2\nexit":  false,
		"r0 = 0\nr0 += 1\nif r0 != 20000 goto -2\nexit": true,
		"call f\nexit\nf:\nr0 = 0\nexit":                false,
	} {
		if got := prepare(t, text).Metered(); got != want {
			t.Errorf("%q: metered %v", text, got)
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
