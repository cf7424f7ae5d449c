package verifier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
)

var (
	intType  = &btf.Type{Kind: btf.Int, Name: "int", Size: 4, Signed: true}
	voidType = &btf.Type{Kind: btf.Void}
	pairType = &btf.Type{Kind: btf.Struct, Name: "pair", Size: 16}
)

func pointerTo(t *btf.Type) *btf.Type { return &btf.Type{Kind: btf.Ptr, Size: 8, Elem: t} }

func funcType(result *btf.Type, params ...btf.Member) *btf.Type {
	return &btf.Type{Kind: btf.Func, Name: "g", Elem: &btf.Type{Kind: btf.FuncProto, Elem: result, Members: params}}
}

// TestContracts proves global functions with more chains of calls to them than
// are followed. What each rule refuses is what the kernel says of global
// functions (Documentation/bpf/verifier.rst and btf_prepare_func_args).
func TestContracts(t *testing.T) {
	number := btf.Member{Name: "n", Type: intType}
	maybe := btf.Member{Name: "p", Type: pointerTo(pairType)}
	sure := btf.Member{Name: "p", Type: pointerTo(pairType), Tags: []string{"arg:nonnull"}}
	ctx := btf.Member{Name: "ctx", Type: pointerTo(&btf.Type{Kind: btf.Struct, Name: "xdp_md", Size: 24})}
	const onStack = "*(u64 *)(r10 -16) = 1\n*(u64 *)(r10 -8) = 2\nr1 = r10\nr1 += -16\n"
	for _, tc := range []struct {
		name, before, call, body string
		typ                      *btf.Type
		code                     Code
	}{
		{"number", "", "r1 = 5", "r0 = r1\nexit", funcType(intType, number), ""},
		{"result is unknown", "", "r1 = 5", "r0 = 5\nexit", funcType(intType, number), ""},
		{"argument is any number", "", "r1 = 5", "r2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nexit", funcType(intType, number), OutOfBounds},
		{"pointer for a number", "", "r1 = r10", "r0 = r1\nexit", funcType(intType, number), BadArgument},
		{"unset argument", "r1 = 1\ncall 7", "", "r0 = r1\nexit", funcType(intType, number), Unreadable},
		{"argument beyond the contract", "", "r1 = 5", "r0 = r2\nexit", funcType(intType, number), Unreadable},
		{"memory", "", onStack, "r0 = *(u64 *)(r1 +8)\nexit", funcType(intType, sure), ""},
		{"beyond the memory", "", onStack, "r0 = *(u64 *)(r1 +16)\nexit", funcType(intType, sure), OutOfBounds},
		{"memory that may be null", "", onStack, "r0 = *(u64 *)(r1 +8)\nexit", funcType(intType, maybe), NullPointer},
		{"null checked", "", onStack, "r0 = 0\nif r1 == 0 goto +1\nr0 = *(u64 *)(r1 +8)\nexit", funcType(intType, maybe), ""},
		{"null", "", "r1 = 0", "r0 = 0\nif r1 == 0 goto +1\nr0 = *(u64 *)(r1 +8)\nexit", funcType(intType, maybe), ""},
		{"null where it must not be", "", "r1 = 0", "r0 = *(u64 *)(r1 +8)\nexit", funcType(intType, sure), BadArgument},
		{"less memory", "", "*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -8", "r0 = *(u64 *)(r1 +0)\nexit", funcType(intType, sure), OutOfBounds},
		{"context", "r6 = r1", "r1 = r6", "r0 = *(u32 *)(r1 +16)\nexit", funcType(intType, ctx), ""},
		{"not the context", "", "r1 = r10", "r0 = *(u32 *)(r1 +16)\nexit", funcType(intType, ctx), BadArgument},
		{"pointer returned", "", "r1 = 5", "r0 = r10\nexit", funcType(intType, number), BadReturn},
		{"reference leaked", "", "r1 = 5", "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr0 = 0\nexit", funcType(intType, number), Unreleased},
		{"arguments afterwards", "", "r1 = 5\nr2 = 6\ncall g\nr0 = r2", "r0 = r1\nexit", funcType(intType, number), Unreadable},
		{"exception", "", "r1 = 5", "call bpf_throw\nexit", funcType(intType, number), BadArgument},
		{"context named by a tag", "r6 = r1", "r1 = r6", "r0 = *(u32 *)(r1 +16)\nexit", funcType(intType, btf.Member{Name: "ctx", Type: pointerTo(pairType), Tags: []string{"arg:ctx"}}), ""},
		{"moved context", "r6 = r1\nr6 += 4", "r1 = r6", "r0 = *(u32 *)(r1 +16)\nexit", funcType(intType, ctx), BadArgument},
		{"memory of a map for writing", "", "r1 = map[13][0]+0", "r0 = *(u64 *)(r1 +8)\nexit", funcType(intType, sure), BadArgument},
		{"memory of a map for reading", "", "r1 = map[12][0]+0", "r0 = *(u64 *)(r1 +8)\nexit", funcType(intType, sure), ReadOnly},
		{"memory that was not looked at", "", "*(u64 *)(r10 -8) = 3\nr2 = r10\nr2 += -8\nr1 = map[1]\ncall 1\nr1 = r0", "r0 = 0\nexit", funcType(intType, btf.Member{Name: "p", Type: pointerTo(intType), Tags: []string{"arg:nonnull"}}), NullPointer},
		{"no end", "", "r1 = 5", "call 7\nif r0 != 5 goto -2\nexit", funcType(intType, number), Unbounded},
		{"itself", "", "r1 = 5", "call g\nexit", funcType(intType), Recursion},
		{"while a lock is held", "r1 = map[3][0]+0\ncall 93", "r1 = 5", "r0 = 0\nexit", funcType(intType, number), Locked},
		{"of no contract, followed", "", "r1 = 5", "r2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nexit", funcType(voidType, number), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.before + "\n" + strings.Repeat(tc.call+"\ncall g\n", maxInline+1) + "r0 = 0\nexit\ng:\n" + tc.body
			p, _, _ := construct(t, "xdp", text)
			p.Funcs[1].Global, p.Funcs[1].Type = true, tc.typ
			_, stats, err := Verify(context.Background(), p, Options{})
			var e *Error
			switch {
			case tc.code == "" && err != nil:
				t.Errorf("rejected: %v", err)
			case tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code):
				t.Errorf("got %v, want %s", err, tc.code)
			}
			if body := int64(strings.Count(tc.body, "\n") + 1); err == nil && stats.WorstCase < (maxInline+1)*body/2 {
				t.Errorf("a worst case of %d leaves out the calls", stats.WorstCase)
			}
		})
	}
}

// TestContractEffects checks what a call by contract leaves: an unknown number,
// memory that may have changed, a packet that may have moved, and the stack of
// the function in the depth of its callers.
func TestContractEffects(t *testing.T) {
	sure := btf.Member{Name: "p", Type: pointerTo(pairType), Tags: []string{"arg:nonnull"}}
	ctx := btf.Member{Name: "ctx", Type: pointerTo(&btf.Type{Kind: btf.Struct, Name: "xdp_md", Size: 24})}
	many := func(setup string) string { return strings.Repeat(setup+"\ncall g\n", maxInline+1) }
	const use = "r2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nr0 = 0\nexit\ng:\n"
	for _, tc := range []struct {
		name, text string
		typ        *btf.Type
		code       Code
	}{
		{"result as an index", many("") + "r1 = r0\n" + use + "r0 = 5\nexit", funcType(intType), OutOfBounds},
		{"memory as an index", many("*(u64 *)(r10 -8) = 2\n*(u64 *)(r10 -16) = 2\nr1 = r10\nr1 += -16") + "r1 = *(u64 *)(r10 -8)\n" + use + "r0 = 5\nexit", funcType(intType, sure), OutOfBounds},
		{"other memory as an index", many("*(u64 *)(r10 -24) = 2\n*(u64 *)(r10 -8) = 2\n*(u64 *)(r10 -16) = 2\nr1 = r10\nr1 += -16") + "r1 = *(u64 *)(r10 -24)\n" + use + "r0 = 5\nexit", funcType(intType, sure), ""},
		{"packet after it moved", `
			r6 = r1
			r7 = *(u32 *)(r6 +0)
			r2 = *(u32 *)(r6 +4)
			r1 = r7
			r1 += 14
			if r1 > r2 goto out
			` + many("r1 = r6") + `
			r0 = *(u8 *)(r7 +0)
		out:
			r0 = 0
			exit
		g:
			r2 = 0
			call 44
			r0 = 0
			exit`, funcType(intType, ctx), NotPointer},
		{"packet after a callback moved it", `
			r6 = r1
			r7 = *(u32 *)(r6 +0)
			r2 = *(u32 *)(r6 +4)
			r1 = r7
			r1 += 14
			if r1 > r2 goto out
			` + many("r1 = r6") + `
			r0 = *(u8 *)(r7 +0)
		out:
			r0 = 0
			exit
		g:
			*(u64 *)(r10 -8) = r1
			r1 = 4
			r2 = subprog[body]
			r3 = r10
			r3 += -8
			r4 = 0
			call 181
			r0 = 0
			exit
		body:
			r1 = *(u64 *)(r2 +0)
			r2 = 0
			call 44
			r0 = 0
			exit`, funcType(intType, ctx), NotPointer},
		{"packet that did not move", `
			r6 = r1
			r7 = *(u32 *)(r6 +0)
			r2 = *(u32 *)(r6 +4)
			r1 = r7
			r1 += 14
			if r1 > r2 goto out
			` + many("r1 = r6") + `
			r0 = *(u8 *)(r7 +0)
		out:
			r0 = 0
			exit
		g:
			r0 = 0
			exit`, funcType(intType, ctx), ""},
		{"stack", "*(u64 *)(r10 -256) = 0\n" + many("") + "r0 = 0\nexit\ng:\n*(u64 *)(r10 -264) = 0\nr0 = 0\nexit", funcType(intType), StackDepth},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.text)
			p.Funcs[1].Global, p.Funcs[1].Type = true, tc.typ
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}

// TestDeepCalls checks that functions which call functions cost no more than
// there are functions: 8 levels of 20 calls each are 20^7 chains.
func TestDeepCalls(t *testing.T) {
	var b strings.Builder
	for level := range 8 {
		if level > 0 {
			b.WriteString("g" + string(rune('0'+level)) + ":\n")
		}
		for range 20 {
			if level < 7 {
				b.WriteString("call g" + string(rune('1'+level)) + "\n")
			}
		}
		b.WriteString("r0 = 0\nexit\n")
	}
	p, _, _ := construct(t, "xdp", b.String())
	for i := 1; i < len(p.Funcs); i++ {
		p.Funcs[i].Global, p.Funcs[i].Type = true, funcType(intType)
	}
	_, stats, err := Verify(context.Background(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Visits > 2000 {
		t.Errorf("%d visits", stats.Visits)
	}
	if least := int64(20 * 20 * 20 * 20 * 20 * 20 * 20); stats.WorstCase < least {
		t.Errorf("a worst case of %d; the program runs %d calls of g7 alone", stats.WorstCase, least)
	}
}
