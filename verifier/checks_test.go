package verifier

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
)

// Each check has a program that only it refuses, beside one that is as close to
// it as can be and is accepted, where there is one.

func TestAccessChecks(t *testing.T) {
	const packet = `
		r6 = r1
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		r4 = r2
		r4 += 14
		if r4 > r3 goto out
	`
	checkShapes(t, []shape{
		{"last byte of a map's value", "xdp", "r1 = map[10][0]+63\nr0 = *(u8 *)(r1 +0)" + out, "", ""},
		{"map moved by a variable", "xdp", "r2 = *(u32 *)(r1 +12)\nr1 = map[0]\nr1 += r2" + out, BadArithmetic, ""},
		{"map moved by a constant", "xdp", "r1 = map[0]\nr1 += 8" + out, BadArithmetic, ""},
		{"unreadable destination", "xdp", "r3 += 1" + out, Unreadable, ""},
		{"unreadable base of a load", "xdp", "r0 = *(u64 *)(r3 +0)" + out, Unreadable, ""},
		{"unreadable base of a store", "xdp", "*(u64 *)(r3 +0) = 0" + out, Unreadable, ""},
		{"unreadable source of a store", "xdp", "*(u64 *)(r10 -8) = r3" + out, Unreadable, ""},
		{"unreadable operand of an atomic", "xdp", "*(u64 *)(r10 -8) = 0\nlock *(u64 *)(r10 -8) += r3" + out, Unreadable, ""},
		{"unreadable left side", "xdp", "if r3 > 5 goto out" + out, Unreadable, ""},
		{"unreadable right side", "xdp", "r2 = 1\nif r2 > r3 goto out" + out, Unreadable, ""},
		{"load from a map for writing", "xdp", "r1 = map[13][0]+0\nr0 = *(u64 *)(r1 +0)" + out, ReadOnly, ""},
		{"store to a map for writing", "xdp", "r1 = map[13][0]+0\n*(u64 *)(r1 +0) = 1" + out, "", ""},
		{"store to a map for reading", "xdp", "r1 = map[12][0]+0\n*(u64 *)(r1 +0) = 1" + out, ReadOnly, ""},
		{"load from a map for reading", "xdp", "r1 = map[12][0]+0\nr0 = *(u64 *)(r1 +0)" + out, "", ""},
		{"atomic on a map for writing", "xdp", "r1 = map[13][0]+0\nr2 = 1\nlock *(u64 *)(r1 +0) += r2" + out, ReadOnly, ""},
		{"atomic on a map for reading", "xdp", "r1 = map[12][0]+0\nr2 = 1\nlock *(u64 *)(r1 +0) += r2" + out, ReadOnly, ""},
		{"callback writes a key", "xdp", "r1 = map[0]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nr0 = 0\nexit\nbody:\n*(u32 *)(r2 +0) = 1\nr0 = 0\nexit", ReadOnly, ""},
		{"helper writes a key", "xdp", "r1 = map[0]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nr0 = 0\nexit\nbody:\nr1 = r2\nr2 = 4\nr3 = 0\ncall 113\nr0 = 0\nexit", ReadOnly, ""},
		{"store through the context or the stack", "sched_cls", `
			r6 = r1
			r7 = *(u32 *)(r1 +0)
			if r7 == 5 goto here
			r6 = r10
			r6 += -16
		here:
			*(u32 *)(r6 +8) = 1` + out, BadPointer, ""},
		{"control block, misaligned", "sched_cls", "r0 = *(u32 *)(r1 +50)" + out, BadContext, ""},
		{"atomic with an address", "xdp", "*(u64 *)(r10 -8) = 0\nlock *(u64 *)(r10 -8) += r10" + out, "", ""},
		{"atomic on an address", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 1\nlock *(u64 *)(r10 -8) += r1" + out, "", ""},
		{"exchange with an unreadable register", "xdp", "*(u64 *)(r10 -8) = 0\nr1 = 1\nr0 = cmpxchg_64(r10 -8, r0, r1)" + out, Unreadable, ""},
		{"exchange with an address", "xdp", "*(u64 *)(r10 -8) = 0\nr0 = r10\nr1 = 1\nr0 = cmpxchg_64(r10 -8, r0, r1)" + out, "", ""},
		{"acquire from nowhere", "xdp", "r0 = load_acquire((u64 *)(r3 +0))" + out, Unreadable, ""},
		{"acquire from the context", "xdp", "r0 = load_acquire((u32 *)(r1 +12))" + out, BadPointer, ""},
		{"acquire from the packet", "xdp", packet + "r0 = load_acquire((u64 *)(r2 +0))" + out, BadPointer, ""},
		{"legacy load in XDP", "xdp", "r6 = r1\nr0 = *(u8 *)skb[0]" + out, BadPointer, ""},
		{"legacy load without a context", "sched_cls", "r0 = *(u8 *)skb[0]" + out, Unreadable, ""},
		{"legacy load with a number as context", "sched_cls", "r6 = 0\nr0 = *(u8 *)skb[0]" + out, BadArgument, ""},
		{"legacy load with a moved context", "sched_cls", "r6 = r1\nr6 += 8\nr0 = *(u8 *)skb[0]" + out, BadArgument, ""},
		{"legacy load with a context moved by a variable", "sched_cls", "r6 = r1\ncall 7\nr0 &= 8\nr6 += r0\nr0 = *(u8 *)skb[0]" + out, BadArgument, ""},
		{"legacy load at an address", "sched_cls", "r6 = r1\nr2 = r10\nr0 = *(u8 *)skb[r2]" + out, Leak, "the kernel lets privileged programs leak addresses"},
		{"legacy load at a number", "sched_cls", "r6 = r1\nr2 = 3\nr0 = *(u8 *)skb[r2]" + out, "", ""},
		{"legacy load at nothing", "sched_cls", "r6 = r1\nr0 = *(u8 *)skb[r2]" + out, Unreadable, ""},
		{"legacy load in rcu", "sched_cls", "r6 = r1\ncall bpf_rcu_read_lock\nr0 = *(u8 *)skb[0]\ncall bpf_rcu_read_unlock" + out, Locked, ""},
		{"socket of which no field can be read", "sched_cls", "r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall 136\nif r0 == 0 goto out\nr0 = *(u32 *)(r0 +0)" + out, BadPointer,
			"the kernel knows the struct from its BTF, and skep does not"},
		{"result below the range", "cgroup_skb", "r0 = -1\nexit", BadReturn, ""},
		{"result at the end of the range", "cgroup_skb", "r0 = 1\nexit", "", ""},
		{"result above the range", "cgroup_skb", "r0 = 2\nexit", BadReturn, ""},
		{"result is an address", "cgroup_skb", "r0 = r10\nexit", BadReturn, ""},
	})
}

func TestCallChecks(t *testing.T) {
	const sized = "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\n"
	checkShapes(t, []shape{
		{"unreadable argument", "xdp", "r1 = map[1]\ncall 1" + out, Unreadable, ""},
		{"reservation of no constant size", "xdp", "call 7\nr2 = r0\nr2 &= 8\nr1 = map[2]\nr3 = 0\ncall 131" + out, BadArgument, ""},
		{"size is an address", "xdp", sized + "r2 = r10\ncall 6" + out, BadArgument, ""},
		{"size 0", "xdp", sized + "r2 = 0\ncall 6" + out, BadArgument, ""},
		{"size may be 0", "xdp", "call 7\nr6 = r0\nr6 &= 7\n" + sized + "r2 = r6\ncall 6" + out, BadArgument, ""},
		{"size of 1 to 8", "xdp", "call 7\nr6 = r0\nr6 &= 7\nr6 += 1\n" + sized + "r2 = r6\ncall 6" + out, "", ""},
		{"number as memory", "xdp", "r1 = 8\nr2 = 8\ncall 6" + out, BadArgument, ""},
		{"null memory with a size", "sched_cls", sized + "r3 = r1\nr4 = 8\nr1 = 0\nr2 = 8\nr5 = 0\ncall 28" + out, BadArgument, ""},
		{"null memory without a size", "sched_cls", sized + "r3 = r1\nr4 = 8\nr1 = 0\nr2 = 0\nr5 = 0\ncall 28" + out, "", ""},
		{"helper writes to a map for reading", "xdp", "r1 = map[12][0]+0\nr2 = 8\nr3 = 0\ncall 113" + out, ReadOnly, ""},
		{"helper writes to a map for writing", "xdp", "r1 = map[13][0]+0\nr2 = 8\nr3 = 0\ncall 113" + out, "", ""},
		{"helper reads from a map for writing", "xdp", "r1 = map[13][0]+0\nr2 = 8\ncall 6" + out, ReadOnly, ""},
		{"helper reads from a map for reading", "xdp", "r1 = map[12][0]+0\nr2 = 8\ncall 6" + out, "", ""},
		{"helper that cannot use the packet", "xdp", `
			r2 = *(u32 *)(r1 +0)
			r3 = *(u32 *)(r1 +4)
			r4 = r2
			r4 += 14
			if r4 > r3 goto out
			r1 = map[2]
			r3 = 8
			r4 = 0
			call 130` + out, BadArgument, ""},
		{"helper beyond a map's value", "xdp", "r1 = map[10][0]+57\nr2 = 8\nr3 = 0\ncall 113" + out, OutOfBounds, ""},
		{"helper up to the end of a map's value", "xdp", "r1 = map[10][0]+56\nr2 = 8\nr3 = 0\ncall 113" + out, "", ""},
		{"callback's context is a number", "xdp", "r1 = 4\nr2 = subprog[body]\nr3 = 5\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr0 = 0\nexit", BadArgument, ""},
		{"function inside a function", "xdp", "r1 = 4\nr2 = subprog[body]\nr2 += 1\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr0 = 0\nexit", BadArithmetic, ""},
		{"context moved by a constant", "sched_cls", "r1 += 8\nr2 = map[7]\nr3 = 0\ncall 12" + out, BadArgument, ""},
		{"context moved by a variable", "sched_cls", "r6 = r1\ncall 7\nr0 &= 8\nr6 += r0\nr1 = r6\nr2 = map[7]\nr3 = 0\ncall 12" + out, BadArgument, ""},
		{"reservation moved by a variable", "xdp", "call 7\nr7 = r0\nr7 &= 8\nr1 = map[2]\nr2 = 16\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr0 += r7\nr1 = r0\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"number released as a reservation", "xdp", "r1 = 8\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"lock at a variable offset", "xdp", lookupLocks + "r6 = r0\ncall 7\nr0 &= 8\nr6 += r0\nr1 = r6\ncall 93\nr1 = r6\ncall 94" + out, BadArgument, ""},
		{"lock at a variable offset from it", "xdp", lookupLocks + "r6 = r0\ncall 7\nr0 &= 8\nr6 += r0\nr6 += 8\nr1 = r6\ncall 93\nr1 = r6\ncall 94" + out, BadArgument, ""},
		{"rcu nested, released once", "xdp", "call bpf_rcu_read_lock\ncall bpf_rcu_read_lock\ncall bpf_rcu_read_unlock" + out, Locked, ""},
		{"preemption enabled, then disabled", "xdp", "call bpf_preempt_enable\ncall bpf_preempt_disable" + out, Locked, ""},
		{"another lock of the value", "xdp", lookupLocks + "r6 = r0\nr6 += 8\nr1 = r6\ncall 93\nr1 = r6\nr1 += 4\ncall 94" + out, BadArgument, ""},
		{"number as a lock", "xdp", "r1 = 8\ncall 93" + out, BadArgument, ""},
		{"number as a socket", "sched_cls", "r1 = 8\ncall 86" + out, BadArgument, ""},
		{"TCP socket of any kind of socket", "sched_cls", "r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall 96" + out, "", ""},
		{"iterator at a variable offset", "xdp", "call 7\nr0 &= 8\nr1 = r10\nr1 += -24\nr1 += r0\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"iterator below the stack", "xdp", "r1 = r10\nr1 += -520\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"iterator above the stack", "xdp", "r1 = r10\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"iterator at the stack's end", "xdp", "r1 = r10\nr1 += -512\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr1 = r10\nr1 += -512\ncall bpf_iter_num_destroy" + out, "", ""},
		{"iterator of nothing", "xdp", "r1 = r10\nr1 += -8\nr2 = 0\ncall bpf_iter_num_new" + out, Unreadable, ""},
		{"iterator to an address", "xdp", "r1 = r10\nr1 += -8\nr2 = 0\nr3 = r10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"iterator nowhere", "xdp", "call 7\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, Unreadable, ""},
		{"iterator before a map's value", "xdp", "r1 = map[10][0]+0\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, BadArgument, ""},
		{"map's value released as a reservation", "xdp", "r1 = map[10][0]+0\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"size, which may be 0, is an address", "xdp", "r1 = r10\nr1 += -8\nr2 = r10\nr3 = 0\ncall 113" + out, BadArgument, ""},
		{"iterator over a dynptr", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\nr1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new" + out, Unreleased, ""},
		{"dynptr over an iterator", "xdp", "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, BadArgument, ""},
		{"dynptr on a map's value", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r1\ncall 197" + out, BadArgument, ""},
		{"exception with nothing", "sched_cls", "call 7\ncall bpf_throw\nexit", Unreadable, ""},
		{"exception with an address", "sched_cls", "call bpf_throw\nexit", "", "the kernel wants a number; an address is no more than a result that leaks, which the strict rules refuse"},
		{"callback entered 8 deep", "xdp", `
			call f
			r0 = 0
			exit
		f:	call g
			r0 = 0
			exit
		g:	call h
			r0 = 0
			exit
		h:	call i
			r0 = 0
			exit
		i:	call j
			r0 = 0
			exit
		j:	call k
			r0 = 0
			exit
		k:	call l
			r0 = 0
			exit
		l:	r1 = 4
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 181
			r0 = 0
			exit
		body:
			r0 = 0
			exit`, StackDepth, ""},
		{"callx to nothing", "xdp", "callx r6\nexit", Unreadable, ""},
		{"preemption disabled 33 times", "xdp", func() string {
			s := ""
			for range 33 {
				s += "call bpf_preempt_disable\n"
			}
			for range 33 {
				s += "call bpf_preempt_enable\n"
			}
			return s + out
		}(), Limit, "skep nests 32 sections"},
		{"timer of an inner map", "xdp", `
			*(u32 *)(r10 -4) = 1
			r2 = r10
			r2 += -4
			r1 = map[0]
			r3 = 1
			call 169` + out, BadArgument, ""},
		{"sleep in a timer's callback", "syscall", startTimer + "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\nr0 = 0\nexit", Sleeps, ""},
	})
}

// TestStrictChecks checks rules of Options.Strict: what a program of a stranger
// could learn.
func TestStrictChecks(t *testing.T) {
	const variable = "call 7\nr6 = r0\nr6 &= 8\nr7 = r10\nr7 += -16\nr7 += r6\n"
	for _, tc := range []struct {
		name, typ, asm string
		code           Code
	}{
		{"unwritten bytes at a variable offset", "xdp", variable + "*(u64 *)(r10 -8) = 0\nr0 = *(u64 *)(r7 +0)" + out, UninitStack},
		{"written bytes at a variable offset", "xdp", variable + "*(u64 *)(r10 -8) = 0\n*(u64 *)(r10 -16) = 0\nr0 = *(u64 *)(r7 +0)" + out, ""},
		{"store over half a pointer at a variable offset", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = 0\n" + variable + "*(u64 *)(r7 +0) = 0" + out, Leak},
		{"atomic on unwritten bytes", "xdp", "r1 = 1\nlock *(u64 *)(r10 -8) += r1" + out, UninitStack},
		{"address thrown", "sched_cls", "call bpf_throw\nexit", Leak},
		{"address handed to a helper", "xdp", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = r10\ncall 113" + out, Leak},
		{"number handed to a helper", "xdp", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 4096\ncall 113" + out, ""},
		{"pointer on the stack read by a helper", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = r10\nr1 += -8\nr2 = 8\ncall 6" + out, Leak},
		{"half of an address as a number", "xdp", "w2 = w1" + out, Leak},
		{"low byte of an address", "xdp", "w2 = (s8)w1" + out, Leak},
		{"sign of half an address", "xdp", "r2 = (s32)r1" + out, Leak},
		{"whole address", "xdp", "r2 = r1" + out, ""},
		{"half of a number", "xdp", "r2 = 1\nw2 = w2\nr2 = (s8)r2" + out, ""},
		{"an address's negative", "xdp", "r1 = -r1" + out, Leak},
		{"half an address's negative", "xdp", "w1 = -w1" + out, Leak},
		{"two bytes of an address", "xdp", "r1 = be16 r1" + out, Leak},
		{"an address backwards", "xdp", "r1 = bswap64 r1" + out, Leak},
		{"half the difference of an address", "xdp", "w1 -= w10" + out, Leak},
		{"distance of context and stack", "xdp", "r1 -= r10" + out, Leak},
		{"distance within the stack", "xdp", "r2 = r10\nr2 += -8\nr2 -= r10" + out, ""},
		{"length of the packet", "xdp", "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr3 -= r2" + out, ""},
		{"half of a pointer read", "xdp", "*(u64 *)(r10 -8) = r1\nr0 = *(u32 *)(r10 -8)" + out, Leak},
		{"a pointer's last byte read", "xdp", "*(u64 *)(r10 -8) = r1\nr0 = *(u8 *)(r10 -1)" + out, Leak},
		{"half of a pointer read, with its sign", "xdp", "*(u64 *)(r10 -8) = r1\nr0 = *(s32 *)(r10 -8)" + out, Leak},
		{"whole pointer read", "xdp", "*(u64 *)(r10 -8) = r1\nr0 = *(u64 *)(r10 -8)" + out, ""},
		{"a pointer read at a variable offset", "xdp", variable + "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = 0\nr0 = *(u64 *)(r7 +0)" + out, Leak},
		{"store over half a pointer", "xdp", "*(u64 *)(r10 -8) = r10\n*(u32 *)(r10 -8) = 0" + out, Leak},
		{"store over a pointer", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -8) = 0\nr0 = *(u32 *)(r10 -4)" + out, ""},
		{"half of a pointer overwritten by a helper", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = r10\nr1 += -8\nr2 = 4\nr3 = 4096\ncall 113" + out, Leak},
		{"half of a pointer stored", "xdp", "*(u32 *)(r10 -8) = r10" + out, Leak},
		{"whole pointer stored", "xdp", "*(u64 *)(r10 -8) = r10" + out, ""},
		{"context compared with the packet", "xdp", "r2 = *(u32 *)(r1 +0)\nif r1 == r2 goto out" + out, Leak},
		{"null compared by order", "xdp", "if r1 > 0 goto out" + out, Leak},
		{"null compared in its low half", "xdp", "if w1 == 0 goto out" + out, Leak},
		{"null compared for difference", "xdp", "if r1 != 0 goto out" + out, ""},
		{"metadata and data", "xdp", "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +8)\nif r2 > r3 goto out" + out, ""},
		{"what a helper wrote at a variable offset", "xdp", variable + "r1 = r7\nr2 = 8\nr3 = 4096\ncall 113\nr0 = *(u64 *)(r10 -16)" + out, UninitStack},
		{"what a helper wrote", "xdp", "r1 = r10\nr1 += -16\nr2 = 8\nr3 = 4096\ncall 113\nr0 = *(u64 *)(r10 -16)" + out, ""},
		{"null compared", "xdp", "if r1 == 0 goto out" + out, ""},
		{"reservation after its end", "xdp", reserve + "if r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 0\ncall 132\nr1 = map[0]\n*(u64 *)(r10 -8) = r6" + out, Unreadable},
		{"reservation on the stack after its end", "xdp", reserve + "if r0 == 0 goto out\n*(u64 *)(r10 -8) = r0\nr1 = r0\nr2 = 0\ncall 132\nr6 = *(u64 *)(r10 -8)" + out, UninitStack},
		{"reservation on the stack after its end, to a helper", "xdp", reserve + "if r0 == 0 goto out\n*(u64 *)(r10 -8) = r0\nr1 = r0\nr2 = 0\ncall 132\nr1 = r10\nr1 += -8\nr2 = 8\ncall 6" + out, UninitStack},
		{"reservation's neighbour on the stack after its end", "xdp", reserve + "if r0 == 0 goto out\n*(u64 *)(r10 -8) = r0\n*(u64 *)(r10 -16) = 7\nr1 = r0\nr2 = 0\ncall 132\nr6 = *(u64 *)(r10 -16)" + out, ""},
		{"packet after it moved", "xdp", "r6 = *(u32 *)(r1 +0)\nr2 = 0\ncall 44\nr7 = r6" + out, Unreadable},
		{"packet's end on the stack after it moved", "xdp", "r6 = *(u32 *)(r1 +4)\n*(u64 *)(r10 -8) = r6\nr2 = 0\ncall 44\nr6 = *(u64 *)(r10 -8)" + out, UninitStack},
		{"packet's length after it moved", "xdp", "r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr7 -= r6\nr2 = 0\ncall 44\nr6 = r7" + out, ""},
		{"one compared", "xdp", "if r1 == 1 goto out" + out, Leak},
		{"unknown number compared", "xdp", "r2 = *(u32 *)(r1 +12)\nif r1 == r2 goto out" + out, Leak},
		{"packet and its end", "xdp", "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nif r2 > r3 goto out" + out, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, tc.typ, tc.asm)
			_, _, err := Verify(context.Background(), p, Options{Strict: true})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}

// TestHostChecks verifies programs of a host that defines a context and helpers
// which Linux does not have.
func TestHostChecks(t *testing.T) {
	ctx := hook.Ctx{Name: "host_ctx", Size: 48, HostSize: 64, Fields: []hook.Field{
		{Name: "data", Off: 0, Size: 4, Kind: hook.FieldPacket, Read: 1 | 2 | 4, Write: 4},
		{Name: "data_end", Off: 4, Size: 4, Kind: hook.FieldPacketEnd, Read: 4},
		{Name: "odd", Off: 8, Size: 3, Kind: hook.FieldBytes, Read: 1 | 2},
		{Name: "number", Off: 12, Size: 4, Read: 4, Write: 4},
		{Name: "bytes", Off: 16, Size: 8, Kind: hook.FieldBytes, Read: 1 | 2 | 4, Write: 1 | 4},
		{Name: "task", Off: 32, Size: 8, Kind: hook.FieldObject, Object: "task", Read: 8},
		{Name: "sock", Off: 40, Size: 8, Kind: hook.FieldObject, Object: "sock", Read: 8},
	}}
	mem := func(a helpers.Arg) helpers.Arg { a.Kind = helpers.ArgMem; return a }
	fns := map[helpers.ID]*helpers.Func{
		900: {Name: "fill", Proto: helpers.Proto{PacketAccess: true, Args: [5]helpers.Arg{mem(helpers.Arg{Write: true, Uninit: true}), {Kind: helpers.ArgSize}}}},
		901: {Name: "look", Proto: helpers.Proto{PacketAccess: true, Args: [5]helpers.Arg{mem(helpers.Arg{}), {Kind: helpers.ArgSizeOrZero}}}},
		902: {Name: "kind", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgKptr}}}},
		903: {Name: "later", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgFunc}}}},
		904: {Name: "alloc", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgConstAllocSize}}, Ret: helpers.Ret{Kind: helpers.RetMem}}},
		905: {Name: "each", Proto: helpers.Proto{Control: helpers.Callback, Args: [5]helpers.Arg{{Kind: helpers.ArgFunc}}}},
		906: {Name: "constant", Proto: helpers.Proto{Args: [5]helpers.Arg{mem(helpers.Arg{Size: 8})}, Ret: helpers.Ret{Kind: helpers.RetMem, Size: 8, ReadOnly: true}}},
		908: {Name: "common", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgObject, Object: "sock_common"}}}},
		909: {Name: "tcp", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgObject, Object: "tcp_sock"}}}},
	}
	host := func(change func(*hook.Type)) *hook.Type {
		typ := *linux.XDP
		typ.Ctx, typ.LegacyPacket, typ.PacketWrite = ctx, true, false
		typ.Helpers = typ.Helpers.With(fns, nil)
		if change != nil {
			change(&typ)
		}
		return &typ
	}
	returns := func(min, max int64) func(*hook.Type) {
		return func(t *hook.Type) { t.Return = hook.Range{Min: min, Max: max} }
	}
	const packet = "r6 = r1\nr2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\n"
	for _, tc := range []struct {
		name, asm string
		change    func(*hook.Type)
		code      Code
	}{
		{"half of a packet pointer", "r2 = *(u16 *)(r1 +0)" + out, nil, BadContext},
		{"packet pointer replaced", "*(u32 *)(r1 +0) = 0" + out, nil, BadContext},
		{"byte past odd bytes", "r2 = *(u16 *)(r1 +10)" + out, nil, BadContext},
		{"inside odd bytes", "r2 = *(u16 *)(r1 +8)" + out, nil, ""},
		{"number written", "*(u32 *)(r1 +12) = 0" + out, nil, ""},
		{"bytes written", "*(u8 *)(r1 +17) = 0" + out, nil, ""},
		{"misaligned bytes", "r2 = *(u32 *)(r1 +18)" + out, nil, BadContext},
		{"width that is not for reading", "r2 = *(u64 *)(r1 +16)" + out, nil, BadContext},
		{"width that is not for writing", "*(u16 *)(r1 +16) = 0" + out, nil, BadContext},
		{"gap", "r2 = *(u32 *)(r1 +24)" + out, nil, BadContext},
		{"packet written", packet + "*(u8 *)(r2 +0) = 0" + out, nil, ReadOnly},
		{"packet read", packet + "r0 = *(u8 *)(r2 +0)" + out, nil, ""},
		{"packet written by a helper", packet + "r1 = r2\nr2 = 8\ncall 900" + out, nil, ReadOnly},
		{"packet read by a helper", packet + "r1 = r2\nr2 = 8\ncall 901" + out, nil, ""},
		{"more packet read by a helper", packet + "r1 = r2\nr2 = 9\ncall 901" + out, nil, OutOfBounds},
		{"packet written by a helper where that is allowed", packet + "r1 = r2\nr2 = 8\ncall 900" + out, func(t *hook.Type) { t.PacketWrite = true }, ""},
		{"size that is the limit", "r1 = r10\nr1 += -8\nr2 = 0x20000000\ncall 901" + out, nil, BadArgument},
		{"size that is below the limit", "r1 = r10\nr1 += -8\nr2 = 0x1fffffff\ncall 901" + out, nil, OutOfBounds},
		{"kind of argument that is not known", "r1 = map[10][0]+0\ncall 902" + out, nil, Unsupported},
		{"function that runs later", "r1 = subprog[f]\ncall 903\nr0 = 0\nexit\nf:\nr0 = 0\nexit", nil, Unsupported},
		{"allocation of 0 bytes", "r1 = 0\ncall 904" + out, nil, BadArgument},
		{"allocation of a negative size", "r1 = -1\ncall 904" + out, nil, BadArgument},
		{"allocation of an unknown size", "r1 = *(u32 *)(r1 +12)\nr1 += 8\ncall 904" + out, nil, BadArgument},
		{"allocation of 1 byte", "r1 = 1\ncall 904\nr0 = *(u8 *)(r0 +0)" + out, nil, ""},
		{"beyond an allocation of 1 byte", "r1 = 1\ncall 904\nr0 = *(u8 *)(r0 +1)" + out, nil, OutOfBounds},
		{"allocation at the limit", "r1 = 0x20000000\ncall 904" + out, nil, BadArgument},
		{"allocation below the limit", "r1 = 0x1fffffff\ncall 904" + out, nil, ""},
		{"allocation of an address", "call 904" + out, nil, BadArgument},
		{"callback of which nothing is known", "r1 = subprog[f]\ncall 905\nr0 = 0\nexit\nf:\nr0 = 0\nexit", nil, Unsupported},
		{"memory for reading read", "r1 = r10\nr1 += -8\ncall 906\nr0 = *(u64 *)(r0 +0)" + out, nil, ""},
		{"memory for reading written", "r1 = r10\nr1 += -8\ncall 906\n*(u64 *)(r0 +0) = 0" + out, nil, ReadOnly},
		{"memory for reading written by a helper", "r1 = r10\nr1 += -8\ncall 906\nr1 = r0\nr2 = 8\ncall 900" + out, nil, ReadOnly},
		{"task for any socket", "r1 = *(u64 *)(r1 +32)\ncall 908" + out, nil, BadArgument},
		{"socket for any socket", "r1 = *(u64 *)(r1 +40)\ncall 908" + out, nil, ""},
		{"socket for a TCP socket", "r1 = *(u64 *)(r1 +40)\ncall 909" + out, nil, BadArgument},
		{"legacy load where 0 is too small a result", "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit", returns(1, 3), BadReturn},
		{"legacy load where 0 is too large a result", "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = -1\nexit", returns(-3, -1), BadReturn},
		{"legacy load where 0 is the least result", "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit", returns(0, 3), ""},
		{"result below the range", "r0 = 0\nexit", returns(1, 3), BadReturn},
		{"result below a range without a top", "r0 = -1\nexit", returns(0, 1<<63-1), BadReturn},
		{"result above a range without a bottom", "r0 = 1\nexit", returns(-1<<63, 0), BadReturn},
		{"result above the range", "r0 = 4\nexit", returns(1, 3), BadReturn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.asm)
			p.Type = host(tc.change)
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}

// TestLinkedChecks verifies programs that were changed after they were linked:
// a map took the place of another, a register that of another.
func TestLinkedChecks(t *testing.T) {
	smaller := *constructMaps[10]
	smaller.ValueSize = 32
	outer := *constructMaps[5]
	outer.Inner = nil
	for _, tc := range []struct {
		name, asm string
		change    func(*prog.Program)
		code      Code
	}{
		{"address in a smaller value", "r1 = map[10][0]+31" + out, func(p *prog.Program) { p.Maps[10] = &smaller }, ""},
		{"address past a smaller value", "r1 = map[10][0]+32" + out, func(p *prog.Program) { p.Maps[10] = &smaller }, OutOfBounds},
		{"map of maps without a template", lookupInner + "call 1" + out, func(p *prog.Program) { p.Maps[5] = &outer }, Unsupported},
		{"frame pointer changed", "r9 = 0\nr9 += 8" + out, func(p *prog.Program) { p.Insns[1].Dst = prog.R10 }, BadArithmetic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", tc.asm)
			p.Maps = slices.Clone(p.Maps)
			tc.change(p)
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
		})
	}
}
