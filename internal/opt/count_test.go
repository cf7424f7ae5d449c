package opt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/opt"
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
