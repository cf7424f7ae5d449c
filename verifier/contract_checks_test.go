package verifier

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
)

// A contractCase is a program whose function 1 is global and of type typ.
type contractCase struct {
	name, typ, asm string
	of             *btf.Type
	code           Code
}

func checkContracts(t *testing.T, cases []contractCase) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, tc.typ, tc.asm)
			p.Funcs[1].Global, p.Funcs[1].Type = true, tc.of
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}

// manyCalls calls g more often than calls of one function are followed.
func manyCalls(setup string) string { return strings.Repeat(setup+"\ncall g\n", maxInline+1) }

// TestContractTypes checks which types state a contract. The body relies on what
// only a call that is followed tells it, or the call on what only a contract
// refuses.
func TestContractTypes(t *testing.T) {
	const (
		index = "r2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nexit" // of a number that is not bounded
		five  = "r1 = 5"
	)
	callee := func(call, body string) string { return manyCalls(call) + "r0 = 0\nexit\ng:\n" + body }
	proto := func(result *btf.Type, params ...btf.Member) *btf.Type {
		return &btf.Type{Kind: btf.FuncProto, Elem: result, Members: params}
	}
	param := func(t *btf.Type, tags ...string) btf.Member { return btf.Member{Name: "p", Type: t, Tags: tags} }
	number := param(intType)
	dynptr := &btf.Type{Kind: btf.Struct, Name: "bpf_dynptr", Size: 16}
	checkContracts(t, []contractCase{
		{"a function with a number", "xdp", callee(five, index), funcType(intType, number), OutOfBounds},
		{"no type", "xdp", callee(five, index), nil, ""},
		{"a prototype that belongs to no function", "xdp", callee(five, index), proto(intType, number), ""},
		{"a variable that is a function", "xdp", callee(five, index), &btf.Type{Kind: btf.Var, Name: "g", Elem: proto(intType, number)}, ""},
		{"a function without a prototype", "xdp", callee(five, index), &btf.Type{Kind: btf.Func, Name: "g"}, ""},
		{"a function that is another type", "xdp", callee(five, index), &btf.Type{Kind: btf.Func, Name: "g", Elem: &btf.Type{Kind: btf.Struct, Elem: intType, Members: []btf.Member{number}}}, ""},
		{"a result of no type", "xdp", callee(five, index), funcType(nil, number), ""},
		{"a result that is a struct", "xdp", callee(five, index), funcType(pairType, number), ""},
		{"a parameter of no type", "xdp", callee(five, index), funcType(intType, param(nil)), ""},
		{"a parameter that is an array", "xdp", callee(five, index), funcType(intType, param(&btf.Type{Kind: btf.Array, Elem: pairType, Len: 1, Size: 16})), ""},
		{"the context", "xdp", callee("r1 = r10", "r0 = 0\nexit"), funcType(intType, param(pointerTo(pairType), "arg:ctx")), BadArgument},
		{"a tag that is not known", "xdp", callee("r1 = r10", "r0 = 0\nexit"), funcType(intType, param(pointerTo(pairType), "arg:other")), ""},
		{"a dynptr", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n" +
			callee("r1 = r10\nr1 += -16", "r3 = r1\nr1 = r10\nr1 += -8\nr2 = 8\nr4 = 0\nr5 = 0\ncall 201\nr0 = 0\nexit"), funcType(intType, param(pointerTo(dynptr), "arg:nonnull")), ""},
	})
}

// TestContractCalls checks what is asked of a call by contract, where only the
// call can tell.
func TestContractCalls(t *testing.T) {
	const (
		reserve = "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr6 = r0\n"
		submit  = "if r6 == 0 goto out\nr1 = r6\nr2 = 0\ncall 132\n"
		sleep   = "g:\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\nr0 = 0\nexit\n" // copy_from_user
		leave   = "g:\nr2 = map[7]\nr3 = 1\ncall 12\nr0 = 0\nexit\n"                 // tail_call
		nothing = "g:\nr0 = 0\nexit\n"
	)
	ctx := btf.Member{Name: "ctx", Type: pointerTo(pairType), Tags: []string{"arg:ctx"}}
	maybe := btf.Member{Name: "p", Type: pointerTo(pairType)}
	number := btf.Member{Name: "n", Type: intType}
	checkContracts(t, []contractCase{
		{"while a lock is held, which is released", "xdp", "r1 = map[3][0]+0\ncall 93\n" + manyCalls("") + "r1 = map[3][0]+0\ncall 94" + out + nothing, funcType(intType), Locked},
		{"while a reference is held", "xdp", reserve + manyCalls("") + submit + out + nothing, funcType(intType), ""},
		{"sleeps", "syscall", manyCalls("") + out + sleep, funcType(intType), ""},
		{"sleeps in rcu", "syscall", "call bpf_rcu_read_lock\n" + manyCalls("") + "call bpf_rcu_read_unlock" + out + sleep, funcType(intType), Sleeps},
		{"does not sleep in rcu", "syscall", "call bpf_rcu_read_lock\n" + manyCalls("") + "call bpf_rcu_read_unlock" + out + nothing, funcType(intType), ""},
		{"leaves", "xdp", "r6 = r1\n" + manyCalls("r1 = r6") + out + leave, funcType(intType, ctx), ""},
		{"leaves while a reference is held", "xdp", "r7 = r1\n" + reserve + manyCalls("r1 = r7") + submit + out + leave, funcType(intType, ctx), Unreleased},
		{"leaves in rcu", "xdp", "r7 = r1\ncall bpf_rcu_read_lock\n" + manyCalls("r1 = r7") + "call bpf_rcu_read_unlock" + out + leave, funcType(intType, ctx), Locked},
		{"context moved by a variable", "xdp", "r6 = r1\ncall 7\nr0 &= 8\nr6 += r0\n" + manyCalls("r1 = r6") + out + nothing, funcType(intType, ctx), BadArgument},
		{"number for memory that may be null", "xdp", "call 7\nr6 = r0\n" + manyCalls("r1 = r6") + out + nothing, funcType(intType, maybe), BadArgument},
		{"1 for memory that may be null", "xdp", manyCalls("r1 = 1") + out + nothing, funcType(intType, maybe), BadArgument},
		{"0 for memory that may be null", "xdp", manyCalls("r1 = 0") + out + nothing, funcType(intType, maybe), ""},
		{"argument read afterwards", "xdp", manyCalls("r1 = 5") + "r0 = r1\nexit\n" + nothing, funcType(intType, number), Unreadable},
		{"other argument read afterwards", "xdp", manyCalls("r1 = 5\nr5 = 6") + "r0 = r5\nexit\n" + nothing, funcType(intType, number), Unreadable},
		{"register named like the kind of an address", "xdp", `
			r6 = r1
			r2 = 0
			call 44
			r7 = *(u32 *)(r6 +0)
			r2 = *(u32 *)(r6 +4)
			r1 = r7
			r1 += 14
			if r1 > r2 goto out
			` + manyCalls("") + "r0 = *(u8 *)(r7 +0)" + out + "g:\nr4 = 0\nr0 = r4\nexit", funcType(intType), ""},
	})
}

// TestContractInCallbacks calls a function by contract from a callback. The
// main program calls it too, so often that it goes by its contract.
func TestContractInCallbacks(t *testing.T) {
	const (
		sleep   = "g:\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\nr0 = 0\nexit\n"
		leave   = "g:\nr2 = map[7]\nr3 = 1\ncall 12\nr0 = 0\nexit\n"
		nothing = "g:\nr0 = 0\nexit\n"
		each    = "*(u64 *)(r10 -8) = r6\nr1 = 4\nr2 = subprog[body]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = 0\nexit\n"
		body    = "body:\nr1 = *(u64 *)(r2 +0)\ncall g\nr0 = 0\nexit\n"
		late    = "late:\ncall g\nr0 = 0\nexit\n"
	)
	start, _, _ := strings.Cut(startTimer, "late:")
	ctx := btf.Member{Name: "ctx", Type: pointerTo(pairType), Tags: []string{"arg:ctx"}}
	checkContracts(t, []contractCase{
		{"nothing in a callback", "xdp", "r6 = r1\n" + manyCalls("r1 = r6") + each + nothing + body, funcType(intType, ctx), ""},
		{"leaves in a callback", "xdp", "r6 = r1\n" + manyCalls("r1 = r6") + each + leave + body, funcType(intType, ctx), Unsupported},
		{"nothing in a timer's callback", "syscall", manyCalls("") + start + nothing + late, funcType(intType), ""},
		{"sleeps in a timer's callback", "syscall", manyCalls("") + start + sleep + late, funcType(intType), Sleeps},
	})
}

// TestContractDepth checks the frames of chains of calls, parts of which are
// proved by themselves.
func TestContractDepth(t *testing.T) {
	// chain calls names one after the other, and from the last what is given.
	chain := func(stack int, last string, names ...string) string {
		var b strings.Builder
		for i, n := range names {
			b.WriteString(n + ":\n")
			if i == 0 && stack > 0 {
				b.WriteString("*(u64 *)(r10 -" + strconv.Itoa(stack) + ") = 0\n")
			}
			if i+1 < len(names) {
				b.WriteString("call " + names[i+1] + "\n")
			} else {
				b.WriteString(last)
			}
			b.WriteString("r0 = 0\nexit\n")
		}
		return b.String()
	}
	checkContracts(t, []contractCase{
		{"8 frames", "xdp", manyCalls("") + out + chain(0, "", "g", "a", "b", "c", "d", "e", "f"), funcType(intType), ""},
		{"9 frames", "xdp", manyCalls("") + out + chain(0, "", "g", "a", "b", "c", "d", "e", "f", "h"), funcType(intType), StackDepth},
		{"8 frames, first by the larger ones", "xdp", "call z\ncall a" + out + chain(0, "", "g", "h") + chain(256, manyCalls(""), "z") + chain(0, "call g\n", "a", "b", "c", "d", "e"), funcType(intType), ""},
		{"9 frames, first by the larger ones", "xdp", "call z\ncall a" + out + chain(0, "", "g", "h") + chain(256, manyCalls(""), "z") + chain(0, "call g\n", "a", "b", "c", "d", "e", "f"), funcType(intType), StackDepth},
	})
}
