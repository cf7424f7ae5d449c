package opt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestCounts says which sequences count bits, and which are only nearly so. They are
// what clang 19 makes of __builtin_popcount and __builtin_clz, with and without ll.
func TestCounts(t *testing.T) {
	const head = "r7 = *(u32 *)(r1 +16)\nr1 = r7\nr4 = 3\n"
	ones := "w2 = w1\nw2 >>= 1\nw2 &= 0x55555555\nw1 -= w2\nw0 = w1\nw0 &= 0x33333333\nw1 >>= 2\nw1 &= 0x33333333\nw0 += w1\n" +
		"w1 = w0\nw1 >>= 4\nw0 += w1\nw0 &= 0x0f0f0f0f\nw0 *= 0x01010101\nw0 >>= 24\n"
	ones64 := "r2 = r1\nr2 >>= 1\nr3 = 0x5555555555555555 ll\nr2 &= r3\nr1 -= r2\nr2 = 0x3333333333333333 ll\nr0 = r1\nr0 &= r2\n" +
		"r1 >>= 2\nr1 &= r2\nr0 += r1\nr1 = r0\nr1 >>= 4\nr0 += r1\nr1 = 0x0f0f0f0f0f0f0f0f ll\nr0 &= r1\n" +
		"r1 = 0x0101010101010101 ll\nr0 *= r1\nr0 >>= 56\n"
	smear := func(r string, most int) string {
		var b strings.Builder
		for n := 1; n < most; n *= 2 {
			fmt.Fprintf(&b, "%[1]s2 = %[1]s1\n%[1]s2 >>= %[2]d\n%[1]s1 |= %[1]s2\n", r, n)
		}
		return b.String() + r + "1 ^= -1\n"
	}
	hoisted := "r2 = 0x5555555555555555 ll\nr3 = 0x3333333333333333 ll\nr5 = 0x0f0f0f0f0f0f0f0f ll\nr6 = 0x0101010101010101 ll\ngoto +0\n"
	inLoop := "r0 = r1\nr0 >>= 1\nr0 &= r2\nr1 -= r0\nr0 = r1\nr0 &= r3\nr1 >>= 2\nr1 &= r3\nr0 += r1\nr1 = r0\nr1 >>= 4\n" +
		"r0 += r1\nr0 &= r5\nr0 *= r6\nr0 >>= 56\n"
	one := func(old, text string, with string) string { return strings.Replace(text, old, with, 1) }
	for _, tc := range []struct {
		name, text string
		want       opt.IdiomKind
		wide       bool
	}{
		{"ones of 32 bits", ones, opt.Ones, false},
		{"ones of 64 bits", ones64, opt.Ones, true},
		{"leading zeros of 32 bits", smear("w", 32) + ones, opt.Zeros, false},
		{"leading zeros of 64 bits", smear("r", 64) + ones64, opt.Zeros, true},
		{"masks that a loop has in registers", hoisted + inLoop, opt.Ones, true},
		{"a mask that is written twice", one("goto +0", hoisted, "if r4 == 1 goto +1\nr5 = 7") + inLoop, opt.NoIdiom, false},
		{"leading zeros of half", smear("r", 32) + ones64, opt.Ones, true},
		{"another mask", one("0x33333333", ones, "0x33333332"), opt.NoIdiom, false},
		{"another shift", one("w1 >>= 4", ones, "w1 >>= 3"), opt.NoIdiom, false},
		{"another factor", one("0x01010101", ones, "0x01010100"), opt.NoIdiom, false},
		{"one step of 64 bits", one("w0 += w1", ones, "r0 += r1"), opt.NoIdiom, false},
		{"a sum of others", one("w0 += w1", ones, "w0 += w4"), opt.NoIdiom, false},
		{"another step between", one("w0 += w1", ones, "w0 += w1\nr4 += 1"), opt.NoIdiom, false},
		{"a part is read", ones + "r0 += r1\n", opt.NoIdiom, false},
		{"a jump leads inside", "if r4 == 1 goto +2\n" + ones, opt.NoIdiom, false},
		{"a constant in place of a register", one("w0 += w1", ones, "w0 += 1"), opt.NoIdiom, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := head + tc.text
			if strings.Contains(tc.text, "goto +2") {
				text = head + "r2 = r7\nr0 = 0\n" + tc.text
			}
			p := prepare(t, text+"r0 += r4\nr0 += r7\nexit")
			var got opt.Idiom
			for pc := range p.Info {
				if x := p.Info[pc].Idiom; x.Kind == opt.Ones || x.Kind == opt.Zeros {
					got = x
					for at := x.To; at < prog.PC(pc); at = p.Next(at) {
						if !p.Info[at].Merged {
							t.Errorf("%d is not merged", at)
						}
					}
				}
			}
			if got.Kind != tc.want || got.Wide != tc.wide {
				t.Errorf("got %+v, want kind %d, wide %v", got, tc.want, tc.wide)
			}
		})
	}
}

// TestLowest says which searches by a table find the lowest bit that is set. They are what
// clang 19 makes of __builtin_ctz and __builtin_ctzll, the last at -mcpu=v2.
func TestLowest(t *testing.T) {
	// The tables are those of LLVM 19, .rodata.cst32 and .rodata.cst64 of such objects.
	table := []byte{0, 1, 28, 2, 29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4, 8, 31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6, 11, 5, 10, 9}
	table = append(table, 0, 1, 2, 7, 3, 13, 8, 19, 4, 25, 14, 28, 9, 34, 20, 40, 5, 17, 26, 38, 15, 46, 29, 48, 10, 31, 35, 54, 21, 50, 41, 57,
		63, 6, 12, 18, 24, 27, 33, 39, 16, 37, 45, 47, 30, 53, 49, 56, 62, 11, 23, 32, 36, 44, 52, 55, 61, 22, 43, 51, 60, 42, 59, 58)
	spec := func() *maps.Spec {
		return &maps.Spec{Name: ".rodata", Type: maps.Array, KeySize: 4, ValueSize: 96, MaxEntries: 1, Flags: maps.ReadOnlyProg,
			Frozen: true, Contents: []maps.Entry{{Key: make([]byte, 4), Value: table}}}
	}
	const head, tail = "r5 = *(u32 *)(r1 +16)\nr4 = 3\n", "r0 += r4\nexit"
	const narrow = "w0 = w5\nw0 = -w0\nw5 &= w0\nw5 *= 125613361\nw5 >>= 27\nr0 = map[0][0]+0\nr0 += r5\nr0 = *(u8 *)(r0 +0)\n"
	const wide = "r0 = r5\nr0 = -r0\nr5 &= r0\nr2 = 0x218a392cd3d5dbf ll\nr5 *= r2\nr5 >>= 58\nr0 = map[0][0]+32\nr0 += r5\nr0 = *(u8 *)(r0 +0)\n"
	const masked = "r0 = r5\nr0 = -r0\nr5 &= r0\nr5 *= 125613361\nr2 = 0xf8000000 ll\nr5 &= r2\nr5 >>= 27\nr0 = map[0][0]+0\nr0 += r5\nr0 = *(u8 *)(r0 +0)\n"
	one := func(old, text, with string) string { return strings.Replace(text, old, with, 1) }
	for _, tc := range []struct {
		name, text string
		change     func(s *maps.Spec)
		want       opt.IdiomKind
		wide       bool
	}{
		{"32 bits", narrow, nil, opt.Lowest, false},
		{"64 bits", wide, nil, opt.Lowest, true},
		{"32 bits of 64", masked, nil, opt.Lowest, false},
		{"another sequence", one("125613361", narrow, "125613363"), nil, opt.NoIdiom, false},
		{"another value", one("w5 &= w0", narrow, "w5 &= w4"), nil, opt.NoIdiom, false},
		{"another table", one("]+0", narrow, "]+1"), nil, opt.NoIdiom, false},
		{"another mask", one("0xf8000000", masked, "0xf0000000"), nil, opt.NoIdiom, false},
		{"no mask", one("r5 &= r2\n", masked, "r5 &= 0xfffffff\n"), nil, opt.NoIdiom, false},
		{"a part is read", narrow + "r0 += r5\n", nil, opt.NoIdiom, false},
		{"a jump leads inside", "r0 = 1\nif r4 == 1 goto +2\n" + narrow, nil, opt.NoIdiom, false},
		{"a table that may change", narrow, func(s *maps.Spec) { s.Frozen = false }, opt.NoIdiom, false},
		{"a table that programs may write", narrow, func(s *maps.Spec) { s.Flags = 0 }, opt.NoIdiom, false},
		{"a table of zeros", narrow, func(s *maps.Spec) { s.Contents = nil }, opt.NoIdiom, false},
		{"a table with a mistake", narrow, func(s *maps.Spec) {
			s.Contents[0].Value = append([]byte{1}, table[1:]...)
		}, opt.NoIdiom, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spec()
			if tc.change != nil {
				tc.change(s)
			}
			p := prepare(t, head+tc.text+tail, s)
			var got opt.Idiom
			for pc := range p.Info {
				if x := p.Info[pc].Idiom; x.Kind == opt.Lowest {
					got = x
					for at := x.To; at < prog.PC(pc); at = p.Next(at) {
						if !p.Info[at].Merged {
							t.Errorf("%d is not merged", at)
						}
					}
				}
			}
			if got.Kind != tc.want || got.Wide != tc.wide {
				t.Errorf("got %+v, want kind %d, wide %v", got, tc.want, tc.wide)
			}
		})
	}
}
