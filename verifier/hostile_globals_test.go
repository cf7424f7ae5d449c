package verifier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

// A global is a program that calls a global function: its verdict by the
// function's contract, which is the only way that the kernel knows.
type global struct {
	name, typ string
	before    string // the calls
	call      string // the arguments of one
	after     string // all of them
	body      string
	proto     *btf.Type
	code      Code   // "": accepted
	kernel    string // why the kernel's verdict is the other one
}

// checkGlobals calls each function more often than calls are followed, and then
// once, which must not know less.
func checkGlobals(t *testing.T, cases []global) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			verify := func(calls int) error {
				p, _, _ := construct(t, tc.typ, tc.text(calls))
				p.Funcs[1].Global, p.Funcs[1].Type = true, tc.proto
				_, _, err := Verify(context.Background(), p, Options{})
				return err
			}
			err := verify(maxInline + 1)
			var e *Error
			switch {
			case tc.code == "" && err != nil:
				t.Errorf("rejected: %v", err)
			case tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code):
				t.Errorf("got %v, want %s", err, tc.code)
			}
			if once := verify(1); err == nil && once != nil {
				t.Errorf("accepted by its contract, and when it is followed: %v", once)
			}
			if oracle.Available() != nil {
				return // the kernel's verdict is in the table already
			}
			p, raw, names := construct(t, tc.typ, tc.text(1))
			ok, log := kernelAccepts(t, tc.typ, raw, names, map[prog.PC]*btf.Type{p.Funcs[1].Entry: tc.proto})
			if want := (tc.code == "") == (tc.kernel == ""); ok != want {
				t.Errorf("the kernel says %v, the table %v:\n%s", ok, want, log)
			}
		})
	}
}

// text returns the program with so many calls.
func (tc *global) text(calls int) string {
	return tc.before + "\n" + strings.Repeat(tc.call+"\ncall g\n", calls) + tc.after + "\nout:\nr0 = 0\nexit\ng:\n" + tc.body
}

// TestHostileGlobals: what a function that is proved by its contract may do with
// its arguments, and what its caller knows afterwards.
func TestHostileGlobals(t *testing.T) {
	param := func(name string, typ *btf.Type, tags ...string) btf.Member {
		return btf.Member{Name: name, Type: typ, Tags: tags}
	}
	named := func(name string, size uint32) *btf.Type {
		return pointerTo(&btf.Type{Kind: btf.Struct, Name: name, Size: size})
	}
	const nonnull = "arg:nonnull"
	var (
		number = param("n", intType)
		sure   = param("p", pointerTo(pairType), nonnull)
		maybe  = param("p", pointerTo(pairType))
		xdp    = param("ctx", named("xdp_md", 24))
		skb    = param("ctx", named("__sk_buff", 192))
		dynptr = param("d", named("bpf_dynptr", 16))
	)
	const (
		packet    = "r6 = r1\nr7 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr3 = r7\nr3 += 16\nif r3 > r2 goto out\n"
		packetArg = "r1 = r6\nr2 = r7\ncall g\n"
		pair      = "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\n"
		onStack   = "r1 = r10\nr1 += -16"
		moved     = "r6 = r2\nr2 = 0\ncall 44\nr0 = *(u8 *)(r6 +8)\nr0 = 0\nexit"
	)
	const (
		kernelMoves  = "the kernel knows in the function no longer that the memory is the packet's"
		kernelAtomic = "the kernel leaves it to the processor whether an atomic operation may be misaligned"
		followed     = "calls with a dynptr are followed, and what the callee does to it is seen"
	)
	checkGlobals(t, []global{
		{"packet as memory", "xdp", packet, "r1 = r7", "", "r0 = *(u8 *)(r1 +15)\nexit", funcType(intType, sure), "", ""},
		{"packet as memory that the callee moves", "xdp", pair + packet + packetArg, "r1 = r6\nr2 = r10\nr2 += -16", "", moved, funcType(intType, xdp, sure), NotPointer, kernelMoves},
		{"stack as memory, and the callee moves the packet", "xdp", "r6 = r1\n" + pair, "r1 = r6\nr2 = r10\nr2 += -16", "", moved, funcType(intType, xdp, sure), "", ""},
		{"packet as memory, and a callee of the callee moves it", "xdp", pair + packet + packetArg, "r1 = r6\nr2 = r10\nr2 += -16", "", "r6 = r2\ncall h\nr0 = *(u8 *)(r6 +8)\nr0 = 0\nexit\nh:\nr2 = 0\ncall 44\nr0 = 0\nexit", funcType(intType, xdp, sure), NotPointer, kernelMoves},
		{"slice of the packet that the callee moves", "xdp", "*(u64 *)(r10 -24) = 0\n" + aXdp + aSliceW + "if r0 == 0 goto out\nr7 = r0\n" + packetArg, "r1 = r6\nr2 = r10\nr2 += -24", "", strings.Replace(moved, "+8", "+4", 1), funcType(intType, xdp, param("p", named("eight", 8), nonnull)), NotPointer, kernelMoves},
		{"atomic on memory", "xdp", pair, onStack, "", "r2 = 1\nlock *(u64 *)(r1 +8) += r2\nr0 = 0\nexit", funcType(intType, sure), "", ""},
		{"atomic on the packet as memory", "xdp", packet, "r1 = r7", "", "r2 = 1\nlock *(u64 *)(r1 +8) += r2\nr0 = 0\nexit", funcType(intType, sure), Misaligned, kernelAtomic},
		{"atomic on memory at an odd address", "xdp", "", "r1 = map[10][0]+1", "", "r2 = 1\nlock *(u64 *)(r1 +8) += r2\nr0 = 0\nexit", funcType(intType, sure), Misaligned, kernelAtomic},
		{"atomic on memory at an odd address and elsewhere", "xdp", "r1 = map[10][0]+4\ncall g\n", "r1 = map[10][0]+8", "", "r2 = 1\nlock *(u64 *)(r1 +8) += r2\nr0 = 0\nexit", funcType(intType, sure), Misaligned, kernelAtomic},
		{"number of an iterator as memory", "xdp", aNum + aNumN + "if r0 == 0 goto no\nr7 = r0\n", "r1 = r7", "no:\n" + aNumD, "*(u32 *)(r1 +0) = 1\nr0 = 0\nexit", funcType(intType, param("p", pointerTo(intType), nonnull)), ReadOnly, ""},
		{"iterator as memory", "xdp", aNum, "r1 = r10\nr1 += -8", aNumD, "r0 = 0\nexit", funcType(intType, param("p", named("eight", 8), nonnull)), BadPointer, ""},
		{"dynptr as memory", "xdp", aLocal, onStack, "", "*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", funcType(intType, sure), BadPointer, ""},
		{"lock as memory", "xdp", "", "r1 = map[3][0]+0", "", "*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", funcType(intType, sure), BadPointer, ""},
		{"beside a lock", "xdp", "", "r1 = map[3][0]+8", "", "*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", funcType(intType, sure), "", ""},
		{"lock taken by the callee", "xdp", "", "r1 = map[3][0]+0", "", "call 93\nr0 = 0\nexit", funcType(intType, param("p", named("bpf_spin_lock", 4), nonnull)), BadPointer, ""},
		{"lock of its own left", "xdp", "", "r1 = 1", "", "r1 = map[3][0]+0\ncall 93\nr0 = 0\nexit", funcType(intType, number), Locked, ""},
		{"lock of its own", "xdp", "", "r1 = 1", "", "r1 = map[3][0]+0\ncall 93\nr1 = map[3][0]+0\ncall 94\nr0 = 0\nexit", funcType(intType, number), "", ""},
		{"while rcu is held", "xdp", "call bpf_rcu_read_lock", "r1 = 1", "call bpf_rcu_read_unlock", "r0 = 0\nexit", funcType(intType, number), "", ""},
		{"leaves the caller's rcu", "xdp", "call bpf_rcu_read_lock", "r1 = 1", "", "call bpf_rcu_read_unlock\nr0 = 0\nexit", funcType(intType, number), Locked, ""},
		{"enters rcu", "xdp", "", "r1 = 1", "call bpf_rcu_read_unlock", "call bpf_rcu_read_lock\nr0 = 0\nexit", funcType(intType, number), Locked, ""},
		{"leaves preemption disabled", "xdp", "", "r1 = 1", "", "call bpf_preempt_disable\nr0 = 0\nexit", funcType(intType, number), Locked, ""},
		{"while a reservation is held", "xdp", aRb + "if r0 == 0 goto out\nr7 = r0\n", "r1 = 1", "r1 = r7\nr2 = 0\ncall 132\n", "r0 = 0\nexit", funcType(intType, number), "", ""},
		{"reservation as memory", "xdp", aRb + "if r0 == 0 goto out\nr7 = r0\n", "r1 = r7", "r1 = r7\nr2 = 0\ncall 132\n", "*(u64 *)(r1 +0) = 1\nr0 = 0\nexit", funcType(intType, param("p", named("eight", 8), nonnull)), "", ""},
		{"reservation submitted as memory", "xdp", aRb + "if r0 == 0 goto out\nr7 = r0\n", "r1 = r7", "", "r2 = 0\ncall 132\nr0 = 0\nexit", funcType(intType, param("p", named("eight", 8), nonnull)), BadArgument, ""},
		{"spilled pointer overwritten", "xdp", "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = r10\n", onStack, "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r1 -32) = 1\n", "*(u64 *)(r1 +8) = 0\nr0 = 0\nexit", funcType(intType, sure), NotPointer, ""},
		{"constant overwritten", "xdp", pair, onStack, "r1 = *(u64 *)(r10 -8)\nr2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\n", "*(u64 *)(r1 +8) = 70\nr0 = 0\nexit", funcType(intType, sure), OutOfBounds, ""},
		{"address of its stack left in memory", "xdp", pair, onStack, "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r1 -8) = 1\n", "*(u64 *)(r1 +8) = r10\nr0 = 0\nexit", funcType(intType, sure), NotPointer, ""},
		{"memory that is unwritten", "xdp", "*(u64 *)(r10 -8) = 0\n", onStack, "", "r0 = *(u64 *)(r1 +0)\nr0 = 0\nexit", funcType(intType, sure), "", ""},
		{"memory at the frame's end", "xdp", pair, "r1 = r10\nr1 += -8", "", "r0 = 0\nexit", funcType(intType, sure), OutOfBounds, ""},
		{"memory at a variable offset", "xdp", pair + "*(u64 *)(r10 -24) = 0\ncall 7\nr7 = r0\nr7 &= 8\n", "r1 = r10\nr1 += -24\nr1 += r7", "", "*(u64 *)(r1 +8) = 1\nr0 = 0\nexit", funcType(intType, sure), "", ""},
		{"memory at a variable offset, over a pointer", "xdp", pair + "*(u64 *)(r10 -24) = r10\ncall 7\nr7 = r0\nr7 &= 8\n", "r1 = r10\nr1 += -24\nr1 += r7", "r1 = *(u64 *)(r10 -24)\n*(u64 *)(r1 -32) = 1\n", "*(u64 *)(r1 +0) = 1\nr0 = 0\nexit", funcType(intType, sure), NotPointer, ""},
		{"memory at a variable offset too far", "xdp", pair + "*(u64 *)(r10 -24) = 0\ncall 7\nr7 = r0\nr7 &= 12\n", "r1 = r10\nr1 += -24\nr1 += r7", "", "*(u64 *)(r1 +8) = 1\nr0 = 0\nexit", funcType(intType, sure), OutOfBounds, ""},
		{"null for maybe", "xdp", "", "r1 = 0", "", "if r1 == 0 goto l\nr0 = *(u64 *)(r1 +0)\nl:\nr0 = 0\nexit", funcType(intType, maybe), "", ""},
		{"value that may be null for maybe", "xdp", "*(u32 *)(r10 -4) = 9\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nr7 = r0\n", "r1 = r7", "", "if r1 == 0 goto l\nr0 = *(u64 *)(r1 +0)\nl:\nr0 = 0\nexit", funcType(intType, maybe), "", ""},
		{"value that may be null for maybe, unchecked", "xdp", "*(u32 *)(r10 -4) = 9\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nr7 = r0\n", "r1 = r7", "", "r0 = *(u64 *)(r1 +0)\nr0 = 0\nexit", funcType(intType, maybe), NullPointer, ""},
		{"1 for maybe", "xdp", "", "r1 = 1", "", "if r1 == 0 goto l\nr0 = *(u64 *)(r1 +0)\nl:\nr0 = 0\nexit", funcType(intType, maybe), BadArgument, ""},
		{"address of the null page for maybe", "xdp", "call 7\nr7 = r0\n", "r1 = r7", "", "r0 = 0\nexit", funcType(intType, maybe), BadArgument, ""},
		{"context of another type", "sched_cls", "r6 = r1\n", "r1 = r6", "", "r0 = *(u32 *)(r1 +0)\nexit", funcType(intType, xdp), BadArgument, ""},
		{"context", "sched_cls", "r6 = r1\n", "r1 = r6", "", "r0 = *(u32 *)(r1 +0)\nexit", funcType(intType, skb), "", ""},
		{"context stored to", "sched_cls", "r6 = r1\n", "r1 = r6", "", "*(u32 *)(r1 +8) = 5\nr0 = 0\nexit", funcType(intType, skb), "", ""},
		{"context of maybe", "sched_cls", "", "r1 = 0", "", "r0 = 0\nexit", funcType(intType, skb), BadArgument, ""},
		{"packet in the callee", "sched_cls", "r6 = r1\n", "r1 = r6", "", "r2 = *(u32 *)(r1 +76)\nr3 = *(u32 *)(r1 +80)\nr4 = r2\nr4 += 4\nif r4 > r3 goto l\nr0 = *(u32 *)(r2 +0)\nl:\nr0 = 0\nexit", funcType(intType, skb), "", ""},
		{"packet kept over a callee that writes to it through a dynptr", "sched_cls", "r6 = r1\nr7 = *(u32 *)(r1 +76)\nr2 = *(u32 *)(r1 +80)\nr3 = r7\nr3 += 16\nif r3 > r2 goto out\n", "r1 = r6", "r0 = *(u8 *)(r7 +0)\n", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\n*(u64 *)(r10 -24) = 0\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -24\nr4 = 8\nr5 = 0\ncall 202\nr0 = 0\nexit", funcType(intType, skb), NotPointer, "the kernel does not see that a write through a dynptr may move the packet if a global function does it"},
		{"result as a pointer", "xdp", "", "r1 = 1", "r0 = *(u8 *)(r0 +0)\n", "r0 = 0\nexit", funcType(intType, number), NotPointer, ""},
		{"nothing returned", "xdp", "", "r1 = 1", "", "r1 = 0\nexit", funcType(intType, number), Unreadable, ""},
		{"saved registers", "xdp", "r6 = 5\nr7 = r10\n", "r1 = 1", "r2 = map[10][0]+0\nr2 += r6\nr0 = *(u8 *)(r2 +0)\n*(u8 *)(r7 -1) = 1\n", "r6 = 99\nr7 = 1\nr0 = 0\nexit", funcType(intType, number), "", ""},
		{"caller's saved registers read", "xdp", "r6 = 5\n", "r1 = 1", "", "r0 = r6\nexit", funcType(intType, number), Unreadable, ""},
		{"tail call", "xdp", "r6 = r1\n", "r1 = r6", "", "r2 = map[7]\nr3 = 0\ncall 12\nr0 = 0\nexit", funcType(intType, xdp), "", ""},
		{"tail call while a reservation is held", "xdp", "r6 = r1\n" + aRb + "if r0 == 0 goto out\nr7 = r0\n", "r1 = r6", "r1 = r7\nr2 = 0\ncall 132\n", "r2 = map[7]\nr3 = 0\ncall 12\nr0 = 0\nexit", funcType(intType, xdp), Unreleased, "the kernel does not look into the function, and a program that is called as the tail of one returns to its caller"},
		{"as a callback", "xdp", "r1 = 4\nr2 = subprog[g]\nr3 = 0\nr4 = 0\ncall 181\n", "r1 = 1", "", "r0 = 0\nexit", funcType(intType, number), "", "the kernel wants callbacks to be static; what it says of a call is no part of a callback's proof here"},
		{"from a callback", "xdp", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\n", "r1 = 1", "", "r0 = 0\nexit\nbody:\nr1 = 1\ncall g\nr0 = 0\nexit", funcType(intType, number), "", ""},
		{"throws", "sched_cls", "", "r1 = 1", "", "r1 = 0\ncall bpf_throw\nr0 = 0\nexit", funcType(intType, number), BadArgument, "the kernel lets global functions throw: skep follows the calls of few and refuses the others"},
		{"loops over its argument", "xdp", "", "r1 = 10", "", "r6 = r1\nr6 &= 255\nagain:\nr6 += -1\nif r6 s> 0 goto again\nr0 = 0\nexit", funcType(intType, number), "", ""},
		{"dynptr argument", "xdp", aLocal, onStack, "", "r2 = 0\nr3 = 8\ncall 203\nr0 = 0\nexit", funcType(intType, dynptr), "", ""},
		{"dynptr argument submitted", "xdp", aRes, onStack, "", "r2 = 0\ncall 199\nr0 = 0\nexit", funcType(intType, dynptr), BadArgument, ""},
		{"dynptr argument written", "xdp", aLocal, onStack, "", "*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", funcType(intType, dynptr), "", followed},
		{"dynptr argument that is none", "xdp", pair, onStack, "", "r0 = 0\nexit", funcType(intType, dynptr), "", followed},
		{"dynptr argument sliced and kept", "xdp", aRes + aData + "r7 = r0\n", onStack, "if r7 == 0 goto no\n*(u64 *)(r7 +0) = 1\nno:\n" + aSub, "r0 = 0\nexit", funcType(intType, dynptr), "", ""},
		{"dynptr argument cloned", "xdp", aRes, onStack, aSub, "r2 = r10\nr2 += -16\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto l\nr0 = *(u64 *)(r0 +0)\nl:\nr0 = 0\nexit", funcType(intType, dynptr), "", ""},
		{"dynptr argument adjusted", "xdp", aLocal, onStack, "", "r2 = 0\nr3 = 4\ncall bpf_dynptr_adjust\nr0 = 0\nexit", funcType(intType, dynptr), "", ""},
		{"dynptr argument remade", "xdp", aLocal, onStack, "", "r4 = r1\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\ncall 197\nr0 = 0\nexit", funcType(intType, dynptr), "", followed},
		{"dynptr argument of the packet, moved in the callee", "xdp", aXdp, "r1 = r6\nr2 = r10\nr2 += -16", "", "r6 = r1\nr7 = r2\nr1 = r7\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nr8 = r0\nr1 = r6\nr2 = 0\ncall 44\nif r8 == 0 goto l\nr0 = *(u64 *)(r8 +0)\nl:\nr0 = 0\nexit", funcType(intType, xdp, dynptr), NotPointer, "the kernel does not know in the function that the dynptr is one of the packet"},
	})
}
