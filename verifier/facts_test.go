package verifier

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

func verified(t *testing.T, typ, text string) *Verified {
	t.Helper()
	v, _, err := Verify(context.Background(), assemble(t, typ, text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestFacts compares what engines are told with what the text of each program
// says.
func TestFacts(t *testing.T) {
	v := verified(t, "xdp", `
		r6 = *(u32 *)(r1 +12)
		*(u32 *)(r10 -4) = 3
		r2 = r10
		r2 += -4
		r1 = map[0]
		call 1
		r6 &= 7
		r7 = r6
		r7 <<= 3
		r0 += r7
		r1 = *(u16 *)(r0 +2)
		r6 += 1
		r1 /= r6
		r1 /= r7
		w1 %= w6
		if r6 == 0 goto +2
		r0 = 2
		exit
		r0 = 1
		exit`)
	f := func(pc prog.PC) Fact { return v.Fact(pc) }
	if got := f(0); got.Region != RegionCtx || got.Field == nil || got.Field.Name != "ingress_ifindex" || got.Min != 12 || got.Max != 12 || got.Map != -1 {
		t.Errorf("context: %+v", got)
	}
	if got := f(1); got.Region != RegionStack || got.Min != -4 || got.Max != -4 || got.Field != nil {
		t.Errorf("stack: %+v", got)
	}
	if got := f(6); got.Map != 0 || !bytes.Equal(got.Key, []byte{3, 0, 0, 0}) {
		t.Errorf("lookup: %+v", got)
	}
	// Offsets 2, 10, … 58.
	if got := f(11); got.Region != RegionMapValue || got.Field != nil || got.Map != 0 || got.Min != 2 || got.Max != 58 {
		t.Errorf("map value: %+v", got)
	}
	for pc, nonZero := range map[prog.PC]bool{13: true, 14: false, 15: true} {
		if got := f(pc); got.NonZero != nonZero {
			t.Errorf("division at %d: %+v", pc, got)
		}
	}
	if got := f(16); got.Branch != BranchFall {
		t.Errorf("branch: %+v", got)
	}
	if !f(17).Reached || f(17).Map != -1 || f(19).Reached || f(20).Reached {
		t.Errorf("reached: %+v, %+v", f(17), f(19))
	}
	if got := f(-1); got.Reached || f(1000).Reached {
		t.Errorf("no instruction: %+v", got)
	}
}

// TestFactsJoin looks at an instruction that several paths reach with
// different pointers and keys.
func TestFactsJoin(t *testing.T) {
	v := verified(t, "xdp", `
		r6 = *(u32 *)(r1 +12)
		*(u32 *)(r10 -4) = 3
		*(u32 *)(r10 -16) = 5
		if r6 == 0 goto +1
		*(u32 *)(r10 -4) = 4
		r2 = r10
		r2 += -4
		r1 = map[0]
		call 1
		if r6 == 0 goto +2
		r0 = r10
		r0 += -16
		r0 = *(u32 *)(r0 +0)
		r0 = 2
		exit`)
	if got := v.Fact(3); got.Branch != BranchEither {
		t.Errorf("branch: %+v", got)
	}
	if got := v.Fact(9); got.Map != 0 || got.Key != nil {
		t.Errorf("lookup: %+v", got)
	}
	if got := v.Fact(13); got.Region != RegionMapValue|RegionStack || got.Map != -1 || got.Min != -16 || got.Max != 0 {
		t.Errorf("access: %+v", got)
	}
}

// TestMixedAccess refuses an instruction that accesses the context or memory,
// depending on the path: the kernel says "same insn cannot be used with
// different pointers" (tools/testing/selftests/bpf/progs/verifier_unpriv.c).
func TestMixedAccess(t *testing.T) {
	_, _, err := Verify(context.Background(), assemble(t, "xdp", `
		*(u64 *)(r10 -16) = 0
		r2 = r10
		r2 += -16
		r3 = *(u32 *)(r1 +12)
		if r3 == 0 goto +1
		r1 = r2
		r0 = *(u32 *)(r1 +0)
		r0 = 2
		exit`), Options{})
	var e *Error
	if !errors.As(err, &e) || e.Code != BadPointer || e.PC != 6 {
		t.Fatalf("got %v, want a %s at 6", err, BadPointer)
	}
	t.Log(e)
}

// TestFactsUnknown looks at what must not be told: the key of a lookup that is
// in a map, a divisor that is 0 in its low half, a map that may be any of many.
func TestFactsUnknown(t *testing.T) {
	v := verified(t, "xdp", lookup+`
		r2 = r0
		r1 = map[0]
		call 1
		r6 = 0x100000000 ll
		r7 = 5
		w7 /= w6
		r7 /= r6
		r0 = 2
		exit`)
	if got := v.Fact(9); got.Map != 0 || got.Key != nil {
		t.Errorf("lookup: %+v", got)
	}
	if got := v.Fact(13); got.NonZero {
		t.Errorf("32-bit division: %+v", got)
	}
	if got := v.Fact(14); !got.NonZero {
		t.Errorf("64-bit division: %+v", got)
	}
	p, _, _ := construct(t, "xdp", lookupInner+"call 1\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +8)"+out)
	w, _, err := Verify(context.Background(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var calls []int
	for pc := range prog.PC(len(p.Insns)) {
		got := w.Fact(pc)
		if p.Insns[pc].IsCall(isa.CallHelper) {
			calls = append(calls, got.Map)
		}
		if got.Region == RegionMapValue && got.Map != -1 {
			t.Errorf("access at %d: %+v", pc, got)
		}
	}
	if !slices.Equal(calls, []int{5, -1}) {
		t.Errorf("maps of the calls: %v", calls)
	}
}

// TestStaleStack looks at how much of their stack programs may find as others left
// it.
func TestStaleStack(t *testing.T) {
	const load = "r2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\ncall 189\nr0 = 0\nexit"
	for _, tc := range []struct {
		name, asm string
		want      [2]int
	}{
		{"written before it is read", "r1 = 1\n*(u64 *)(r10 -8) = r1\nr0 = *(u64 *)(r10 -8)\nexit", [2]int{}},
		{"read before it is written", "r0 = *(u64 *)(r10 -24)\nexit", [2]int{24}},
		{"a helper may leave it", load, [2]int{40}},
		{"a helper may leave it in another frame", "*(u32 *)(r10 -4) = 0\ncall f\nexit\nf:\n" + load, [2]int{4, 40}},
		{"a helper may leave what was written", "*(u64 *)(r10 -40) = 0\n" + load, [2]int{}},
		{"a helper may leave what was written in part", "*(u32 *)(r10 -40) = 0\n" + load, [2]int{40}},
		{"a helper that writes it all", "r1 = r10\nr1 += -16\nr2 = 16\ncall 16\nr0 = 0\nexit", [2]int{}},
		{"a helper that reads at any address", "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall f\nexit\nf:\ncall 113\nr0 = 0\nexit", [2]int{512, 512}},
	} {
		v := verified(t, "xdp", tc.asm)
		for fn := range v.Program().Funcs {
			if got := v.StaleStack(fn); got != tc.want[fn] {
				t.Errorf("%s: %d bytes of function %d, want %d", tc.name, got, fn, tc.want[fn])
			}
		}
	}
}
