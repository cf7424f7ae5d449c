package verifier

import (
	"context"
	"errors"
	"testing"
)

// TestHints checks that advice names the registers, instructions and numbers of
// the case. Where there is C, lines stand for instructions (TestExplain).
func TestHints(t *testing.T) {
	const found = `
		*(u64 *)(r10 -8) = 3
		r2 = r10
		r2 += -8
		r1 = map[1]
		call 1
	`
	for _, tc := range []struct {
		name, typ, asm string
		opts           Options
		hint           string
		causes         int
	}{
		{"lost in a call", "xdp", "call 7\nr0 = r1\nexit", Options{},
			"keep the value in r6 to r9 or on the stack over the call of bpf_get_prandom_u32 at instruction 0: a call leaves nothing in r1 to r5", 1},
		{"no result", "xdp", "exit", Options{},
			"set r0, the result, before instruction 0: every path must return a value", 0},
		{"spilled pointer", "xdp", found + `
			*(u64 *)(r10 -16) = r0
			r1 = 0
			r6 = *(u64 *)(r10 -16)
			r0 = *(u64 *)(r6 +0)
			exit`, Options{},
			"test the result of bpf_map_lookup_elem at instruction 5 for NULL before instruction 9", 3},
		{"index of four-byte elements", "xdp", `
			r6 = *(u32 *)(r1 +12)
			*(u32 *)(r10 -4) = 3
			r2 = r10
			r2 += -4
			r1 = map[0]
			call 1
			r6 &= 31
			r6 <<= 2
			r0 += r6
			r0 = *(u32 *)(r0 +0)
			exit`, Options{},
			"mask the index before instruction 10, as in `i &= 15`, or leave if it is above 15", 5},
		{"index, not a power of two", "xdp", `
			r6 = *(u32 *)(r1 +12)
			*(u32 *)(r10 -4) = 3
			r2 = r10
			r2 += -4
			r1 = map[0]
			call 1
			r6 &= 31
			r6 <<= 2
			r0 += r6
			r0 = *(u32 *)(r0 +4)
			exit`, Options{},
			"compare the index before instruction 10, as in `if (i > 14) return`: make it unsigned, or compare it with 0 as well", 5},
		{"size of an argument", "xdp", `
			r6 = r1
			r1 = r10
			r1 += -8
			r2 = 16
			r3 = 0
			call 6
			r0 = 2
			exit`, Options{}, "the stack ends 8 bytes after r10-8: use a larger variable there, or a smaller size", 3},
		{"in a callback", "xdp", `
			r1 = 4
			r2 = subprog[+6]
			r3 = 0
			r4 = 0
			call 181
			r0 = 2
			exit
			r3 = r1
			r0 = *(u8 *)(r3 +0)
			exit`, Options{}, "use a pointer that the context, a map or a helper gave; a number cannot become one", 2},
		{"filled by a helper", "xdp", `
			*(u32 *)(r10 -8) = 1
			r6 = r1
			r2 = 0
			r3 = r10
			r3 += -8
			r4 = 4
			call 189
			r1 = *(u32 *)(r10 -8)
			r0 = *(u8 *)(r1 +0)
			exit`, Options{}, "use a pointer that the context, a map or a helper gave; a number cannot become one", 2},
		{"verdict", "cgroup_skb", "r0 = *(u32 *)(r1 +0)\nexit", Options{},
			"return 0 to 1: assign the result of every path from constants, or compare it before instruction 1", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Verify(context.Background(), assemble(t, tc.typ, tc.asm), tc.opts)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("not rejected: %v", err)
			}
			if e.Hint != tc.hint || len(e.Causes) != tc.causes {
				t.Errorf("got %q and %d causes, want %q and %d:\n%s", e.Hint, len(e.Causes), tc.hint, tc.causes, e.Explain())
			}
		})
	}
}
