package verifier

import (
	"context"
	"errors"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// trapMaps are unsafeMaps and one that programs may only read.
var trapMaps = append(unsafeMaps[:len(unsafeMaps):len(unsafeMaps)],
	&maps.Spec{Name: "config", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 16, Flags: maps.ReadOnlyProg},
	&maps.Spec{Name: "seen", Type: maps.BloomFilter, ValueSize: 8, MaxEntries: 16},
)

const (
	hashLookup = `
	*(u64 *)(r10 -8) = 3
	r2 = r10
	r2 += -8
	r1 = map[1]
	call 1
`
	reserve = `
	r1 = map[2]
	r2 = 16
	r3 = 0
	call 131
`
	checked14 = `
	r6 = r1
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r7 = r2
	r4 = r2
	r4 += 14
	r0 = 0
	if r4 > r3 goto out
`
)

// TestTraps checks rules that a verifier has once got wrong, or is easily led
// to forget. The names say which; CVE numbers are those of Linux's verifier.
func TestTraps(t *testing.T) {
	for _, tc := range []struct {
		name, typ, asm string
		code           Code
		strict         bool
	}{
		{"CVE-2017-16995: 32-bit move of a negative immediate", "xdp", `
			w6 = -1
			if r6 == -1 goto +1
			r0 = *(u64 *)(r6 +0)
			r0 = 0
			exit`, NotPointer, false},
		{"CVE-2020-8835: 32-bit comparison bounds the low half only", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			if w1 > 10 goto +2
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			r0 = 0
			exit`, OutOfBounds, false},
		{"CVE-2018-18445: 32-bit shift of a 64-bit bound", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			w1 >>= 24
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"CVE-2021-3600: divisor 0 in its low half", "xdp", `
			r1 = 5
			r2 = 0x100000000 ll
			w1 /= w2
			if r1 == 0 goto bad
			r0 = 0
			exit
			bad: r0 = *(u64 *)(r1 +0)
			exit`, NotPointer, false},
		{"CVE-2021-3444: 32-bit remainder by 0 truncates", "xdp", `
			r1 = 0x100000000 ll
			w2 = 0
			w1 %= w2
			if r1 == 0 goto bad
			r0 = 0
			exit
			bad: r0 = *(u64 *)(r1 +0)
			exit`, NotPointer, false},
		{"CVE-2022-23222: arithmetic on a reservation that may be null", "xdp", reserve + `
			r0 += 8
			r0 = 0
			exit`, NullPointer, false},
		{"CVE-2021-4204: release of a moved pointer", "xdp", reserve + `
			if r0 == 0 goto +5
			r0 += 8
			r1 = r0
			r2 = 0
			call 132
			r0 = 0
			r0 = 0
			exit`, BadArgument, false},
		{"CVE-2017-17864: a pointer on one path, a number on the other", "xdp", lookup + `
			r6 = r0
			r7 = *(u64 *)(r0 +0)
			if r7 > 3 goto +1
			r6 = 0x1234
			r0 = *(u64 *)(r6 +0)
			exit`, NotPointer, false},
		{"second release", "xdp", reserve + `
			r6 = r0
			if r0 == 0 goto +6
			r1 = r6
			r2 = 0
			call 132
			r1 = r6
			r2 = 0
			call 132
			r0 = 0
			exit`, BadArgument, false},
		{"reference lost on one path", "xdp", reserve + `
			if r0 == 0 goto +5
			r7 = *(u64 *)(r0 +0)
			if r7 > 3 goto +3
			r1 = r0
			r2 = 0
			call 132
			r0 = 0
			exit`, Unreleased, false},
		{"reference held over a tail call", "xdp", `
			r6 = r1` + reserve + `
			if r0 == 0 goto +5
			r1 = r6
			r2 = map[3]
			r3 = 0
			call 12
			r0 = 0
			exit`, Unreleased, false},
		{"the null side of a check", "xdp", hashLookup + `
			if r0 != 0 goto +1
			r0 = *(u64 *)(r0 +0)
			r0 = 0
			exit`, NotPointer, false},
		{"a check of another lookup", "xdp", hashLookup + "r6 = r0" + hashLookup + `
			if r0 == 0 goto +1
			r0 = *(u64 *)(r6 +0)
			r0 = 0
			exit`, NullPointer, false},
		{"atomic on the context", "xdp", "r2 = 1\nlock *(u32 *)(r1 +16) += r2\nr0 = 0\nexit", BadPointer, false},
		{"atomic on the packet", "xdp", checked14 + `
			r1 = 1
			lock *(u32 *)(r2 +0) += r1
			out: r0 = 0
			exit`, BadPointer, false},
		{"misaligned atomic", "xdp", lookup + "r1 = 1\nlock *(u64 *)(r0 +4) += r1\nr0 = 0\nexit", Misaligned, false},
		{"misaligned stack", "xdp", "*(u32 *)(r10 -6) = 0\nr0 = 0\nexit", Misaligned, false},
		{"above the stack", "xdp", "r0 = *(u8 *)(r10 +0)\nexit", OutOfBounds, false},
		{"below the stack", "xdp", "*(u8 *)(r10 -513) = 0\nr0 = 0\nexit", OutOfBounds, false},
		{"variable place outside of the stack", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			r1 &= 8
			r2 = r10
			r2 += r1
			*(u8 *)(r2 -8) = 0
			r0 = 0
			exit`, OutOfBounds, false},
		{"a store at a variable place forgets spills", "xdp", lookup + `
			*(u64 *)(r10 -16) = r0
			r1 = *(u64 *)(r0 +0)
			r1 &= 8
			r2 = r10
			r2 += r1
			*(u64 *)(r2 -24) = 0
			r3 = *(u64 *)(r10 -16)
			r0 = *(u64 *)(r3 +0)
			exit`, NotPointer, false},
		{"a store at a variable place forgets numbers", "xdp", lookup + `
			*(u64 *)(r10 -16) = 8
			r1 = *(u64 *)(r0 +0)
			r3 = r1
			r1 &= 8
			r2 = r10
			r2 += r1
			*(u64 *)(r2 -24) = r3
			r3 = *(u64 *)(r10 -16)
			r0 += r3
			r0 = *(u64 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"part of a spilled pointer overwritten", "xdp", lookup + `
			*(u64 *)(r10 -16) = r0
			*(u8 *)(r10 -16) = 7
			r3 = *(u64 *)(r10 -16)
			r0 = *(u64 *)(r3 +0)
			exit`, NotPointer, false},
		{"part of a spilled number overwritten", "xdp", lookup + `
			*(u64 *)(r10 -16) = 8
			*(u8 *)(r10 -10) = 7
			r3 = *(u64 *)(r10 -16)
			r0 += r3
			r0 = *(u64 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"a number defined by itself", "xdp", `
			r1 = *(u32 *)(r1 +12)
			r2 = r1
			r2 &= 7
			if r2 != r1 goto +1
			r2 >>= 1
			r0 = *(u64 *)(r2 +0)
			exit`, NotPointer, false},
		{"an atomic changes a spilled number", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			*(u64 *)(r10 -16) = 8
			lock *(u64 *)(r10 -16) += r1
			r3 = *(u64 *)(r10 -16)
			r0 += r3
			r0 = *(u64 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"what an atomic fetches", "xdp", lookup + `
			r1 = 8
			r1 = atomic64_fetch_add((u64 *)(r0 +0), r1)
			r0 += r1
			r0 = *(u64 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"map memory is not remembered", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			if r1 > 8 goto +3
			r1 = *(u64 *)(r0 +0)
			r0 += r1
			r0 = *(u64 *)(r0 +0)
			r0 = 0
			exit`, OutOfBounds, false},
		{"a context pointer that was moved", "xdp", "r1 += 4\nr0 = *(u32 *)(r1 +8)\nexit", BadContext, false},
		{"store to the context", "xdp", "*(u32 *)(r1 +16) = 0\nr0 = 0\nexit", BadContext, false},
		{"sign-extending load of a packet pointer", "xdp", "r2 = *(s32 *)(r1 +0)\nr0 = 0\nexit", BadContext, false},
		{"packet pointer after the packet moved", "xdp", checked14 + `
			r1 = r6
			r2 = 0
			call 44
			r0 = *(u8 *)(r7 +0)
			out: r0 = 0
			exit`, NotPointer, false},
		{"packet bytes after the packet moved", "xdp", checked14 + `
			r1 = r6
			r2 = 0
			call 44
			r2 = *(u32 *)(r6 +0)
			r0 = *(u8 *)(r2 +0)
			out: r0 = 0
			exit`, OutOfBounds, false},
		{"before the packet", "xdp", checked14 + "r0 = *(u8 *)(r2 -1)\nout: r0 = 0\nexit", OutOfBounds, false},
		{"an unbounded number added before the check", "xdp", `
			r6 = r1
			r8 = *(u32 *)(r6 +16)
			r8 <<= 32
			r2 = *(u32 *)(r6 +0)
			r3 = *(u32 *)(r6 +4)
			r2 += r8
			r4 = r2
			r4 += 8
			r0 = 0
			if r4 > r3 goto +1
			r0 = *(u64 *)(r2 +0)
			exit`, OutOfBounds, false},
		{"a key that is too short", "xdp", `
			*(u32 *)(r10 -4) = 3
			r2 = r10
			r2 += -2
			r1 = map[0]
			call 1
			r0 = 0
			exit`, OutOfBounds, false},
		{"a size without a bound", "xdp", lookup + `
			r3 = *(u64 *)(r0 +0)
			r1 = map[2]
			r2 = r10
			r2 += -64
			r4 = 0
			call 130
			r0 = 0
			exit`, BadArgument, false},
		{"a size that is too large", "xdp", lookup + `
			r3 = *(u64 *)(r0 +0)
			r3 &= 127
			r1 = map[2]
			r2 = r10
			r2 += -64
			r4 = 0
			call 130
			r0 = 0
			exit`, OutOfBounds, false},
		{"a value read into the registers by a sign-extending move", "xdp", lookup + `
			r1 = *(u8 *)(r0 +0)
			r1 &= 0x8f
			r1 = (s8)r1
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"lookup in a program array", "xdp", `
			*(u32 *)(r10 -4) = 0
			r2 = r10
			r2 += -4
			r1 = map[3]
			call 1
			r0 = 0
			exit`, BadArgument, false},
		{"tail call with a hash", "xdp", "r2 = map[1]\nr3 = 0\ncall 12\nr0 = 0\nexit", BadArgument, false},
		{"tail call with a moved context", "xdp", "r1 += 4\nr2 = map[3]\nr3 = 0\ncall 12\nr0 = 0\nexit", BadArgument, false},
		{"store to a map that programs only read", "xdp", `
			*(u32 *)(r10 -4) = 0
			r2 = r10
			r2 += -4
			r1 = map[5]
			call 1
			*(u8 *)(r0 +0) = 1
			r0 = 0
			exit`, ReadOnly, false},
		{"helper argument in a map that programs only read", "xdp", `
			*(u32 *)(r10 -4) = 0
			r2 = r10
			r2 += -4
			r3 = r10
			r3 += -64
			r4 = 0
			r1 = map[5]
			call 2
			r0 = 0
			exit`, ReadOnly, false},
		{"caller's registers in a subprogram", "xdp", `
			r6 = 1
			call sub
			r0 = 0
			exit
			sub: r0 = r6
			exit`, Unreadable, false},
		{"arguments after a subprogram", "xdp", `
			call sub
			r0 = r1
			exit
			sub: r0 = 0
			exit`, Unreadable, false},
		{"a subprogram without a result", "xdp", `
			call sub
			r1 = r0
			r0 = 0
			exit
			sub: r1 = 0
			exit`, Unreadable, false},
		{"a negative amount of a shift of masked bits", "xdp", lookup + `
			r1 = *(u64 *)(r0 +0)
			r1 &= -8
			r2 = -44
			r1 >>= r2
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			exit`, OutOfBounds, false},
		{"a callee's stack returned", "xdp", `
			call sub
			r0 = 0
			exit
			sub: r0 = r10
			exit`, Leak, false},
		{"a callee's stack stored with the caller", "xdp", `
			r1 = r10
			r1 += -8
			call sub
			r0 = 0
			exit
			sub: *(u64 *)(r1 +0) = r10
			r0 = 0
			exit`, Leak, false},
		{"recursion", "xdp", `
			call sub
			exit
			sub: call sub
			r0 = 0
			exit`, Recursion, false},
		{"a callback that returns 2", "xdp", `
			r1 = 3
			r2 = subprog[+6]
			r3 = 0
			r4 = 0
			call 181
			r0 = 0
			exit
			r0 = 2
			exit`, BadReturn, false},
		{"what a callback changes", "xdp", lookup + `
			r6 = r0
			*(u64 *)(r10 -16) = 8
			r1 = 3
			r2 = subprog[+9]
			r3 = r10
			r3 += -16
			r4 = 0
			call 181
			r1 = *(u64 *)(r10 -16)
			r6 += r1
			r0 = *(u64 *)(r6 +0)
			exit
			r1 = *(u64 *)(r2 +0)
			r1 += 8
			*(u64 *)(r2 +0) = r1
			r0 = 0
			exit`, OutOfBounds, false},
		{"a callback that runs zero times initialises nothing", "xdp", `
			r6 = *(u32 *)(r1 +16)
			*(u64 *)(r10 -16) = 0
			r1 = r6
			r2 = subprog[+8]
			r3 = r10
			r3 += -16
			r4 = 0
			call 181
			r1 = *(u64 *)(r10 -16)
			r0 = *(u64 *)(r1 +0)
			exit
			*(u64 *)(r2 +0) = r2
			r0 = 0
			exit`, NotPointer, false},
		{"two lookups are two places", "xdp", hashLookup + `
			if r0 == 0 goto out
			r6 = r0` + hashLookup + `
			if r0 == 0 goto out
			if r6 != r0 goto bad
			out: r0 = 0
			exit
			bad: r1 = 5
			r0 = *(u64 *)(r1 +0)
			exit`, NotPointer, false},
		{"and of a pointer", "xdp", "r1 &= -8\nr0 = 0\nexit", BadArithmetic, false},
		{"32-bit addition to a pointer", "xdp", "w1 += 4\nr0 = 0\nexit", BadArithmetic, false},
		{"a number less a pointer", "xdp", "r2 = 5\nr2 -= r1\nr0 = 0\nexit", BadArithmetic, false},
		{"sum of pointers", "xdp", "r2 = r1\nr2 += r10\nr0 = 0\nexit", BadArithmetic, false},
		{"arithmetic on a map", "xdp", "r1 = map[0]\nr1 += 8\nr0 = 0\nexit", BadArithmetic, false},
		{"load from a map handle", "xdp", "r1 = map[0]\nr0 = *(u64 *)(r1 +0)\nexit", BadPointer, false},
		{"loop whose end the map decides", "xdp", lookup + `
			r6 = r0
			r1 = *(u64 *)(r6 +0)
			if r1 != 0 goto -2
			r0 = 0
			exit`, Unbounded, false},
		{"loop that steps over its end", "xdp", `
			r6 = *(u32 *)(r1 +16)
			r6 &= 6
			r6 += 2
			if r6 != 101 goto -2
			r0 = 0
			exit`, Unbounded, false},
		{"loop that goes up and down", "xdp", `
			r6 = 50
			call 7
			r0 &= 1
			if r0 == 0 goto +2
			r6 += 1
			goto +1
			r6 += -1
			if r6 s> 0 goto -7
			r0 = 0
			exit`, Unbounded, false},

		{"stack that was not written", "xdp", "r0 = *(u64 *)(r10 -8)\nexit", UninitStack, true},
		{"stack that one path wrote", "xdp", `
			r2 = *(u32 *)(r1 +16)
			if r2 > 3 goto +1
			*(u64 *)(r10 -8) = 1
			r0 = *(u64 *)(r10 -8)
			exit`, UninitStack, true},
		{"key that was not written", "xdp", "r2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nr0 = 0\nexit", UninitStack, true},
		{"bloom filter asked for what was not written", "xdp", "r2 = r10\nr2 += -8\nr1 = map[6]\ncall 89\nr0 = 0\nexit", UninitStack, true},
		{"pointer in a map", "xdp", lookup + "*(u64 *)(r0 +0) = r10\nr0 = 0\nexit", Leak, true},
		{"pointer returned", "xdp", "r0 = r1\nexit", Leak, true},
		{"pointer compared with a number", "xdp", "r0 = 0\nif r1 > 100 goto +0\nexit", Leak, true},
		{"part of a pointer stored", "xdp", "*(u32 *)(r10 -8) = r1\nr0 = 0\nexit", Leak, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			insns, err := prog.Assemble(tc.asm)
			if err != nil {
				t.Fatal(err)
			}
			p, err := prog.FromInsns("test", linux.Platform.Type(tc.typ), insns, trapMaps)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = Verify(context.Background(), p, Options{Strict: tc.strict})
			var e *Error
			if !errors.As(err, &e) || e.Code != tc.code {
				t.Fatalf("got %v, want a refusal with %s", err, tc.code)
			}
		})
	}
}

// TestWorstCase checks the worst case of loops against the longest run, counted
// by hand.
func TestWorstCase(t *testing.T) {
	for _, tc := range []struct {
		asm     string
		longest int64
	}{
		{"r0 = 0\nexit", 2},
		{"r0 = 0\nr1 = 0\nr1 += 1\nif r1 != 1000 goto -2\nexit", 2 + 2*1000 + 1},
		{"r0 = 0\nr1 = 0\nif r1 >= 1000 goto +3\nr0 += r1\nr1 += 1\ngoto -4\nexit", 2 + 4*1000 + 2},
		{"r0 = 0\nr2 = 0\nr1 = 0\nr1 += 1\nif r1 < 100 goto -2\nr2 += 1\nif r2 < 100 goto -5\nexit", 2 + 100*(1+2*100+2) + 1},
		{"r6 = 100\nr6 += -1\nif r6 != 0 goto -2\nr0 = 0\nexit", 1 + 2*100 + 2},
		{`r6 = *(u32 *)(r1 +16)
			r6 &= 0xffff
			loop: if r6 == 0 goto out
			r6 += -1
			goto loop
			out: r0 = 0
			exit`, 2 + 3*65535 + 3},
		{`r6 = *(u32 *)(r1 +16)
			r6 &= 0xfff
			outer: if r6 == 0 goto out
			r6 += -1
			r7 = 0xfff
			inner: r7 += -1
			if r7 != 0 goto inner
			goto outer
			out: r0 = 0
			exit`, 2 + 4095*(4+2*4095) + 3},
	} {
		v, _, err := Verify(context.Background(), assemble(t, "xdp", tc.asm), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if w := v.Stats().WorstCase; w < tc.longest || w > 2*tc.longest {
			t.Errorf("worst case %d; the longest run takes %d:\n%s", w, tc.longest, tc.asm)
		}
	}
}
