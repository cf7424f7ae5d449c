package opt_test

import (
	"context"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestKeys says where the key of a lookup is known to be in a register, and above
// all where it is not, and which lookups cannot miss.
func TestKeys(t *testing.T) {
	const (
		begin = "r6 = *(u32 *)(r1 +16)\n"
		end   = "call 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\nr0 = 0\nexit"
	)
	for _, tc := range []struct {
		name, text string
		key        prog.Reg // plus 1
		misses     bool
		test       bool
	}{
		{"bounded", "r1 = r6\nr1 &= 63\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 2, false, true},
		{"too large", "r1 = r6\nr1 &= 127\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 2, true, true},
		{"64 bits, negative mask", "r1 = r6\nr1 &= -2\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 2, true, true},
		{"any", "*(u32 *)(r10 -4) = r6\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 7, true, true},
		{"stored elsewhere, too", "*(u32 *)(r10 -4) = r6\n*(u32 *)(r10 -8) = r6\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 7, true, true},
		{"stored again in part", "*(u32 *)(r10 -4) = r6\n*(u8 *)(r10 -2) = r6\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 0, true, true},
		{"stored through another register", "r7 = r10\nr7 += -4\nr8 = r6\nr8 += 1\n*(u32 *)(r10 -4) = r6\n*(u32 *)(r7 +0) = r8\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 0, true, true},
		{"stored after the address", "*(u32 *)(r10 -4) = r6\nr2 = r10\nr2 += -4\n*(u32 *)(r10 -4) = r1\nr1 = map[0]\n", 0, true, true},
		{"written after the store", "r3 = r6\n*(u32 *)(r10 -4) = r3\nr3 = 7\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 0, true, true},
		{"the key is in the address's register", "r2 = r6\n*(u32 *)(r10 -4) = r2\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 3, true, true},
		{"8 bytes", "*(u64 *)(r10 -8) = r6\nr2 = r10\nr2 += -8\nr1 = map[0]\n", 0, true, true},
		{"another path", "r3 = r6\nif r6 == 0 goto +1\nr3 = 1\n*(u32 *)(r10 -4) = r3\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 4, true, true},
		{"a path into the middle", "*(u32 *)(r10 -4) = 1\nif r6 == 0 goto +1\n*(u32 *)(r10 -4) = r6\nr2 = r10\nr2 += -4\nr1 = map[0]\n", 0, true, true},
	} {
		insns, err := prog.Assemble(begin + tc.text + end)
		if err != nil {
			t.Fatal(err)
		}
		spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 64}
		p, err := prog.FromInsns("p", linux.XDP, insns, []*maps.Spec{spec})
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := verifier.Verify(context.Background(), p, verifier.Options{})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		o, err := opt.Prepare(v, []*maps.Layout{{Kind: maps.LayoutArray, Entries: 64, ValueStride: 8, CPUs: 1}})
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for pc := range o.Info {
			if x := o.Info[pc].Inline; x != nil {
				found++
				if x.Key != tc.key || x.Misses() != tc.misses || (x.Test != 0) != tc.test {
					t.Errorf("%s: key %d, misses %v, test at %d; want %d, %v, %v", tc.name, x.Key, x.Misses(), x.Test, tc.key, tc.misses, tc.test)
				}
			}
		}
		if found != 1 {
			t.Errorf("%s: %d lookups", tc.name, found)
		}
	}
}
