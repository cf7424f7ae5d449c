package verifier

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// Parts of the programs below.
const (
	aThrow = "r1 = 0\ncall bpf_throw\n"
	aBitsD = "r1 = r10\nr1 += -8\ncall bpf_iter_bits_destroy\n"
	aSkbW  = "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice_rdwr\nif r0 == 0 goto out\nr7 = r0\n"
)

// TestHostileResults: what is known of a result, and what is not.
func TestHostileResults(t *testing.T) {
	checkShapes(t, []shape{
		{"get_stack's result as a size", "kprobe", "r6 = r1\n" + aInit64 + "r2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall 67\nif r0 s< 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 -1) = 0" + out, "", ""},
		{"get_stack's result, one beyond", "kprobe", "r6 = r1\n" + aInit64 + "r2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall 67\nif r0 s< 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +0) = 0" + out, OutOfBounds, ""},
		{"get_stack's result not compared", "kprobe", "r6 = r1\n" + aInit64 + "r2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall 67\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 -1) = 0" + out, OutOfBounds, ""},
		{"string's length", "kprobe", aInit64 + "r3 = r1\nr1 = r10\nr1 += -64\nr2 = 60\ncall 115\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +3) = 0" + out, "", ""},
		{"string's length in 32 bits", "kprobe", aInit64 + "r3 = r1\nr1 = r10\nr1 += -64\nr2 = 60\ncall 115\nif w0 s<= 0 goto out\nw0 = w0\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +3) = 0" + out, "", ""},
		{"string's length of a variable size", "kprobe", aInit64 + "r6 = r1\ncall 7\nr2 = r0\nr2 &= 31\nr3 = r6\nr1 = r10\nr1 += -64\ncall 115\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +32) = 0" + out, "", ""},
		{"string's length beyond", "kprobe", aInit64 + "r6 = r1\ncall 7\nr2 = r0\nr2 &= 31\nr3 = r6\nr1 = r10\nr1 += -64\ncall 115\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +33) = 0" + out, OutOfBounds, ""},
		{"string output to perf", "kprobe", aInit64 + "r6 = r1\nr3 = r1\nr1 = r10\nr1 += -64\nr2 = 64\ncall 115\nif r0 s<= 0 goto out\nr1 = r6\nr2 = map[20]\nr3 = 0\nr4 = r10\nr4 += -64\nr5 = r0\ncall 25" + out, "", ""},
		{"user string's length", "kprobe", aInit64 + "r3 = r1\nr1 = r10\nr1 += -64\nr2 = 60\ncall 114\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +3) = 0" + out, "", ""},
		{"old string's length", "kprobe", aInit64 + "r3 = r1\nr1 = r10\nr1 += -64\nr2 = 60\ncall 45\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +3) = 0" + out, "", ""},
		{"probe_read's result", "kprobe", aInit64 + "r3 = r1\nr1 = r10\nr1 += -64\nr2 = 60\ncall 113\nif r0 s<= 0 goto out\nr1 = r10\nr1 += -64\nr1 += r0\n*(u8 *)(r1 +3) = 0" + out, OutOfBounds, ""},
		{"CPU's number below 512", "xdp", "call 8\nr1 = r0\nif r1 > 60 goto out\n" + aIdx + out, "", ""},
		{"peek of a bloom at a map to be written", "xdp", a16 + "r1 = map[23]\nr2 = map[13][0]+0\ncall 89" + out, ReadOnly, ""},
		{"peek of a bloom at a map to be read", "xdp", a16 + "r1 = map[23]\nr2 = map[12][0]+0\ncall 89" + out, "", ""},
		{"peek of a bloom keeps what was there", "xdp", "*(u64 *)(r10 -16) = 5\n*(u64 *)(r10 -8) = 7\nr1 = map[23]\nr2 = r10\nr2 += -16\ncall 89\nr1 = *(u64 *)(r10 -8)\n" + aIdx + out, "", ""},
	})
}

// TestHostileExceptions: exceptions while some caller holds something, or a helper is the caller.
func TestHostileExceptions(t *testing.T) {
	checkShapes(t, []shape{
		{"caller holds a reservation", "sched_cls", aRb + "if r0 == 0 goto out\nr6 = r0\ncall f\nr1 = r6\nr2 = 0\ncall 132\nout:\nr0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", Unreleased, ""},
		{"caller's caller holds an iterator", "sched_cls", aNum + "call f\n" + aNumD + "r0 = 0\nexit\nf:\ncall g\nr0 = 0\nexit\ng:\n" + aThrow + "r0 = 0\nexit", Unreleased, ""},
		{"caller holds a lock", "sched_cls", aLock + "call f\n" + aUnlock + "r0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", Locked, ""},
		{"caller holds rcu", "sched_cls", "call bpf_rcu_read_lock\ncall f\ncall bpf_rcu_read_unlock\nr0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", Locked, ""},
		{"caller disabled preemption", "sched_cls", "call bpf_preempt_disable\ncall f\ncall bpf_preempt_enable\nr0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", Locked, ""},
		{"caller has a dynptr of its own", "sched_cls", aLocal + "call f\nr0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", "", ""},
		{"caller has a reservation's dynptr", "sched_cls", aRes + "call f\n" + aSub + "r0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", Unreleased, ""},
		{"caller holds nothing", "sched_cls", "call f\nr0 = 0\nexit\nf:\n" + aThrow + "r0 = 0\nexit", "", ""},
		{"after the release in the callee", "sched_cls", aRb + "if r0 == 0 goto out\nr1 = r0\ncall f\nout:\nr0 = 0\nexit\nf:\nr2 = 0\ncall 132\n" + aThrow + "exit", "", ""},
		{"in a loop's callback", "sched_cls", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\n" + aThrow + "r0 = 0\nexit", BadArgument, ""},
		{"in for each", "sched_cls", "r1 = map[0]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nr0 = 0\nexit\nbody:\n" + aThrow + "r0 = 0\nexit", BadArgument, ""},
		{"in drain", "sched_cls", "r1 = map[14]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 209\nr0 = 0\nexit\nbody:\n" + aThrow + "r0 = 0\nexit", BadArgument, ""},
		{"in xdp", "xdp", aThrow + "r0 = 0\nexit", "", ""},
		{"in kprobe", "kprobe", aThrow + "r0 = 0\nexit", "", "the kernel has the function in fewer program types"},
		{"in syscall", "syscall", aThrow + "r0 = 0\nexit", "", ""},
		{"cookie 2 from cgroup_skb in a callee", "cgroup_skb", "call f\nr0 = 0\nexit\nf:\nr1 = 2\ncall bpf_throw\nr0 = 0\nexit", BadReturn, ""},
		{"unknown cookie from cgroup_skb", "cgroup_skb", "call 7\nr1 = r0\ncall bpf_throw\nexit", BadReturn, ""},
		{"code after it", "sched_cls", aThrow + "r0 = *(u64 *)(r1 +0)\nexit", "", ""},
		{"no exit after it", "sched_cls", "call 7\nif r0 == 5 goto l\nr0 = 0\nexit\nl:\n" + aThrow + "exit", "", ""},
	})
}

// TestHostileSlices: dynptrs and their slices where the packet moves, and what is written over them.
func TestHostileSlices(t *testing.T) {
	checkShapes(t, []shape{
		{"skb slice after adjust_room", "sched_cls", aSkbW + "r1 = r6\nr2 = 4\nr3 = 0\nr4 = 0\ncall 50\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after vlan_push", "sched_cls", aSkbW + "r1 = r6\nr2 = 0\nr3 = 1\ncall 18\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after pull_data", "sched_cls", aSkbW + "r1 = r6\nr2 = 0\ncall 39\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after change_proto", "sched_cls", aSkbW + "r1 = r6\nr2 = 8\nr3 = 0\ncall 31\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after change_head", "sched_cls", aSkbW + "r1 = r6\nr2 = 8\nr3 = 0\ncall 43\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after change_tail", "sched_cls", aSkbW + "r1 = r6\nr2 = 80\nr3 = 0\ncall 38\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after l4_csum", "sched_cls", aSkbW + "r1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 11\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after set_hash_invalid", "sched_cls", aSkbW + "r1 = r6\ncall 41\nr0 = *(u64 *)(r7 +0)" + out, "", ""},
		{"skb slice after store_bytes", "sched_cls", "*(u64 *)(r10 -32) = 0\n" + aSkbW + "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\nr5 = 0\ncall 9\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after load_bytes", "sched_cls", aSkbW + "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\ncall 26\nr0 = *(u64 *)(r7 +0)" + out, "", ""},
		{"skb slice after clone_redirect", "sched_cls", aSkbW + "r1 = r6\nr2 = 1\nr3 = 0\ncall 13\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice after a loop that moves", "sched_cls", aSkbW + "r8 = 4\nagain:\nr1 = r6\nr2 = 0\ncall 39\nr8 += -1\nif r8 s> 0 goto again\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice on one path", "sched_cls", aSkbW + "call 7\nif r0 == 5 goto l\nr1 = r6\nr2 = 0\ncall 39\nl:\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"skb slice with a buffer after pull_data", "sched_cls", "*(u64 *)(r10 -32) = 0\nr6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr7 = r0\nr1 = r6\nr2 = 0\ncall 39\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"slice with a buffer in a callee's frame", "sched_cls", "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\ncall f\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)\nout:\nr0 = 0\nexit\nf:\n*(u64 *)(r10 -8) = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\ncall bpf_dynptr_slice\nexit", "", ""},
		{"slice with a buffer in the packet", "sched_cls", "r6 = r1\nr7 = *(u32 *)(r1 +76)\nr2 = *(u32 *)(r1 +80)\nr3 = r7\nr3 += 16\nif r3 > r2 goto out\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r7\nr4 = 8\ncall bpf_dynptr_slice" + out, BadArgument, "the buffer is for memory in pieces, of which skep has none; the packet is none"},
		{"slice's buffer is a pointer's spill", "sched_cls", "*(u64 *)(r10 -32) = r10\nr6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr1 = *(u64 *)(r10 -32)\nr0 = *(u64 *)(r1 -32)" + out, NotPointer, ""},
		{"slice's buffer as an index", "sched_cls", "*(u64 *)(r10 -32) = 5\nr6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 8\ncall bpf_dynptr_slice\nr1 = *(u64 *)(r10 -32)\n" + aIdx + out, OutOfBounds, ""},
		{"slice of a variable size", "sched_cls", "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\ncall 7\nr4 = r0\nr4 &= 7\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\ncall bpf_dynptr_slice" + out, BadArgument, ""},
		{"slice of 0 bytes", "sched_cls", "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 0\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr0 = *(u8 *)(r0 +0)" + out, BadArgument, ""},
		{"data of 0 bytes", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\ncall 203" + out, BadArgument, "memory of no bytes is of no use"},
		{"data at an unknown offset", "xdp", "call 7\nr6 = r0\n" + aLocal + "r1 = r10\nr1 += -16\nr2 = r6\nr3 = 8\ncall 203\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)" + out, "", ""},
		{"data of a packet", "xdp", aXdp + aData + "if r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)" + out, "", ""},
		{"skb dynptr in xdp", "xdp", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb" + out, UnknownCallee, ""},
		{"skb dynptr in cgroup_skb, written", "cgroup_skb", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice_rdwr" + "\nout:\nr0 = 1\nexit", ReadOnly, ""},
		{"skb dynptr in cgroup_skb, written by helper", "cgroup_skb", "*(u64 *)(r10 -24) = 0\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -24\nr4 = 8\nr5 = 0\ncall 202" + "\nout:\nr0 = 1\nexit", "", ""},
		{"skb dynptr in cgroup_skb, read", "cgroup_skb", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)" + "\nout:\nr0 = 1\nexit", "", ""},
		{"slice stored to in cgroup_skb", "cgroup_skb", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + "\nout:\nr0 = 1\nexit", ReadOnly, ""},
		{"skb dynptr in socket_filter", "socket_filter", "r2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)" + "\nout:\nr0 = 1\nexit", "", ""},
		{"dynptr: clone over an iterator", "xdp", aLocal + "r1 = r10\nr1 += -24\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr1 = r10\nr1 += -16\nr2 = r10\nr2 += -24\ncall bpf_dynptr_clone" + out, BadArgument, ""},
		{"dynptr: adjust a submitted", "xdp", aRes + aSub + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_adjust" + out, BadArgument, ""},
		{"dynptr: size of a submitted", "xdp", aRes + aSub + "r1 = r10\nr1 += -16\ncall bpf_dynptr_size" + out, BadArgument, ""},
		{"dynptr: adjust by unknown", "xdp", "call 7\nr6 = r0\n" + aLocal + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r6\ncall bpf_dynptr_adjust\n" + aData + "if r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + out, "", ""},
		{"dynptr: slice before the adjust", "xdp", aLocal + aData + "r6 = r0\nr1 = r10\nr1 += -16\nr2 = 8\nr3 = 8\ncall bpf_dynptr_adjust\nif r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, "", ""},
		{"dynptr: size as an index", "xdp", aLocal + "r1 = r10\nr1 += -16\ncall bpf_dynptr_size\nr1 = r0\n" + aIdx + out, OutOfBounds, ""},
		{"dynptr: is_null as an index", "xdp", aLocal + "r1 = r10\nr1 += -16\ncall bpf_dynptr_is_null\nr1 = r0\n" + aIdx + out, "", "the kernel does not know that a bool is 0 or 1"},
		{"dynptr: is_rdonly as an index", "xdp", aLocal + "r1 = r10\nr1 += -16\ncall bpf_dynptr_is_rdonly\nr1 = r0\n" + aIdx + out, "", "the kernel does not know that a bool is 0 or 1"},
		{"dynptr: over a value deleted", "xdp", aLookup("26", "1", "r6") + "r1 = r6\nr2 = 16\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\nr2 = r10\nr2 += -4\nr1 = map[26]\ncall 3\nr1 = r10\nr1 += -24\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + out, "", ""},
		{"dynptr: passed as its own memory", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201" + out, BadPointer, ""},
		{"dynptr: read from it to a part of it", "xdp", aLocal + "*(u64 *)(r10 -24) = 0\nr1 = r10\nr1 += -24\nr2 = 16\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201" + out, BadPointer, ""},
		{"dynptr: pop over it", "xdp", aLocal + "r1 = map[21]\nr2 = r10\nr2 += -24\ncall 88\n" + aData + out, BadPointer, ""},
		{"dynptr: callee pops over it", "xdp", aRes + "r1 = r10\nr1 += -16\ncall f\n" + aSub + "r0 = 0\nexit\nf:\nr2 = r1\nr1 = map[21]\ncall 88\nr0 = 0\nexit", BadPointer, ""},
		{"dynptr: slice outlives its frame", "xdp", "call f\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nout:\nr0 = 0\nexit\nf:\n" + aLocal + aData + "exit", "", ""},
		{"dynptr: reservation's slice outlives its frame", "xdp", "call f\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nout:\nr0 = 0\nexit\nf:\n" + aRes + aData + "r6 = r0\n" + aSub + "r0 = r6\nexit", NotPointer, ""},
	})
}

// TestHostileIterators: what iterators are made of.
func TestHostileIterators(t *testing.T) {
	const unsafe = "the kernel reads the words at any address, and finds an error there"
	checkShapes(t, []shape{
		{"numbers from an address", "xdp", "r1 = r10\nr1 += -8\nr2 = r10\nr3 = 10\ncall bpf_iter_num_new\n" + aNumD + out, BadArgument, ""},
		{"numbers to an address", "xdp", "r1 = r10\nr1 += -8\nr2 = 0\nr3 = r10\ncall bpf_iter_num_new\n" + aNumD + out, BadArgument, ""},
		{"so many words as an address", "xdp", "r1 = r10\nr1 += -16\nr2 = map[10][0]+0\nr3 = r10\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, BadArgument, ""},
		{"words at a number", "xdp", "r1 = r10\nr1 += -16\nr2 = 5\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, BadArgument, unsafe},
		{"words of a value that may be null", "xdp", "*(u32 *)(r10 -20) = 9\nr2 = r10\nr2 += -20\nr1 = map[26]\ncall 1\nr1 = r10\nr1 += -16\nr2 = r0\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, NullPointer, unsafe},
		{"words beyond a value", "xdp", "r1 = r10\nr1 += -16\nr2 = map[10][0]+8\nr3 = 8\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, OutOfBounds, unsafe},
		{"no words at 0", "xdp", "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, "", ""},
		{"slice kept over a read through the packet's dynptr", "sched_cls", aSkbW + "*(u64 *)(r10 -32) = 0\nr1 = r10\nr1 += -32\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201\nr0 = *(u64 *)(r7 +0)" + out, "", ""},
	})
}

// TestFieldsThatDoNotFit: a lock or a timer of another size, or at an odd place,
// is none, whatever the types of the map say. The kernel makes no such map.
func TestFieldsThatDoNotFit(t *testing.T) {
	for _, tc := range []struct {
		name      string
		off, size uint32
		code      Code
	}{
		{"bpf_spin_lock", 8, 4, ""},
		{"bpf_spin_lock", 8, 8, BadArgument},
		{"bpf_spin_lock", 10, 4, BadArgument},
	} {
		p, _, _ := construct(t, "xdp", fmt.Sprintf("r1 = map[3][0]+%d\ncall 93\nr1 = map[3][0]+%d\ncall 94", tc.off, tc.off)+out)
		locked := *lockedMap
		locked.Value = valueType(64, fieldAt(tc.off, tc.name, tc.size))
		for i, m := range p.Maps {
			if m == lockedMap {
				p.Maps[i] = &locked
			}
		}
		_, _, err := Verify(context.Background(), p, Options{})
		var e *Error
		if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
			t.Errorf("%s of %d bytes at %d: %v, want %q", tc.name, tc.size, tc.off, err, tc.code)
		}
	}
}

// TestHostileSections: what may be done while a lock is held.
func TestHostileSections(t *testing.T) {
	checkShapes(t, []shape{
		{"iterator under a lock", "xdp", aLock + aNum + "again:\n" + aNumN + "if r0 != 0 goto again\n" + aNumD + aUnlock + out, "", ""},
		{"bits under a lock", "xdp", aLock + "r1 = r10\nr1 += -8\nr2 = map[10][0]+0\nr3 = 1\ncall bpf_iter_bits_new\n" + aBitsD + aUnlock + out, Locked, ""},
		{"dynptr under a lock", "xdp", aLocal + aLock + aData + aUnlock + out, Locked, ""},
		{"loop under a lock", "xdp", aLock + "r6 = 100\nagain:\nr6 += -1\nif r6 s> 0 goto again\n" + aUnlock + out, "", ""},
		{"may_goto under a lock", "xdp", aLock + "again:\nmay_goto l\ngoto again\nl:\n" + aUnlock + out, "", ""},
		{"rcu under a lock", "xdp", aLock + "call bpf_rcu_read_lock\ncall bpf_rcu_read_unlock\n" + aUnlock + out, Locked, ""},
		{"throw under a lock", "sched_cls", aLock + aThrow + aUnlock + out, Locked, ""},
		{"lock under rcu", "xdp", "call bpf_rcu_read_lock\n" + aLock + aUnlock + "call bpf_rcu_read_unlock" + out, "", ""},
		{"lock across an iteration", "xdp", "r6 = 4\nagain:\n" + aLock + "r6 += -1\nif r6 s> 0 goto again\n" + aUnlock + out, Locked, ""},
		{"lock in every iteration", "xdp", "r6 = 4\nagain:\n" + aLock + aUnlock + "r6 += -1\nif r6 s> 0 goto again" + out, "", ""},
		{"lock taken by a callee, released by another", "xdp", "call f\ncall g\nr0 = 0\nexit\nf:\n" + aLock + "r0 = 0\nexit\ng:\n" + aUnlock + "r0 = 0\nexit", "", ""},
		{"lock of the value that a callee looked up", "xdp", "*(u32 *)(r10 -4) = 1\nr1 = r10\nr1 += -4\ncall f\nif r0 == 0 goto out\nr6 = r0\nr6 += 8\nr1 = r6\ncall 93\nr1 = r6\ncall 94\nout:\nr0 = 0\nexit\nf:\nr2 = r1\nr1 = map[4]\ncall 1\nexit", "", ""},
		{"lock: spilled address", "xdp", lookupLocks + "r6 = r0\nr6 += 8\n*(u64 *)(r10 -16) = r6\nr1 = r6\ncall 93\nr1 = *(u64 *)(r10 -16)\ncall 94" + out, "", ""},
		{"lock: value reloaded by the same key", "xdp", lookupLocks + "r6 = r0\nr1 = r6\nr1 += 8\ncall 93\n" + lookupLocks[2:] + "r1 = r0\nr1 += 8\ncall 94" + out, Locked, ""},
		{"lock in a timer's callback", "xdp", startTimer + aLock + aUnlock + "r0 = 0\nexit", "", ""},
		{"lock in a drain's callback", "xdp", aDrainB("", "", aLock+aUnlock), "", ""},
		{"drain under a lock", "xdp", aInit64 + aLock + aDrain + aUnlock + "r0 = 0\nexit\nbody:\nr0 = 0\nexit", Locked, ""},
		{"atomic beside the lock under it", "xdp", aLock + "r1 = map[3][0]+0\nr2 = 1\nlock *(u64 *)(r1 +8) += r2\n" + aUnlock + out, "", ""},
	})
}

// TestHostileCallbacks: callbacks that change their caller's stack.
func TestHostileCallbacks(t *testing.T) {
	checkShapes(t, []shape{
		{"loop: body writes an index into the caller's stack", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -64)\n"+aIdx, "*(u64 *)(r2 +0) = r1\n"), "", "the kernel does not know that an index is below the number of rounds"},
		{"loop: body writes at a variable offset", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -56)\n"+aIdx, "r6 = r2\nr1 &= 15\nr6 += r1\n*(u8 *)(r6 +0) = 255\n"), "", "the kernel does not know that an index is below the number of rounds"},
		{"loop: body leaves a bounded number", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -64)\n"+aIdx, "r3 = *(u64 *)(r2 +0)\nr3 += 1\nr3 &= 63\n*(u64 *)(r2 +0) = r3\n"), "", ""},
		{"loop: body counts to its rounds", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -64)\n"+aIdx, "r3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\n"), OutOfBounds, "the kernel follows each round"},
		{"loop: body makes a pointer a number on some round", "xdp", aInit64 + "*(u64 *)(r10 -64) = r10\n" + aLoop + "r1 = *(u64 *)(r10 -64)\nr0 = *(u64 *)(r1 -64)\nr0 = 0\nexit\nbody:\nif r1 != 3 goto l\n*(u64 *)(r2 +0) = 7\nl:\nr0 = 0\nexit", NotPointer, ""},
		{"loop: nested", "xdp", aInit64 + aLoop + "r1 = *(u64 *)(r10 -64)\n" + aIdx + "r0 = 0\nexit\nbody:\nr3 = r2\nr2 = subprog[inner]\nr1 = 4\nr4 = 0\ncall 181\nr0 = 0\nexit\ninner:\nr3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit", OutOfBounds, "the kernel follows each round"},
		{"loop: nested, bounded", "xdp", aInit64 + aLoop + "r1 = *(u64 *)(r10 -64)\n" + aIdx + "r0 = 0\nexit\nbody:\nr3 = r2\nr2 = subprog[inner]\nr1 = 4\nr4 = 0\ncall 181\nr0 = 0\nexit\ninner:\nr3 = *(u64 *)(r2 +0)\nif r3 > 62 goto l\nr3 += 1\n*(u64 *)(r2 +0) = r3\nl:\nr0 = 0\nexit", "", ""},
		{"loop: context is null", "xdp", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr0 = *(u64 *)(r2 +0)\nr0 = 0\nexit", NotPointer, ""},
		{"loop: result as an index", "xdp", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr1 = r0\n" + aIdx + "r0 = 0\nexit\nbody:\nr0 = 0\nexit", OutOfBounds, ""},
		{"loop: callee-saved registers", "xdp", "r6 = 5\nr1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr1 = r6\n" + aIdx + "r0 = 0\nexit\nbody:\nr6 = 99\nr0 = 0\nexit", "", ""},
		{"loop: body submits what it reserves on one path", "xdp", aLoopB("", "", "r6 = r1\n"+aRb+"if r0 == 0 goto done\nif r6 == 2 goto done\nr1 = r0\nr2 = 0\ncall 132\n"), Unreleased, ""},
	})
}
