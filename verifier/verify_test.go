package verifier

import (
	"context"
	"errors"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// testMaps are the maps that programs under test refer to by index.
var testMaps = []*maps.Spec{
	{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16},
	{Name: "hash", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 16},
	{Name: "events", Type: maps.RingBuf, MaxEntries: 4096},
}

func assemble(t *testing.T, typ, text string) *prog.Program {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("test", linux.Platform.Type(typ), insns, testMaps)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const lookup = `
	*(u32 *)(r10 -4) = 3
	r2 = r10
	r2 += -4
	r1 = map[0]
	call 1
`

// TestVerdicts checks accepted programs, and of rejected ones the rule and the
// instruction. Each rejected program is unsafe as it stands.
func TestVerdicts(t *testing.T) {
	for _, tc := range []struct {
		name, typ, asm string
		code           Code // "": accepted
		pc             prog.PC
	}{
		{"constant", "xdp", "r0 = 2\nexit", "", 0},
		{"no result", "xdp", "exit", Unreadable, 0},
		{"shift by a negative constant", "xdp", "r0 = *(u32 *)(r1 +12)\nr0 &= 255\nr3 = -1\nr0 >>= r3\nr0 = 1\nexit", "", 0},
		{"uninitialised register", "xdp", "r0 = r3\nexit", Unreadable, 0},
		{"packet unchecked", "xdp", "r1 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r1 +0)\nexit", OutOfBounds, 1},
		{"packet checked", "xdp", `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r4 = r2
			r4 += 14
			r0 = 0
			if r4 > r3 goto +1
			r0 = *(u8 *)(r2 +13)
			exit`, "", 0},
		{"packet one byte too far", "xdp", `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r4 = r2
			r4 += 14
			r0 = 0
			if r4 > r3 goto +1
			r0 = *(u8 *)(r2 +14)
			exit`, OutOfBounds, 6},
		{"packet check the wrong way", "xdp", `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r4 = r2
			r4 += 14
			r0 = 0
			if r4 <= r3 goto +1
			r0 = *(u8 *)(r2 +0)
			exit`, OutOfBounds, 6},
		{"packet length as a number", "xdp", `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r3 -= r2
			r0 = 0
			if r3 < 14 goto +1
			r0 = *(u8 *)(r2 +13)
			exit`, "", 0},
		{"argument register after a call", "xdp", lookup + "r0 = r1\nexit", Unreadable, 6},
		{"lookup in range is not null", "xdp", lookup + "r0 = *(u64 *)(r0 +56)\nexit", "", 0},
		{"map value too far", "xdp", lookup + "r0 = *(u64 *)(r0 +57)\nexit", OutOfBounds, 6},
		{"hash lookup may fail", "xdp", `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			r0 = *(u64 *)(r0 +0)
			exit`, NullPointer, 6},
		{"hash lookup checked on a copy", "xdp", `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			r6 = r0
			if r6 == 0 goto +1
			r0 = *(u64 *)(r0 +0)
			exit`, "", 0},
		{"arithmetic before the null check", "xdp", `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			r0 += 4
			if r0 == 0 goto +1
			r0 = *(u32 *)(r0 +0)
			exit`, NullPointer, 6},
		{"low half bounds the whole", "xdp", lookup + `
			r6 = r0
			call 7
			w1 = w0
			r1 += 1
			if w0 > 10 goto +2
			r6 += r1
			r0 = *(u8 *)(r6 +0)
			r0 = 0
			exit`, "", 0},
		{"truncated index bounds only the low half", "xdp", lookup + `
			r6 = r0
			call 7
			r0 <<= 8
			w1 = w0
			if w1 > 10 goto +2
			r6 += r0
			r0 = *(u8 *)(r6 +0)
			r0 = 0
			exit`, OutOfBounds, 0},
		{"counted loop", "xdp", `
			r0 = 0
			r0 += 1
			if r0 != 1000 goto -2
			exit`, "", 0},
		{"endless loop", "xdp", "r0 = 0\ngoto -1\nexit", Unreachable, 0},
		{"loop without progress", "xdp", `
			call 7
			if r0 != 5 goto -2
			exit`, Unbounded, 0},
		{"reference leak", "xdp", `
			r1 = map[2]
			r2 = 8
			r3 = 0
			call 131
			r0 = 0
			exit`, Unreleased, 6},
		{"reference released", "xdp", `
			r1 = map[2]
			r2 = 8
			r3 = 0
			call 131
			if r0 == 0 goto +3
			r1 = r0
			r2 = 0
			call 132
			r0 = 0
			exit`, "", 0},
		{"use after release", "xdp", `
			r1 = map[2]
			r2 = 8
			r3 = 0
			call 131
			r6 = r0
			if r0 == 0 goto +4
			r1 = r0
			r2 = 0
			call 132
			r0 = *(u64 *)(r6 +0)
			r0 = 0
			exit`, NotPointer, 0},
		{"32-bit stack key", "xdp", `
			r0 = *(u32 *)(r10 -516)
			exit`, OutOfBounds, 0},
		{"context gap", "xdp", "r0 = *(u32 *)(r1 +24)\nexit", BadContext, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Verify(context.Background(), assemble(t, tc.typ, tc.asm), Options{})
			var e *Error
			switch {
			case tc.code == "":
				if err != nil {
					t.Fatalf("rejected: %v", err)
				}
			case !errors.As(err, &e):
				t.Fatalf("got %v, want a rejection with %s", err, tc.code)
			case e.Code != tc.code || tc.pc != 0 && e.PC != tc.pc:
				t.Fatalf("got %s at %d (%v), want %s at %d", e.Code, e.PC, e, tc.code, tc.pc)
			}
		})
	}
}
