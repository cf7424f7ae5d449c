package verifier

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// unsafeMaps are what programs that must be refused refer to by index.
var unsafeMaps = append(testMaps[:len(testMaps):len(testMaps)],
	&maps.Spec{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
	&maps.Spec{Name: "percpu", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 64, MaxEntries: 16},
)

// TestRefused checks that unsafe programs are refused, each for its rule. A
// program here would, if accepted, reach memory that is not its own, run
// forever, or fault in the checked interpreter.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name, typ, asm string
		code           Code
	}{
		{"difference with the least integer", "xdp", `
			r3 = *(u32 *)(r1 +12)
			r3 &= 7
			r1 = *(u32 *)(r1 +16)
			r1 &= 100
			r2 = 0x8000000000000000 ll
			r1 += r2
			if r1 s< r3 goto bad
			r0 = 0
			exit
			bad: r0 = *(u64 *)(r3 +0)
			exit`, NotPointer},
		{"endless path that moves nothing beside one that counts", "xdp", `
			call 7
			r7 = 0
			if r0 > 5 goto loop
			r7 = 1
			r6 = 100
			loop: if r7 == 0 goto loop
			r6 += -1
			if r6 != 0 goto loop
			r0 = 0
			exit`, Unbounded},
		{"distance of two numbers that jump about", "xdp", lookup + `
			r8 = r0
			r6 = 0
			r7 = 0
			r9 = 0x7fffffffffffff00 ll
			loop:
			r6 = *(u64 *)(r8 +0)
			r6 >>= 1
			r7 = *(u64 *)(r8 +8)
			r7 >>= 1
			if r6 s> r9 goto out
			if r7 s> r9 goto out
			if r7 s< r6 goto out
			r1 = r6
			r1 += 10
			if r7 s> r1 goto out
			goto loop
			out: r0 = 0
			exit`, Unbounded},
		{"legacy load returns from a subprogram", "sched_cls", `
			call sub
			if r0 == 5 goto ok
			r0 = *(u64 *)(r0 +0)
			ok: r0 = 0
			exit
			sub: r6 = r1
			r0 = *(u8 *)skb[20]
			r0 = 5
			exit`, NotPointer},
		{"tail call returns from a subprogram", "sched_cls", `
			call sub
			if r0 == 5 goto ok
			r0 = *(u64 *)(r0 +0)
			ok: r0 = 0
			exit
			sub: r2 = map[3]
			r3 = 0
			call 12
			r0 = 5
			exit`, NotPointer},
		{"packet pointer after a tail call in a subprogram", "sched_cls", `
			r6 = r1
			r7 = *(u32 *)(r6 +76)
			r2 = *(u32 *)(r6 +80)
			r3 = r7
			r3 += 8
			if r3 > r2 goto out
			call sub
			r0 = *(u8 *)(r7 +0)
			out: r0 = 0
			exit
			sub: r2 = map[3]
			r3 = 0
			call 12
			r0 = 5
			exit`, NotPointer},
		{"per-CPU lookup on a CPU that is not there", "xdp", `
			*(u32 *)(r10 -4) = 3
			r2 = r10
			r2 += -4
			r1 = map[4]
			r3 = 100000
			call 195
			r0 = *(u64 *)(r0 +0)
			exit`, NullPointer},
		{"nullable memory with a size", "sched_cls", `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			r1 = r0
			r2 = 8
			r3 = r10
			r3 += -8
			r4 = 8
			r5 = 0
			call 28
			r0 = 0
			exit`, NullPointer},
		{"byte-swapped pointer", "xdp", lookup + `
			r1 = r0
			r1 = be64 r1
			r1 >>= 32
			r0 += r1
			r0 = *(u8 *)(r0 +0)
			exit`, OutOfBounds},
		{"callback context above the stack", "xdp", `
			r1 = 3
			r2 = subprog[+7]
			r3 = r10
			r3 += 512
			r4 = 0
			call 181
			r0 = 0
			exit
			body: r0 = 0
			exit`, OutOfBounds},
	} {
		t.Run(tc.name, func(t *testing.T) {
			insns, err := prog.Assemble(tc.asm)
			if err != nil {
				t.Fatal(err)
			}
			p, err := prog.FromInsns("test", linux.Platform.Type(tc.typ), insns, unsafeMaps)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = Verify(context.Background(), p, Options{})
			var e *Error
			if !errors.As(err, &e) || e.Code != tc.code {
				t.Fatalf("got %v, want a refusal with %s", err, tc.code)
			}
		})
	}
}

// TestManyValues checks a block that makes more unknown values than their
// names can tell apart: one of them must not be taken for a constant.
func TestManyValues(t *testing.T) {
	for _, n := range []int{65533, 65534, 65535, 65536, 70000} {
		load := prog.Insn{Op: 0x61, Dst: 2, Src: 1, Off: 16}
		insns := make([]prog.Insn, n, n+6)
		for i := range insns {
			insns[i] = load
		}
		tail, err := prog.Assemble("r3 = r10\nr3 += r2\n*(u8 *)(r3 -8) = 0\nr0 = 0\nexit")
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("test", linux.Platform.Type("xdp"), append(insns, tail...), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Verify(context.Background(), p, Options{})
		var e *Error
		if !errors.As(err, &e) || e.Code != OutOfBounds {
			t.Fatalf("%d values: got %v, want a refusal with %s", n, err, OutOfBounds)
		}
	}
}

// TestManyObjects checks a block that makes more objects than their names can
// tell apart: a socket that may be null must not be taken for another thing.
func TestManyObjects(t *testing.T) {
	for n := 65530; n < 65540; n += 2 {
		insns := slices.Repeat([]prog.Insn{{Op: 0x79, Dst: 2, Src: 1, Off: 168}}, n)
		tail, err := prog.Assemble("r0 = *(u32 *)(r2 +4)\nr0 = 0\nexit")
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("test", linux.Platform.Type("sched_cls"), append(insns, tail...), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Verify(context.Background(), p, Options{})
		var e *Error
		if !errors.As(err, &e) || e.Code != NullPointer {
			t.Fatalf("%d objects: got %v, want a refusal with %s", n, err, NullPointer)
		}
	}
}
