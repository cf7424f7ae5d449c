package verifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// TestArgumentChecks has, for checks that others nearly make superfluous, a
// program that no other check refuses.
func TestArgumentChecks(t *testing.T) {
	checkShapes(t, []shape{
		{"unreadable size", "xdp", "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\ncall 6" + out, Unreadable, ""},
		{"slice of no dynptr", "xdp", "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203" + out, BadArgument, ""},
		{"helper through a register with a bad argument", "xdp", "r6 = 6\nr1 = 8\nr2 = 8\ncallx r6" + out, BadArgument, ""},
		{"number whose low half is a helper's", "xdp", "r6 = 0x100000007 ll\ncallx r6" + out, BadArgument, ""},
		{"number above every helper's", "xdp", "r6 = 0x80000000 ll\ncallx r6" + out, BadArgument, ""},
		{"greatest number of a helper", "xdp", "r6 = 0x7fffffff ll\ncallx r6" + out, UnknownCallee, ""},
		{"legacy load returns from a callback that has given its caller's dynptr away", "sched_cls", `
			*(u64 *)(r10 -24) = r1
			r1 = map[2]
			r2 = 64
			r3 = 0
			r4 = r10
			r4 += -16
			call 198
			r1 = 4
			r2 = subprog[body]
			r3 = r10
			r3 += -24
			r4 = 0
			call 181
			r1 = r10
			r1 += -16
			r2 = 0
			call 199
			r0 = 0
			exit
		body:
			r7 = r2
			r6 = *(u64 *)(r7 +0)
			r1 = r7
			r1 += 8
			r2 = 0
			call 199
			r0 = *(u8 *)skb[0]
			r1 = map[2]
			r2 = 64
			r3 = 0
			r4 = r7
			r4 += 8
			call 198
			r0 = 0
			exit`, Unreleased, ""},
	})
}

// TestFirstMap puts what a check looks for into the first map: numbers, the
// context and reservations carry the index of no map, which is 0 too.
func TestFirstMap(t *testing.T) {
	text := &maps.Spec{
		Name: "text", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Frozen: true, Flags: maps.ReadOnlyProg,
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: []byte("abc\x00............")}},
	}
	timed := constructMaps[6]
	outer := *constructMaps[5]
	outer.Inner = timed
	locks := *constructMaps[4]
	locks.Value = valueType(64, fieldAt(8, "bpf_spin_lock", 4), fieldAt(16, "bpf_spin_lock", 4))
	for _, tc := range []struct {
		name, asm string
		at        int // which map spec is
		spec      *maps.Spec
		code      Code
	}{
		{"0 as a lock", "r1 = 0\ncall 93\nr1 = 0\ncall 94" + out, 0, lockedMap, BadArgument},
		{"context as a lock", "r6 = r1\ncall 93\nr1 = r6\ncall 94" + out, 0, lockedMap, BadArgument},
		{"value as a lock", lookup + "if r0 == 0 goto out\nr6 = r0\nr1 = r6\ncall 93\nr1 = r6\ncall 94" + out, 0, lockedMap, ""},
		{"timer of the first map in another", lookup + "if r0 == 0 goto out\nr1 = r0\nr1 += 16\nr2 = map[6]\nr3 = 1\ncall 169" + out, 0, timed, BadArgument},
		{"timer of the first map", lookup + "if r0 == 0 goto out\nr1 = r0\nr1 += 16\nr2 = map[0]\nr3 = 1\ncall 169" + out, 0, timed, ""},
		{"reservation as a constant string", `
			r1 = map[2]
			r2 = 16
			r3 = 0
			call 131
			if r0 == 0 goto out
			r6 = r0
			*(u64 *)(r10 -8) = 0
			r1 = r10
			r1 += -8
			r2 = 8
			r3 = r6
			r4 = 0
			r5 = 0
			call 165
			r1 = r6
			r2 = 0
			call 132` + out, 0, text, BadArgument},
		// Two lookups may give different maps; a timer belongs to one.
		{"timer of an inner map", lookupInner + "r7 = r1\ncall 1\nif r0 == 0 goto out\nr1 = r0\nr1 += 16\nr2 = r7\nr3 = 1\ncall 169" + out, 5, &outer, Unsupported},
		{"one of two locks", lookupLocks + "r6 = r0\nr1 = r6\nr1 += 16\ncall 93\nr1 = r6\nr1 += 16\ncall 94" + out, 4, &locks, ""},
		{"the other of two locks", lookupLocks + "r6 = r0\nr1 = r6\nr1 += 8\ncall 93\nr1 = r6\nr1 += 16\ncall 94" + out, 4, &locks, Locked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.asm)
			p.Maps = slices.Clone(p.Maps)
			p.Maps[tc.at] = tc.spec
			refusedWith(t, p, Options{}, tc.code)
		})
	}
}

// refusedWith checks that p is refused with code, or accepted if that is "".
func refusedWith(t *testing.T, p *prog.Program, o Options, code Code) {
	t.Helper()
	_, _, err := Verify(context.Background(), p, o)
	var e *Error
	if code == "" && err != nil || code != "" && (!errors.As(err, &e) || e.Code != code) {
		t.Errorf("got %v, want %q", err, code)
	}
}

// TestHostFind verifies calls of a host's helper that calls back and finds an
// inner map.
func TestHostFind(t *testing.T) {
	host := *linux.XDP
	host.Helpers = host.Helpers.With(map[helpers.ID]*helpers.Func{900: {Name: "find", Proto: helpers.Proto{
		Control: helpers.Callback,
		Args:    [5]helpers.Arg{{Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgFunc}},
		Body:    [5]helpers.Arg{{Kind: helpers.ArgAnything}},
		Ret:     helpers.Ret{Kind: helpers.RetMapValue, Nullable: true},
	}}}, nil)
	outer := *constructMaps[5]
	outer.Inner = nil
	for _, tc := range []struct {
		name  string
		outer *maps.Spec
		code  Code
	}{
		{"that fits its template", constructMaps[5], ""},
		{"of which nothing is known", &outer, Unsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", "r1 = map[5]\nr2 = subprog[f]\ncall 900\nr0 = 0\nexit\nf:\nr0 = 0\nexit")
			p.Type, p.Maps = &host, slices.Clone(p.Maps)
			p.Maps[5] = tc.outer
			refusedWith(t, p, Options{}, tc.code)
		})
	}
}

// TestIteratorLicense checks that iterators, which are calls of the kernel's
// functions, ask for the license that those ask for.
func TestIteratorLicense(t *testing.T) {
	p, _, _ := construct(t, "xdp", "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr1 = r10\nr1 += -8\ncall bpf_iter_num_destroy"+out)
	for license, code := range map[string]Code{"GPL": "", "MIT": License} {
		p.License = license
		refusedWith(t, p, Options{CheckLicense: true}, code)
	}
}

// TestManyShapes lets more kinds of states meet than are kept: none may be
// forgotten, whatever instruction it arrives by.
func TestManyShapes(t *testing.T) {
	for _, by := range []string{
		"if r0 != 0 goto meet\nr0 = 0\nexit",
		"if r0 == 0 goto out\nmay_goto meet\nr1 = r0\nr2 = 0\ncall 132\nr0 = 0\nexit",
	} {
		for n, code := range map[int]Code{150: "", 450: "", 600: Limit} {
			var b strings.Builder
			b.WriteString("call 7\nr6 = r0\n")
			for i := range n {
				fmt.Fprintf(&b, "if r6 == %d goto case%d\n", i, i)
			}
			b.WriteString("out:\nr0 = 0\nexit\n")
			for i := range n { // the reference says where it was made
				fmt.Fprintf(&b, "case%d:\nr1 = map[2]\nr2 = 16\nr3 = 0\ncall 131\n%s\n", i, by)
			}
			b.WriteString("meet:\nr1 = r0\nr2 = 0\ncall 132\nr0 = 0\nexit")
			p, _, _ := construct(t, "xdp", b.String())
			refusedWith(t, p, Options{}, code)
		}
	}
}

// TestManyShapesIter is TestManyShapes for the two states that a step of an
// iterator leaves: one more kind is too much for the one that has a number,
// and the one that has none is of a kind that is there already.
func TestManyShapesIter(t *testing.T) {
	const next = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n"
	for n, code := range map[int]Code{198: "", 498: "", 499: Limit} {
		var b strings.Builder
		b.WriteString("call 7\nr6 = r0\nr9 = 0\nr1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n")
		fmt.Fprintf(&b, "if r6 == %d goto step\n", n+1) // first: it is followed last
		for i := range n {
			fmt.Fprintf(&b, "if r6 == %d goto case%d\n", i, i)
		}
		b.WriteString("goto none\nstep:\n" + next + `
		meet:
			if r0 == 0 goto done
			r0 = *(u32 *)(r0 +0)
		done:
			if r9 == 0 goto end
			r1 = r9
			r2 = 0
			call 132
		end:
			r1 = r10
			r1 += -8
			call bpf_iter_num_destroy
			r0 = 0
			exit
		none:
			` + next + `
			if r0 != 0 goto end
			goto meet
		`)
		for i := range n { // the reference says where it was made
			fmt.Fprintf(&b, "case%d:\nr1 = map[2]\nr2 = 16\nr3 = 0\ncall 131\nif r0 == 0 goto end\nr9 = r0\nr0 = 0\ngoto meet\n", i)
		}
		p, _, _ := construct(t, "xdp", b.String())
		refusedWith(t, p, Options{}, code)
	}
}

// TestFactsCalls compares what engines are told of calls with what the text of
// each program says.
func TestFactsCalls(t *testing.T) {
	p, _, _ := construct(t, "xdp", `
		r6 = subprog[f]
		r1 = 7
		callx r6
		r6 = subprog[f]
		r1 = 8
		callx r6
		*(u64 *)(r10 -8) = 0
		r6 = 6
		r1 = 2
		call g
		r1 = 3
		call g
		r1 = map[10][0]+0
		r2 = r1
		r1 = map[0]
		call 1
		r0 = 0
		exit
	f:	callx r1
		r0 = 0
		exit
	g:	r2 = r1
		*(u64 *)(r10 -8) = 0
		r1 = r10
		r1 += -8
		r6 = 6
		callx r6
		r1 = r10
		r1 += -8
		r2 = 4
		call 6
		r0 = 0
		exit`)
	v, _, err := Verify(context.Background(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, g := p.Funcs[1].Entry, p.Funcs[2].Entry
	none := Fact{}.Direct
	seen := 0
	for pc := range prog.PC(len(p.Insns)) {
		in, got := p.Insns[pc], v.Fact(pc)
		if in.Op.Class() != isa.JMP || in.Op.JmpOp() != isa.Call {
			continue
		}
		through := in.Op.Source() == isa.X
		direct, size := none, uint32(0)
		switch {
		case through && pc < f: // one function
			direct = prog.Insn{Op: in.Op &^ isa.Op(isa.X), Src: isa.CallSub, Imm: int32(f - pc - 1)}
		case through && pc < g: // one of two helpers
		case through: // one helper, with 2 bytes or 3
			direct = prog.Insn{Op: in.Op &^ isa.Op(isa.X), Src: isa.CallHelper, Imm: 6}
		case in.IsCall(isa.CallHelper) && in.Imm == 6:
			size = 4
		case in.IsCall(isa.CallHelper) && got.Key != nil:
			t.Errorf("the key, in a map's value, is taken for %v", got.Key)
		}
		seen++
		if got.Direct != direct || got.Size != size {
			t.Errorf("call at %d: direct %v, size %d; want %v, %d", pc, got.Direct, got.Size, direct, size)
		}
	}
	if seen != 8 {
		t.Errorf("%d calls, want 8", seen)
	}
}
