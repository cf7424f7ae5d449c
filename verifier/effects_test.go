package verifier

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// bad is where only a run that the verifier must not rule out arrives.
const bad = `
bad:
	r0 = *(u64 *)(r10 +0)
	exit`

// TestEffects checks what instructions leave: a program that relies on what is
// not so is refused, and one that relies on what is so is accepted.
func TestEffects(t *testing.T) {
	const begin = "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n"
	const next = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n"
	const end = "r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\n"
	const meta = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +8)\n"
	checkShapes(t, []shape{
		{"32-bit move of a register", "xdp", "r1 = -1\nw2 = w1\nif r2 != -1 goto bad" + out + bad, OutOfBounds, ""},
		{"64-bit move of a register", "xdp", "r1 = -1\nr2 = r1\nif r2 != -1 goto bad" + out + bad, "", ""},
		{"le16 truncates", "xdp", "r1 = 0x12345\nr1 = le16 r1\nif r1 != 0x12345 goto bad" + out + bad, OutOfBounds, ""},
		{"le16 keeps the low half", "xdp", "r1 = 0x12345\nr1 = le16 r1\nif r1 != 0x2345 goto bad" + out + bad, "", ""},
		{"be16 swaps", "xdp", "r1 = 0x12345\nr1 = be16 r1\nif r1 != 0x4523 goto bad" + out + bad, "", ""},
		{"bswap16 swaps", "xdp", "r1 = 0x12345\nr1 = bswap16 r1\nif r1 != 0x4523 goto bad" + out + bad, "", ""},
		{"number less an address", "xdp", "r2 = 5\nr2 -= r10" + out, BadArithmetic, ""},
		{"null test by order", "xdp", hashLookup + "if r0 < 1 goto out\nr0 = *(u64 *)(r0 +0)" + out, "", "the kernel takes no test but equality with 0"},
		{"address below 0", "xdp", "if r1 < 0 goto bad" + out + bad, "", "the kernel thinks that an address may compare either way"},
		{"address at least 0", "xdp", "if r1 >= 0 goto out" + bad + out, "", "the kernel thinks that an address may compare either way"},
		{"address at least 0, to harm", "xdp", "if r1 >= 0 goto bad" + out + bad, OutOfBounds, ""},
		{"data at least metadata and 4", "xdp", meta + "r4 = r3\nr4 += 4\nif r2 < r4 goto out\nr0 = *(u32 *)(r3 +0)" + out, "", ""},
		{"metadata and 4 at most data", "xdp", meta + "r4 = r3\nr4 += 4\nif r4 > r2 goto out\nr0 = *(u32 *)(r3 +0)" + out, "", ""},
		{"metadata and 4 at most data, less by one", "xdp", meta + "r4 = r3\nr4 += 3\nif r4 > r2 goto out\nr0 = *(u32 *)(r3 +0)" + out, OutOfBounds, ""},
		{"data compared with itself", "xdp", meta + "r4 = r2\nif r4 != r2 goto out\nif r3 != r2 goto bad" + out + bad, OutOfBounds, ""},
		{"metadata compared with a moved address", "xdp", meta + `
			r6 = r3
			r7 = r2
			r1 = *(u32 *)(r1 +12)
			r1 &= 63
			r7 += r1
			r4 = r6
			r4 += 4
			if r4 > r7 goto out
			r0 = *(u32 *)(r6 +0)` + out, OutOfBounds, ""},
		{"address that wraps", "xdp", `
			r6 = *(u32 *)(r1 +0)
			r7 = *(u32 *)(r1 +4)` + lookup + `
			r5 = *(u64 *)(r0 +0)
			r6 += r5
			if r6 > r7 goto here
		out:
			r0 = 0
			exit
		here:
			if r5 s< 0 goto bad
			r0 = 0
			exit` + bad, OutOfBounds, ""},
		{"branch that cannot fall through", "xdp", "r2 = 1\nif r2 == 1 goto out" + bad + out, "", ""},
		{"branch that cannot be taken", "xdp", "r2 = 1\nif r2 != 1 goto bad" + out + bad, "", ""},
		{"signed load", "xdp", "r1 = map[10][0]+0\nr1 = *(s8 *)(r1 +0)\nr1 += 128\nif r1 > 255 goto bad" + out + bad, "", ""},
		{"signed load below 0", "xdp", "r1 = map[10][0]+0\nr1 = *(s8 *)(r1 +0)\nif r1 s< 0 goto bad" + out + bad, OutOfBounds, ""},
		{"signed load above 126", "xdp", "r1 = map[10][0]+0\nr1 = *(s8 *)(r1 +0)\nif r1 s> 126 goto bad" + out + bad, OutOfBounds, ""},
		{"unsigned load above 254", "xdp", "r1 = map[10][0]+0\nr1 = *(u8 *)(r1 +0)\nif r1 > 254 goto bad" + out + bad, OutOfBounds, ""},
		{"signed load of a constant", "xdp", "*(u8 *)(r10 -1) = 255\nr1 = *(s8 *)(r10 -1)\nif r1 != -1 goto bad" + out + bad, "", "the kernel does not remember bytes"},
		{"load of either constant", "xdp", `
			*(u64 *)(r10 -8) = 1
			*(u64 *)(r10 -16) = 2
			r1 = *(u32 *)(r1 +12)
			r1 &= 8
			r2 = r10
			r2 += -16
			r2 += r1
			r1 = *(u64 *)(r2 +0)
			if r1 != 2 goto bad` + out + bad, OutOfBounds, ""},
		{"key of a hash in the range of an array", "xdp", "*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nr0 = *(u64 *)(r0 +16)" + out, NullPointer, ""},
		{"iterator's arguments after new", "xdp", begin + "r6 = r1\n" + end + out, Unreadable, ""},
		{"iterator's arguments after next", "xdp", begin + next + "r6 = r1\n" + end + out, Unreadable, ""},
		{"iterator's arguments after destroy", "xdp", begin + end + "r6 = r1" + out, Unreadable, ""},
		{"result of new", "xdp", begin + "r6 = r0\n" + end + out, "", ""},
		{"result of new is an int", "xdp", begin + "r6 = r0\n" + end + "if r6 s< 0 goto bad" + out + bad, "", "the kernel knows nothing of the result"},
		{"result of destroy", "xdp", begin + end + "r6 = r0" + out, Unreadable, ""},
		{"result of new may be an error", "xdp", begin + "r6 = r0\n" + end + "if w6 s< 0 goto bad" + out + bad, OutOfBounds, ""},
		{"what an exchange leaves in r0", "xdp", "r2 = map[10][0]+0\nr0 = 8\nr1 = 1\nr0 = cmpxchg_64(r2 +0, r0, r1)\nif r0 != 8 goto bad" + out + bad, OutOfBounds, ""},
		{"what an atomic leaves of an address", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 8\nlock *(u64 *)(r10 -8) += r1\nr2 = *(u64 *)(r10 -8)\nif r2 != 8 goto bad" + out + bad, OutOfBounds, ""},
		{"result of a section", "xdp", "call bpf_rcu_read_lock\nr6 = r0\ncall bpf_rcu_read_unlock" + out, Unreadable, ""},
		{"dynptr counts as stack", "xdp", `
			*(u8 *)(r10 -256) = 0
			call f
			r0 = 0
			exit
		f:
			r1 = map[10][0]+0
			r2 = 32
			r3 = 0
			r4 = r10
			r4 += -272
			call 197
			r0 = 0
			exit`, StackDepth, ""},
		{"iterator counts as stack", "xdp", `
			*(u8 *)(r10 -256) = 0
			call f
			r0 = 0
			exit
		f:
			r1 = r10
			r1 += -272
			r2 = 0
			r3 = 10
			call bpf_iter_num_new
			r1 = r10
			r1 += -272
			call bpf_iter_num_destroy
			r0 = 0
			exit`, StackDepth, ""},
		{"timer's callback throws", "sched_cls", startTimer + "r1 = 0\ncall bpf_throw\nexit", BadArgument, ""},
		{"timer's callback takes too much stack", "xdp", startTimer + "*(u8 *)(r10 -512) = 0\ncall f\nr0 = 0\nexit\nf:\n*(u8 *)(r10 -512) = 0\nr0 = 0\nexit", StackDepth, ""},
	})
}

// TestLater checks bounds of runs that the exploration does not unroll.
func TestLater(t *testing.T) {
	for _, tc := range []struct {
		name, asm string
		longest   int64
	}{
		{"iterator over a 64-bit start", `
			r1 = r10
			r1 += -8
			r2 = 0x100000000 ll
			r3 = 10
			call bpf_iter_num_new
		again:
			r1 = r10
			r1 += -8
			call bpf_iter_num_next
			if r0 != 0 goto again
			r1 = r10
			r1 += -8
			call bpf_iter_num_destroy
			r0 = 0
			exit`, 10 * 4},
		{"iterator to a 64-bit end", `
			r1 = r10
			r1 += -8
			r2 = 0
			r3 = 0xffffffff0000000a ll
			call bpf_iter_num_new
		again:
			r1 = r10
			r1 += -8
			call bpf_iter_num_next
			if r0 != 0 goto again
			r1 = r10
			r1 += -8
			call bpf_iter_num_destroy
			r0 = 0
			exit`, 10 * 4},
		{"two ends that meet", `
			r6 = 0
			r7 = 100000
		again:
			r6 += 1
			r7 += -1
			if r6 < r7 goto again
			r0 = 0
			exit`, 50000 * 3},
		{"a loop after a loop", `
			r6 = 10000
		first:
			r6 += -1
			if r6 != 0 goto first
			r7 = 20000
		second:
			r7 += -1
			if r7 != 0 goto second
			r0 = 0
			exit`, 30000 * 2},
		{"bits that leave", `
			r6 = map[10][0]+0
			r6 = *(u64 *)(r6 +0)
		again:
			if r6 == 0 goto out
			r6 >>= 1
			goto again` + out, 64 * 3},
		{"bits that are cleared", `
			r6 = map[10][0]+0
			r6 = *(u64 *)(r6 +0)
		again:
			if r6 == 0 goto out
			r7 = r6
			r7 += -1
			r6 &= r7
			goto again` + out, 64 * 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.asm)
			_, stats, err := Verify(context.Background(), p, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if stats.WorstCase < tc.longest {
				t.Errorf("worst case %d; a run takes %d", stats.WorstCase, tc.longest)
			}
		})
	}
}

// TestFrozen checks what is taken for a constant: the contents of one array
// that nobody can change.
func TestFrozen(t *testing.T) {
	text := make([]byte, 64)
	copy(text[8:], "abc")
	full := slices.Repeat([]byte{'x'}, 64)
	frozen := func(value []byte, change func(*maps.Spec)) func(*prog.Program) {
		return func(p *prog.Program) {
			s := *constructMaps[10]
			s.Frozen, s.Flags, s.Contents = true, maps.ReadOnlyProg, []maps.Entry{{Key: make([]byte, 4), Value: value}}
			if change != nil {
				change(&s)
			}
			p.Maps = slices.Clone(p.Maps)
			p.Maps[10] = &s
		}
	}
	const known = "r1 = map[10][0]+8\nr1 = *(u8 *)(r1 +0)\nif r1 != 97 goto bad" + out + bad
	format := func(addr string) string {
		return "*(u64 *)(r10 -8) = 0\nr3 = " + addr + "\nr1 = r10\nr1 += -8\nr2 = 8\nr4 = 0\nr5 = 0\ncall 165" + out
	}
	for _, tc := range []struct {
		name, asm string
		change    func(*prog.Program)
		code      Code
	}{
		{"constant", known, frozen(text, nil), ""},
		{"not frozen", known, frozen(text, func(s *maps.Spec) { s.Frozen = false }), OutOfBounds},
		{"programs may write", known, frozen(text, func(s *maps.Spec) { s.Flags = 0 }), OutOfBounds},
		{"one of several values", known, frozen(text, func(s *maps.Spec) { s.MaxEntries = 2 }), OutOfBounds},
		{"string", format("map[10][0]+8"), frozen(text, nil), ""},
		{"string up to the last byte", format("map[10][0]+63"), frozen(text, nil), ""},
		{"string without an end", format("map[10][0]+8"), frozen(full, nil), BadArgument},
		{"string that can change", format("map[10][0]+8"), frozen(text, func(s *maps.Spec) { s.Frozen = false }), BadArgument},
		{"string on the stack", format("r10\nr3 += -8"), frozen(text, nil), BadArgument},
		{"string past its map", format("map[10][0]+8\nr3 += 56"), frozen(text, nil), OutOfBounds},
		{"string at a variable place", "call 7\nr6 = r0\nr6 &= 7\n" + format("map[10][0]+8\nr3 += r6"), frozen(text, nil), BadArgument},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.asm)
			tc.change(p)
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}

// TestSpecialFields looks for the fields of values that only helpers may touch.
func TestSpecialFields(t *testing.T) {
	lock := &btf.Type{Kind: btf.Struct, Name: "bpf_spin_lock", Size: 4}
	timer := &btf.Type{Kind: btf.Struct, Name: "bpf_timer", Size: 16}
	array := func(e *btf.Type, n uint32) *btf.Type {
		return &btf.Type{Kind: btf.Array, Elem: e, Len: n, Size: n * e.Size}
	}
	tagged := &btf.Type{Kind: btf.Ptr, Size: 8, Elem: &btf.Type{Kind: btf.TypeTag, Name: "kptr", Elem: pairType}}
	plain := &btf.Type{Kind: btf.Ptr, Size: 8, Elem: pairType}
	one := valueType(16, btf.Member{Name: "a", Type: intType}, btf.Member{Name: "l", Type: lock, Offset: 64})
	loop := &btf.Type{Kind: btf.Struct, Name: "loop", Size: 8}
	loop.Members = []btf.Member{{Name: "again", Type: loop}}
	for _, tc := range []struct {
		name string
		typ  *btf.Type
		want []special
	}{
		{"none", valueType(8, btf.Member{Name: "a", Type: intType}), nil},
		{"a lock", one, []special{{Kind: "bpf_spin_lock", Off: 8, Size: 4}}},
		{"inside a struct", valueType(32, btf.Member{Name: "s", Type: one, Offset: 128}), []special{{Kind: "bpf_spin_lock", Off: 24, Size: 4}}},
		{"an owned pointer", valueType(16, btf.Member{Name: "p", Type: tagged, Offset: 64}), []special{{Kind: "kptr", Off: 8, Size: 8}}},
		{"a plain pointer", valueType(16, btf.Member{Name: "p", Type: plain, Offset: 64}), nil},
		{"an array", valueType(32, btf.Member{Name: "t", Type: array(timer, 2)}), []special{{Kind: "bpf_timer", Off: 0, Size: 16}, {Kind: "bpf_timer", Off: 16, Size: 16}}},
		{"an array of structs", valueType(32, btf.Member{Name: "s", Type: array(one, 2)}), []special{{Kind: "bpf_spin_lock", Off: 8, Size: 4}, {Kind: "bpf_spin_lock", Off: 24, Size: 4}}},
		{"an array without any", valueType(32, btf.Member{Name: "s", Type: array(intType, 8)}), nil},
		{"more than can be told apart", valueType(4096, btf.Member{Name: "l", Type: array(lock, 1000), Offset: 64}), []special{{Kind: "array of bpf_spin_lock", Off: 8, Size: 4000}}},
		{"a type inside itself", loop, nil},
		{"a section", &btf.Type{Kind: btf.Datasec, Members: []btf.Member{{Type: &btf.Type{Kind: btf.Var, Elem: lock}, Offset: 32}}}, []special{{Kind: "bpf_spin_lock", Off: 4, Size: 4}}},
	} {
		if got := maps.SpecialFields(tc.typ); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
