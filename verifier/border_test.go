package verifier_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// borderMaps are an array of 8 values of 64 bytes, and a ring buffer.
var borderMaps = []*maps.Spec{
	{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 8},
	{Name: "events", Type: maps.RingBuf, MaxEntries: 4096},
}

// lookup leaves in r0 the value for a key in range.
const lookup = `
	*(u32 *)(r10 -4) = 0
	r2 = r10
	r2 += -4
	r1 = map[0]
	call 1
	if r0 == 0 goto out
	`

const out = `
	out: r0 = 0
	exit`

// borders are programs that a campaign found right beside the border of safety,
// each with one on its other side. kernel is what Linux 6.18 says of the safe
// one; "" if it accepts it. It refuses all the unsafe ones.
var borders = []struct {
	name, safe, unsafe string
	kernel             string
}{
	{
		name: "sign extension of a part of a slot",
		safe: lookup + `
			r6 = *(u64 *)(r0 +0)
			*(u64 *)(r10 -16) = r6
			r3 = *(s8 *)(r10 -13)
			if r3 s< 0 goto out
			r3 >>= 1
			r0 += r3
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			r6 = *(u64 *)(r0 +0)
			*(u64 *)(r10 -16) = r6
			r3 = *(s8 *)(r10 -13)
			if r3 s< -1 goto out
			r3 >>= 1
			r0 += r3
			r0 = *(u8 *)(r0 +0)
			` + out,
	},
	{
		name: "low half of a sign extension",
		safe: lookup + `
			r6 = *(u64 *)(r0 +0)
			*(u64 *)(r10 -16) = r6
			r6 = *(s16 *)(r10 -14)
			if w6 s< 0 goto out
			if w6 s> 63 goto out
			r0 += r6
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			r6 = *(u64 *)(r0 +0)
			*(u64 *)(r10 -16) = r6
			r6 = *(s16 *)(r10 -14)
			if w6 s< -1 goto out
			if w6 s> 63 goto out
			r0 += r6
			r0 = *(u8 *)(r0 +0)
			` + out,
	},
	{
		name: "a loop of no iterations",
		safe: `
			r1 = 0
			r2 = subprog[body]
			r3 = r10
			r4 = 0
			call 181
			` + out + `
			body: r0 = *(u64 *)(r2 +0)
			exit`,
		unsafe: `
			r1 = 1
			r2 = subprog[body]
			r3 = r10
			r4 = 0
			call 181
			` + out + `
			body: r0 = *(u64 *)(r2 +0)
			exit`,
	},
	{
		name: "what an atomic operation on the stack fetches",
		safe: lookup + `
			*(u64 *)(r10 -16) = 63
			r1 = 1
			r1 = atomic64_fetch_add((u64 *)(r10 -16), r1)
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			*(u64 *)(r10 -16) = 63
			r1 = 1
			r1 = atomic64_fetch_add((u64 *)(r10 -16), r1)
			r1 = *(u64 *)(r10 -16)
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
	},
	{
		name: "what an atomic operation leaves on the stack",
		safe: lookup + `
			*(u64 *)(r10 -16) = 0xff
			r1 = 0x3f
			lock *(u64 *)(r10 -16) &= r1
			r1 = *(u64 *)(r10 -16)
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			*(u64 *)(r10 -16) = 0xff
			r1 = 0x3f
			lock *(u32 *)(r10 -12) &= r1
			r1 = *(u64 *)(r10 -16)
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
		kernel: "math between map_value pointer and register with unbounded min value",
	},
	{
		name: "what an exchange of a map's value fetches",
		safe: lookup + `
			r1 = 7
			r1 = atomic64_fetch_and((u64 *)(r0 +0), r1)
			r1 &= 63
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			r1 = 7
			*(u64 *)(r0 +0) = r1
			r1 = atomic64_fetch_and((u64 *)(r0 +0), r1)
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			` + out,
	},
	{
		name: "an atomic operation on a spilled pointer",
		safe: lookup + `
			*(u64 *)(r10 -16) = r0
			r1 = 0
			r1 = atomic64_fetch_or((u64 *)(r10 -16), r1)
			r1 = r10
			lock *(u64 *)(r10 -16) += r1
			r1 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			*(u64 *)(r10 -16) = r0
			r1 = 0
			lock *(u64 *)(r10 -16) |= r1
			r1 = *(u64 *)(r10 -16)
			r1 = *(u8 *)(r1 +0)
			` + out,
	},
	{
		name: "a null test that is none to the kernel",
		safe: `
			r1 = map[1]
			r2 = 8
			r3 = 0
			call 131
			if r0 > 0 goto some
			` + out + `
			some: r1 = r0
			r2 = 0
			call 132
			goto out`,
		unsafe: `
			r1 = map[1]
			r2 = 8
			r3 = 0
			call 131
			if r0 > 1 goto some
			` + out + `
			some: r1 = r0
			r2 = 0
			call 132
			goto out`,
		kernel: "Unreleased reference",
	},
	{
		name: "an access back from the packet's end",
		safe: `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r2 += 4
			if r2 > r3 goto out
			r0 = *(u32 *)(r3 -4)
			` + out,
		unsafe: `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r2 += 3
			if r2 > r3 goto out
			r0 = *(u32 *)(r3 -4)
			` + out,
		kernel: "invalid mem access 'pkt_end'",
	},
	{
		name: "the bound of the value before a shift",
		safe: lookup + `
			r6 = *(u32 *)(r0 +0)
			r7 = r6
			r7 <<= 2
			if r6 > 15 goto out
			r0 += r7
			r0 = *(u32 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			r6 = *(u32 *)(r0 +0)
			r7 = r6
			r7 <<= 2
			if r6 > 16 goto out
			r0 += r7
			r0 = *(u32 *)(r0 +0)
			` + out,
		kernel: "unbounded memory access",
	},
	{
		name: "an index below another that is bounded",
		safe: lookup + `
			r6 = *(u32 *)(r0 +0)
			r7 = *(u32 *)(r0 +4)
			if r6 >= r7 goto out
			if r7 > 64 goto out
			r0 += r6
			r0 = *(u8 *)(r0 +0)
			` + out,
		unsafe: lookup + `
			r6 = *(u32 *)(r0 +0)
			r7 = *(u32 *)(r0 +4)
			if r6 > r7 goto out
			if r7 > 64 goto out
			r0 += r6
			r0 = *(u8 *)(r0 +0)
			` + out,
		kernel: "unbounded memory access",
	},
}

func TestBorders(t *testing.T) {
	var theirs []*oracle.Map
	if oracle.Available() == nil {
		for _, m := range borderMaps {
			k, err := oracle.NewMap(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			theirs = append(theirs, k)
		}
	}
	verdict := func(t *testing.T, asm string) (ours error, log string, kernel error) {
		insns, err := prog.Assemble(asm)
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("border", linux.XDP, insns, borderMaps)
		if err != nil {
			t.Fatal(err)
		}
		_, _, ours = verifier.Verify(context.Background(), p, verifier.Options{})
		if theirs != nil {
			var k *oracle.Program
			if k, log, kernel = oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: insns, Maps: theirs}); kernel == nil {
				k.Close()
			}
		}
		return ours, log, kernel
	}
	for _, tc := range borders {
		t.Run(tc.name, func(t *testing.T) {
			ours, log, kernel := verdict(t, tc.safe)
			if ours != nil {
				t.Errorf("the safe program is refused: %v", ours)
			}
			if theirs != nil && (kernel == nil) != (tc.kernel == "") || !strings.Contains(log, tc.kernel) && theirs != nil {
				t.Errorf("the kernel says of the safe program: %v, want %q:\n%s", kernel, tc.kernel, log)
			}
			ours, _, kernel = verdict(t, tc.unsafe)
			if ours == nil {
				t.Error("the unsafe program is accepted")
			}
			if theirs != nil && kernel == nil {
				t.Error("the kernel accepts the unsafe program")
			}
		})
	}
}

// TestStrictAtomics refuses, under the strict rules, atomic operations that make
// an address readable.
func TestStrictAtomics(t *testing.T) {
	for _, asm := range []string{
		"*(u64 *)(r10 -8) = 0\nlock *(u64 *)(r10 -8) += r10",
		"*(u64 *)(r10 -8) = r10\nr1 = 1\nlock *(u64 *)(r10 -8) += r1",
		"*(u64 *)(r10 -8) = 0\nr0 = r10\nr1 = 1\nr0 = cmpxchg_64(r10 -8, r0, r1)",
	} {
		insns, err := prog.Assemble(asm + "\nr0 = 0\nexit")
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("strict", linux.XDP, insns, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = verifier.Verify(context.Background(), p, verifier.Options{Strict: true})
		var e *verifier.Error
		if !errors.As(err, &e) || e.Code != verifier.Leak {
			t.Errorf("got %v, want %s:\n%s", err, verifier.Leak, asm)
		}
	}
}
