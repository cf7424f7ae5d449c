package opt_test

import (
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// TestUpdate says which stores change memory in place and, above all, which do
// not.
func TestUpdate(t *testing.T) {
	const head = "*(u64 *)(r10 -8) = 7\n*(u64 *)(r10 -16) = 1\nr6 = r10\nr6 += -16\nr9 = r6\nr7 = *(u32 *)(r1 +16)\nr0 = 5\nr2 = 9\n"
	for text, want := range map[string]bool{
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2":                                       true,
		"r2 = *(u64 *)(r6 +0)\nr2 -= r7\n*(u64 *)(r6 +0) = r2":                                      true,
		"r2 = *(u64 *)(r6 +8)\nr2 &= -129\n*(u64 *)(r6 +8) = r2":                                    true,
		"r2 = *(u64 *)(r10 -8)\nr2 |= r7\n*(u64 *)(r10 -8) = r2":                                    true,
		"r2 = *(u32 *)(r6 +4)\nw2 ^= w7\n*(u32 *)(r6 +4) = r2":                                      true,
		"r2 = *(u32 *)(r6 +4)\nr2 += r7\n*(u32 *)(r6 +4) = r2":                                      true, // the lower half alone counts
		"r2 = *(u8 *)(r6 +4)\nw2 += 255\n*(u8 *)(r6 +4) = r2":                                       true,
		"r2 = *(u16 *)(r6 +4)\nw2 += -128\n*(u16 *)(r6 +4) = r2":                                    true,
		"r2 = *(u16 *)(r6 +4)\nw2 += 300\n*(u16 *)(r6 +4) = r2":                                     false, // slow to decode
		"r2 = *(u64 *)(r6 +0)\nw2 += 1\n*(u64 *)(r6 +0) = r2":                                       false, // clears the upper half
		"r2 = *(u64 *)(r6 +0)\nw2 += w7\n*(u64 *)(r6 +0) = r2":                                      false,
		"r2 = *(u64 *)(r6 +0)\nr2 += r2\n*(u64 *)(r6 +0) = r2":                                      false, // no operand is left
		"r2 = *(u64 *)(r6 +0)\nr2 *= r7\n*(u64 *)(r6 +0) = r2":                                      false,
		"r2 = *(u64 *)(r6 +0)\nr2 <<= 3\n*(u64 *)(r6 +0) = r2":                                      false,
		"r2 = *(u64 *)(r6 +0)\nr2 = r7\n*(u64 *)(r6 +0) = r2":                                       false,
		"r2 = *(u64 *)(r6 +0)\nr7 += 1\n*(u64 *)(r6 +0) = r2":                                       false, // of another register
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r7":                                       false, // stores another
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +8) = r2":                                       false, // elsewhere
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r9 +0) = r2":                                       false, // through another register
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u32 *)(r6 +0) = r2":                                       false, // of another width
		"r2 = *(u32 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2":                                       false,
		"r2 = *(s32 *)(r6 +0)\nr2 += 1\n*(u32 *)(r6 +0) = r2":                                       false,
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\nlock *(u64 *)(r6 +0) += r2":                                 false,
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2\nr0 = r2":                              false, // read again
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2\nif r7 == 1 goto +1\nr2 = 1\nr0 += r2": false,
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = 3":                                        false,
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\nr7 += 1\n*(u64 *)(r6 +0) = r2":                              false, // not next to each other
		"r2 = *(u64 *)(r6 +0)\nr7 = 2\nr2 += r7\n*(u64 *)(r6 +0) = r2":                              false,
		"r2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u8 *)(r6 +0) = 9\n*(u64 *)(r6 +0) = r2":                   false,
		"if r7 == 1 goto +1\nr2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2":                   false, // a jump leads inside
		"r2 = *(u64 *)(r6 +0)\nif r7 == 1 goto +1\nr2 += 1\n*(u64 *)(r6 +0) = r2":                   false,
		"if r7 == 1 goto +0\nr2 = *(u64 *)(r6 +0)\nr2 += 1\n*(u64 *)(r6 +0) = r2":                   true,  // to its first
		"r3 = *(u64 *)(r6 +8)\nr2 = *(u64 *)(r6 +0)\nr2 += r3\n*(u64 *)(r6 +0) = r2":                false, // the operand is in memory
		"r3 = *(u8 *)(r6 +8)\nr2 = *(u64 *)(r6 +0)\nr2 += r3\n*(u64 *)(r6 +0) = r2":                 true,
	} {
		p := prepare(t, head+text+"\nr0 ^= r7\nexit")
		got := false
		for pc := range p.Info {
			if x := p.Info[pc].Idiom; x.Kind == opt.Update {
				got = true
				if x.Src != prog.R2 || !p.Info[pc-1].Merged || !p.Info[pc-2].Merged {
					t.Errorf("%q: %+v", text, x)
				}
			}
		}
		if got != want {
			t.Errorf("%q: in place %v", text, got)
		}
	}
}

// TestUpdateContext says that fields of the context, which hosts keep elsewhere,
// are loaded and stored.
func TestUpdateContext(t *testing.T) {
	const text = "r0 = *(u32 *)(r1 +8)\nr0 += 1\n*(u32 *)(r1 +8) = r0\nr0 = 0\nexit"
	p := prepareAs(t, linux.SchedCls, text)
	for pc := range p.Info {
		if x := p.Info[pc].Idiom; x.Kind != opt.NoIdiom || p.Info[pc].Merged {
			t.Errorf("instruction %d: %+v", pc, x)
		}
	}
}
