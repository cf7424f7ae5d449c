package opt_test

import (
	"slices"
	"testing"

	"github.com/skepvm/skep/prog"
)

// TestSlots says which instructions are left out because the stack or a register
// holds what they put there, or because nobody reads it.
func TestSlots(t *testing.T) {
	const head = "r0 = *(u32 *)(r1 +16)\nr2 = *(u32 *)(r1 +12)\n"
	for _, tc := range []struct {
		name, text string
		want       []prog.PC
	}{
		{"loaded again", "*(u64 *)(r10 -8) = r2\nr0 = *(u64 *)(r10 -8)\nr3 = 1\nr0 = *(u64 *)(r10 -8)\nr0 += r3\nexit", []prog.PC{5}},
		{"stored where it came from", "*(u64 *)(r10 -8) = r2\nr0 = *(u64 *)(r10 -8)\n*(u64 *)(r10 -8) = r0\nr3 = *(u64 *)(r10 -8)\nr0 += r3\nexit", []prog.PC{4}},
		{"stored, and nobody loads it", "*(u64 *)(r10 -8) = r2\n*(u64 *)(r10 -16) = r2\nr0 = *(u64 *)(r10 -16)\nr0 += 1\nexit", []prog.PC{2}},
		{"stored twice", "*(u64 *)(r10 -8) = r2\n*(u64 *)(r10 -8) = r0\nr0 = *(u64 *)(r10 -8)\nexit", []prog.PC{2, 3, 4}},
		{"stored twice, the second time half", "*(u64 *)(r10 -8) = r2\n*(u32 *)(r10 -8) = r0\nr0 = *(u64 *)(r10 -8)\nexit", nil},
		{"for nothing but what nobody loads", "*(u64 *)(r10 -8) = r2\nr3 = *(u64 *)(r10 -8)\nr3 += 7\n*(u64 *)(r10 -16) = r3\nexit", []prog.PC{2, 3, 4, 5}},
		{"the upper half is another", "r3 = -1\n*(u32 *)(r10 -8) = r3\nr3 = *(u32 *)(r10 -8)\nr0 = r3\nexit", nil},
		{"the upper half is 0 already", "w3 = w2\n*(u32 *)(r10 -8) = r3\nr4 = *(u32 *)(r10 -8)\nr5 = r4\nr4 = *(u32 *)(r10 -8)\nr0 = r4\nr0 += r5\nexit", []prog.PC{6}},
		{"a pointer to the stack", "*(u64 *)(r10 -8) = r2\nr3 = r10\nr3 += -8\n*(u64 *)(r3 +0) = r0\nr2 = *(u64 *)(r10 -8)\nr0 += r2\nexit", nil},
		{"a jump between", "*(u64 *)(r10 -8) = r2\nif r0 == 0 goto +1\nr2 = 5\nr2 = *(u64 *)(r10 -8)\nr0 += r2\nexit", []prog.PC{4}},
		{"in a loop", "r3 = 0\n*(u64 *)(r10 -8) = r2\nr4 = *(u64 *)(r10 -8)\nr4 += 1\n*(u64 *)(r10 -8) = r4\nr3 += 1\nif r3 < 4 goto -5\nr0 = r4\nexit", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := prepare(t, head+tc.text)
			insns, err := prog.Assemble(head + tc.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []prog.PC
			for pc := range insns {
				if o.Insns[pc] != insns[pc] {
					got = append(got, prog.PC(pc))
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("left out: %v, want %v", got, tc.want)
			}
		})
	}
}
