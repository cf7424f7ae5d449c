package verifier

import "testing"

// Parts of the programs below.
const (
	aRes    = "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n"
	aRes32  = "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -32\ncall 198\n"
	aLocal  = "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n"
	aSub    = "r1 = r10\nr1 += -16\nr2 = 0\ncall 199\n"
	aSub32  = "r1 = r10\nr1 += -32\nr2 = 0\ncall 199\n"
	aData   = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\n"
	aClone  = "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -32\ncall bpf_dynptr_clone\n"
	aSkb    = "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\n"
	aXdp    = "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_xdp\n"
	aSlice  = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\n"
	aSliceW = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice_rdwr\n"
	aNum    = "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n"
	aNumN   = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n"
	aNumD   = "r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\n"
	atomics = "the kernel leaves it to the processor whether an atomic operation may be misaligned, as it is where a slice begins anywhere"
	aRb     = "r1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\n"
	aLoop   = "r1 = 4\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 181\n"
	aInit64 = "*(u64 *)(r10 -64) = 0\n*(u64 *)(r10 -56) = 0\n*(u64 *)(r10 -48) = 0\n*(u64 *)(r10 -40) = 0\n"
	aDrain  = "r1 = map[14]\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 209\n"
)

// aDrainB drains a user ring buffer with body, after pre and before post.
func aDrainB(pre, post, body string) string {
	return aInit64 + pre + aDrain + post + "out:\nr0 = 0\nexit\nbody:\n" + body + "done:\nr0 = 0\nexit"
}

// aLoopB is the same for four rounds of body.
func aLoopB(pre, post, body string) string {
	return aInit64 + pre + aLoop + post + "out:\nr0 = 0\nexit\nbody:\n" + body + "done:\nr0 = 0\nexit"
}

// aLookup leaves the address of a value of map m in register to.
func aLookup(m, key, to string) string {
	return "*(u32 *)(r10 -4) = " + key + "\nr2 = r10\nr2 += -4\nr1 = map[" + m + "]\ncall 1\nif r0 == 0 goto out\n" + to + " = r0\n"
}

// TestHostile has programs that try what dynptrs, iterators and callbacks forbid:
// to use what has ended, twice, in part, from another frame or a later round.
func TestHostile(t *testing.T) {
	checkShapes(t, []shape{
		{"drain: slice kept, its dynptr out of reach", "xdp", aDrainB("", "r1 = *(u64 *)(r10 -64)\nif r1 == 0 goto out\nr0 = *(u64 *)(r1 +0)\n", "r6 = r2\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto done\n*(u64 *)(r6 +0) = r0\ncall 7\nif r0 == 5 goto end\nr6 = 1\nend:\nr0 = 1\nexit\n"), NotPointer, ""},
		{"drain: slice of a clone kept", "xdp", aDrainB("", "r1 = *(u64 *)(r10 -64)\nif r1 == 0 goto out\nr0 = *(u64 *)(r1 +0)\n", "r6 = r2\nr2 = r10\nr2 += -16\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto done\n*(u64 *)(r6 +0) = r0\nr0 = 1\nexit\n"), NotPointer, ""},
		{"drain: clone into the caller's frame, made before", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -64\ncall 197\n" + aDrain + "r1 = r10\nr1 += -64\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nout:\nr0 = 0\nexit\nbody:\ncall bpf_dynptr_clone\nr0 = 0\nexit", BadArgument, "the kernel forgets that the record goes, and with it what the clone is of"},
		{"drain: dynptr kept", "xdp", aDrainB("", "r1 = *(u64 *)(r10 -64)\nif r1 == 0 goto out\nr2 = 0\nr3 = 8\ncall 203\n", "*(u64 *)(r2 +0) = r1\n"), BadArgument, ""},
		{"drain: dynptr kept to the next round", "xdp", aDrainB("", "", "r6 = r1\nr7 = r2\nr1 = *(u64 *)(r2 +0)\nif r1 == 0 goto keep\nr2 = 0\nr3 = 8\ncall 203\nkeep:\n*(u64 *)(r7 +0) = r6\n"), BadArgument, ""},
		{"drain: dynptr read as memory", "xdp", aDrainB("", "", "r0 = *(u64 *)(r1 +0)\n"), BadPointer, ""},
		{"drain: dynptr written", "xdp", aDrainB("", "", "*(u64 *)(r1 +0) = 0\n"), BadPointer, ""},
		{"drain: dynptr moved", "xdp", aDrainB("", "", "r1 += 8\nr2 = 0\nr3 = 8\ncall 203\n"), BadArithmetic, ""},
		{"drain: dynptr submitted", "xdp", aDrainB("", "", "r2 = 0\ncall 199\n"), BadArgument, ""},
		{"drain: dynptr remade", "xdp", aDrainB("", "", "r4 = r1\nr1 = map[10][0]+0\nr2 = 8\nr3 = 0\ncall 197\n"), BadArgument, ""},
		{"drain: record written", "xdp", aDrainB("", "", "r2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto done\n*(u64 *)(r0 +0) = 1\n"), "", ""},
		{"drain: record past the slice", "xdp", aDrainB("", "", "r2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto done\nr1 = *(u64 *)(r0 +8)\n"), OutOfBounds, ""},
		{"drain: returns 2", "xdp", aInit64 + aDrain + "r0 = 0\nexit\nbody:\nr0 = 2\nexit", BadReturn, ""},
		{"drain: leaks a reservation", "xdp", aDrainB("", "", aRb), Unreleased, ""},
		{"drain: other map", "xdp", "r1 = map[2]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 209\nr0 = 0\nexit\nbody:\nr0 = 0\nexit", BadArgument, ""},
		{"drain: lookup in its map", "xdp", aLookup("14", "0", "r6") + out, BadArgument, ""},
		{"drain: reservation output to its map", "xdp", "r1 = map[14]\nr2 = 8\nr3 = 0\ncall 131\nr1 = r0\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"drain: read to its own context", "xdp", aDrainB("", "", "r3 = r1\nr1 = r2\nr2 = 8\nr4 = 0\nr5 = 0\ncall 201\n"), "", ""},
		{"loop: context's reservation submitted by the body", "xdp", aInit64 + aRb + "if r0 == 0 goto out\n*(u64 *)(r10 -64) = r0\n" + aLoop + "out:\nr0 = 0\nexit\nbody:\nr1 = *(u64 *)(r2 +0)\nr2 = 0\ncall 132\nr0 = 0\nexit", Unreleased, ""},
		{"loop: reservation submitted and made anew", "xdp", aInit64 + aRb + "if r0 == 0 goto out\n*(u64 *)(r10 -64) = r0\n" + aLoop + "r1 = *(u64 *)(r10 -64)\nr2 = 0\ncall 132\nout:\nr0 = 0\nexit\nbody:\nr6 = r2\nr1 = *(u64 *)(r2 +0)\nr2 = 0\ncall 132\n" + aRb + "*(u64 *)(r6 +0) = r0\nr0 = 0\nexit", NullPointer, ""},
		{"loop: dynptr of the caller submitted by the body", "xdp", aInit64 + "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -64\ncall 198\n" + aLoop + "r0 = 0\nexit\nbody:\nr1 = r2\nr2 = 0\ncall 199\nr0 = 0\nexit", Unreleased, ""},
		{"loop: dynptr of the caller remade by the body", "xdp", aInit64 + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -64\ncall 197\nr1 = r10\nr1 += -64\nr2 = 0\nr3 = 8\ncall 203\nr7 = r0\n" + aLoop + "if r7 == 0 goto out\n*(u64 *)(r7 +0) = 1\nout:\nr0 = 0\nexit\nbody:\nr4 = r2\nr1 = map[10][0]+0\nr2 = 4\nr3 = 0\ncall 197\nr0 = 0\nexit", NotPointer, ""},
		{"loop: dynptr of the caller overwritten by the body", "xdp", "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -64\ncall 198\n" + aLoop + "r1 = r10\nr1 += -64\nr2 = 0\ncall 199\nr0 = 0\nexit\nbody:\n*(u64 *)(r2 +8) = 0\nr0 = 0\nexit", BadPointer, ""},
		{"loop: local dynptr overwritten by the body, then used", "xdp", "r1 = map[10][0]+0\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -64\ncall 197\n" + aLoop + "r1 = r10\nr1 += -64\nr2 = 0\nr3 = 8\ncall 203\nr0 = 0\nexit\nbody:\n*(u64 *)(r2 +8) = 0\nr0 = 0\nexit", BadArgument, ""},
		{"loop: iterator destroyed by the body", "xdp", "r1 = r10\nr1 += -64\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n" + aLoop + "r0 = 0\nexit\nbody:\nr1 = r2\ncall bpf_iter_num_destroy\nr0 = 0\nexit", Unreleased, ""},
		{"loop: iterator advanced by the body", "xdp", "r1 = r10\nr1 += -64\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\n" + aLoop + "r1 = r10\nr1 += -64\ncall bpf_iter_num_destroy\nr0 = 0\nexit\nbody:\nr1 = r2\ncall bpf_iter_num_next\nr0 = 0\nexit", "", ""},
		{"loop: body makes the caller's iterator", "xdp", aInit64 + "r1 = 1\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 181\nr1 = r10\nr1 += -64\ncall bpf_iter_num_destroy\nr0 = 0\nexit\nbody:\nr1 = r2\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr0 = 1\nexit", Unreleased, ""},
		{"loop: body enters rcu", "xdp", aLoopB("", "", "call bpf_rcu_read_lock\n"), Locked, ""},
		{"loop: body leaves rcu", "xdp", aLoopB("call bpf_rcu_read_lock\n", "", "call bpf_rcu_read_unlock\n"), Locked, ""},
		{"loop: body leaves rcu and stops", "xdp", aInit64 + "call bpf_rcu_read_lock\nr1 = 1\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\ncall bpf_rcu_read_unlock\nr0 = 0\nexit\nbody:\ncall bpf_rcu_read_unlock\nr0 = 1\nexit", Locked, ""},
		{"loop: body disables preemption", "xdp", aLoopB("", "", "call bpf_preempt_disable\n"), Limit, ""},
		{"loop: body balances preemption", "xdp", aLoopB("", "", "call bpf_preempt_disable\ncall bpf_preempt_enable\n"), "", ""},
		{"loop: body leaves the address of its stack", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -64)\n*(u64 *)(r1 -8) = 1\n", "*(u64 *)(r2 +0) = r10\n"), Leak, ""},
		{"loop: body leaves the address of its stack by exchange", "xdp", aLoopB("", "r1 = *(u64 *)(r10 -64)\n*(u64 *)(r1 -8) = 1\n", "r1 = r10\nr1 = xchg_64(r2 + 0, r1)\n"), NotPointer, ""},
		{"loop: body overwrites a spilled pointer", "xdp", aInit64 + "*(u64 *)(r10 -64) = r10\n" + aLoop + "r1 = *(u64 *)(r10 -64)\n*(u64 *)(r1 -8) = 1\nr0 = 0\nexit\nbody:\n*(u8 *)(r2 +3) = 0\nr0 = 0\nexit", NotPointer, ""},
		{"loop: rounds unknown, index used", "xdp", "call 7\nr1 = r0\nr1 &= 63\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nr0 = 0\nexit", "", "the kernel does not know that an index is below the number of rounds"},
		{"loop: rounds up to 65, index used", "xdp", "call 7\nr1 = r0\nr1 &= 127\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nr0 = 0\nexit", OutOfBounds, ""},
		{"for each: value kept past the walk", "xdp", aInit64 + "r1 = map[1]\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 164\nr1 = *(u64 *)(r10 -64)\nif r1 == 0 goto out\n*(u64 *)(r1 +0) = 1\nout:\nr0 = 0\nexit\nbody:\n*(u64 *)(r4 +0) = r3\nr0 = 0\nexit", "", ""},
		{"for each: key kept past the walk", "xdp", aInit64 + "r1 = map[1]\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 164\nr1 = *(u64 *)(r10 -64)\nif r1 == 0 goto out\nr0 = *(u64 *)(r1 +0)\nout:\nr0 = 0\nexit\nbody:\n*(u64 *)(r4 +0) = r2\nr0 = 0\nexit", "", ""},
		{"for each: lock of one value, unlocked in the next", "xdp", "r1 = map[4]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nr0 = 0\nexit\nbody:\nr1 = r3\nr1 += 8\ncall 93\nr0 = 0\nexit", Locked, ""},
		{"for each: map of locks, value's lock taken", "xdp", "r1 = map[4]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nr0 = 0\nexit\nbody:\nr6 = r3\nr6 += 8\nr1 = r6\ncall 93\nr1 = r6\ncall 94\nr0 = 0\nexit", "", ""},
		{"legacy load ends a callback that holds", "sched_cls", "r6 = r1\n*(u64 *)(r10 -64) = r6\nr1 = 1\nr2 = subprog[body]\nr3 = r10\nr3 += -64\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr6 = *(u64 *)(r2 +0)\nr1 = map[2]\nr2 = 8\nr3 = 0\ncall 131\nr7 = r0\nr0 = *(u8 *)skb[0]\nif r7 == 0 goto l\nr1 = r7\nr2 = 0\ncall 132\nl:\nr0 = 0\nexit", Unreleased, ""},
		{"dynptr: overwritten in its second half by a byte, then submitted", "xdp", aRes + "*(u8 *)(r10 -1) = 0\n" + aSub + out, BadPointer, ""},
		{"dynptr: overwritten at a variable offset", "xdp", aLocal + "call 7\nr0 &= 15\nr1 = r10\nr1 += -16\nr1 += r0\n*(u8 *)(r1 +0) = 1\n" + aData + out, BadPointer, ""},
		{"dynptr: reservation overwritten at a variable offset", "xdp", aRes + "call 7\nr0 &= 15\nr1 = r10\nr1 += -24\nr1 += r0\n*(u8 *)(r1 +0) = 0\n" + aSub + out, BadPointer, ""},
		{"dynptr: read at a variable offset", "xdp", aRes + "call 7\nr0 &= 8\nr1 = r10\nr1 += -16\nr1 += r0\nr6 = *(u64 *)(r1 +0)\n" + aSub + out, BadPointer, ""},
		{"dynptr: helper writes over it", "xdp", aRes + "r1 = r10\nr1 += -24\nr2 = 16\nr3 = 0\ncall 113\n" + aSub + out, BadPointer, ""},
		{"dynptr: helper writes a variable size over it", "xdp", aRes + "call 7\nr2 = r0\nr2 &= 15\nr1 = r10\nr1 += -24\nr3 = 0\ncall 113\n" + aSub + out, BadPointer, ""},
		{"dynptr: helper reads it as a key", "xdp", aLocal + "r2 = r10\nr2 += -16\nr1 = map[1]\ncall 1" + out, BadPointer, ""},
		{"dynptr: callee overwrites the caller's", "xdp", aRes + "r1 = r10\nr1 += -16\ncall f\n" + aSub + "r0 = 0\nexit\nf:\n*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", BadPointer, ""},
		{"dynptr: callee submits the caller's", "xdp", aRes + "r1 = r10\nr1 += -16\ncall f\nr0 = 0\nexit\nf:\nr2 = 0\ncall 199\nr0 = 0\nexit", "", ""},
		{"dynptr: callee submits the caller's, caller again", "xdp", aRes + "r1 = r10\nr1 += -16\ncall f\n" + aSub + "r0 = 0\nexit\nf:\nr2 = 0\ncall 199\nr0 = 0\nexit", BadArgument, ""},
		{"dynptr: left in a callee's frame", "xdp", "call f\nr0 = 0\nexit\nf:\n" + aRes + "r0 = 0\nexit", Unreleased, ""},
		{"dynptr: local left in a callee's frame, found by another", "xdp", "call f\ncall g\nr0 = 0\nexit\nf:\n" + aLocal + "r0 = 0\nexit\ng:\n" + aData + "r0 = 0\nexit", BadArgument, ""},
		{"dynptr: made in the caller's frame by a callee", "xdp", "r1 = r10\nr1 += -16\ncall f\n" + aSub + "r0 = 0\nexit\nf:\nr4 = r1\nr1 = map[2]\nr2 = 64\nr3 = 0\ncall 198\nr0 = 0\nexit", "", ""},
		{"dynptr: copied by words", "xdp", aRes + "r1 = *(u64 *)(r10 -16)\n*(u64 *)(r10 -32) = r1\nr1 = *(u64 *)(r10 -8)\n*(u64 *)(r10 -24) = r1\n" + aSub32 + out, BadPointer, ""},
		{"dynptr: atomic on it", "xdp", aLocal + "r1 = 1\nlock *(u64 *)(r10 -16) += r1\n" + aData + out, BadPointer, ""},
		{"dynptr: exchanged", "xdp", aLocal + "r1 = 1\nr1 = xchg_64(r10 - 8, r1)\n" + aData + out, BadPointer, ""},
		{"dynptr: iterator over half of it", "xdp", aLocal + aNum + aNumD + aData + out, BadArgument, ""},
		{"dynptr: iterator over half of it, used no more", "xdp", aLocal + aNum + aNumD + out, "", ""},
		{"dynptr: bits over two of them", "xdp", aLocal + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -32\ncall 197\nr1 = r10\nr1 += -24\nr2 = map[10][0]+0\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -24\ncall bpf_iter_bits_destroy" + out, "", ""},
		{"dynptr: iterator over half of a reservation", "xdp", aRes + aNum + aNumD + aSub + out, BadArgument, ""},
		{"dynptr: iterator over half of it, whose slice is used", "xdp", aLocal + aData + "r6 = r0\n" + aNum + aNumD + "if r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"dynptr: made over an iterator", "xdp", aNum + aLocal + aNumD + out, BadArgument, ""},
		{"dynptr: made over half of another", "xdp", aLocal + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\n" + aData + out, BadArgument, ""},
		{"dynptr: made over half of another, which is used no more", "xdp", aLocal + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\nr1 = r10\nr1 += -24\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + out, "", ""},
		{"dynptr: made over halves of two", "xdp", aLocal + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -32\ncall 197\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\nr1 = r10\nr1 += -24\nr2 = 0\nr3 = 8\ncall 203" + out, "", ""},
		{"dynptr: made over half of another, whose slice is used", "xdp", aLocal + aData + "r6 = r0\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\nif r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"dynptr: made over half of a reservation", "xdp", aRes + "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197\n" + aSub + out, BadArgument, ""},
		{"dynptr: cloned over half of itself", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -24\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -24\nr2 = 0\nr3 = 8\ncall 203" + out, "", ""},
		{"dynptr: reservation cloned over half of itself", "xdp", aRes + "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -24\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -24\nr2 = 0\ncall 199" + out, BadArgument, ""},
		{"dynptr: reserved over half of another", "xdp", aRes + "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -24\ncall 198\n" + out, BadArgument, ""},
		{"dynptr: beyond the frame", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -8\ncall 197" + out, BadArgument, ""},
		{"dynptr: below the frame", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -520\ncall 197" + out, BadArgument, ""},
		{"dynptr: at the frame's bottom", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -512\ncall 197" + out, "", ""},
		{"dynptr: at a variable offset", "xdp", "call 7\nr0 &= 8\nr4 = r10\nr4 += -32\nr4 += r0\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\ncall 197" + out, BadArgument, ""},
		{"dynptr: misaligned", "xdp", "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -20\ncall 197" + out, BadArgument, ""},
		{"dynptr: memory too large", "xdp", "r1 = map[10][0]+0\nr2 = 65\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, OutOfBounds, ""},
		{"dynptr: size unknown", "xdp", "call 7\nr2 = r0\nr1 = map[10][0]+0\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, BadArgument, ""},
		{"dynptr: over a map to be read", "xdp", "r1 = map[12][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, ReadOnly, ""},
		{"dynptr: over a lock", "xdp", "r1 = map[3][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, BadPointer, ""},
		{"dynptr: over what is beside a lock", "xdp", "r1 = map[3][0]+8\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, "", ""},
		{"dynptr: over a value that may be null", "xdp", "*(u32 *)(r10 -20) = 1\nr2 = r10\nr2 += -20\nr1 = map[4]\ncall 1\nr1 = r0\nr2 = 4\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, NullPointer, ""},
		{"dynptr: over the packet", "xdp", "r6 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr1 = r6\nr1 += 14\nif r1 > r2 goto out\nr1 = r6\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, BadArgument, ""},
		{"dynptr: over a reservation", "xdp", aRb + "if r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\nr1 = r6\nr2 = 0\ncall 132\n" + aData + out, BadArgument, ""},
		{"dynptr: kinds differ by path", "xdp", "r6 = r1\ncall 7\nif r0 == 5 goto other\n" + aRes + "goto both\nother:\n" + aLocal + "both:\n" + aSub + out, BadArgument, ""},
		{"dynptr: there on one path", "xdp", "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\ncall 7\nif r0 == 5 goto both\n" + aLocal + "both:\n" + aData + out, BadArgument, ""},
		{"dynptr: reserved on one path", "xdp", "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\ncall 7\nif r0 == 5 goto both\n" + aRes + "both:\n" + aSub + out, BadArgument, ""},
		{"dynptr: clone or another reservation by path", "xdp", "call 7\nr6 = r0\n" + aRes + "if r6 == 5 goto other\n" + aClone + "goto both\nother:\n" + aRes32 + "both:\n" + aSub + out, Unreleased, ""},
		{"dynptr: clone or another reservation by path, both submitted", "xdp", "call 7\nr6 = r0\n" + aRes + "if r6 == 5 goto other\n" + aClone + "goto both\nother:\n" + aRes32 + "both:\n" + aSub + aSub32 + out, BadArgument, ""},
		{"dynptr: slices of two, one submitted", "xdp", aRes + aRes32 + aData + "r6 = r0\n" + aSub + "if r6 == 0 goto no\n*(u64 *)(r6 +0) = 1\nno:\n" + aSub32 + out, NotPointer, ""},
		{"dynptr: slices of two, the other submitted", "xdp", aRes + aRes32 + aData + "r6 = r0\n" + aSub32 + "if r6 == 0 goto no\n*(u64 *)(r6 +0) = 1\nno:\n" + aSub + out, "", ""},
		{"dynptr: slice of one or of the other", "xdp", "call 7\nr7 = r0\n" + aRes + aRes32 + "r1 = r10\nr1 += -16\nif r7 == 5 goto +1\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\nr6 = r0\n" + aSub + "if r6 == 0 goto no\n*(u64 *)(r6 +0) = 1\nno:\n" + aSub32 + out, NotPointer, ""},
		{"dynptr: two slices of one", "xdp", aRes + aData + "r6 = r0\n" + aData + "r7 = r0\n" + aSub + "if r6 == 0 goto out\nif r7 == 0 goto out\n*(u64 *)(r7 +0) = 1" + out, NotPointer, ""},
		{"dynptr: slice spilled, restored after the submission", "xdp", aRes + aData + "*(u64 *)(r10 -40) = r0\n" + aSub + "r6 = *(u64 *)(r10 -40)\nif r6 == 0 goto out\n*(u64 *)(r6 +0) = 1" + out, NotPointer, ""},
		{"dynptr: slice in a callee's caller after the callee submitted", "xdp", aRes + aData + "r6 = r0\nif r6 == 0 goto no\nr1 = r10\nr1 += -16\ncall f\n*(u64 *)(r6 +0) = 1\nr0 = 0\nexit\nno:\n" + aSub + "r0 = 0\nexit\nf:\nr2 = 0\ncall 199\nr0 = 0\nexit", NotPointer, ""},
		{"dynptr: clone's clone's slice after the first's submission", "xdp", aRes + aClone + "r1 = r10\nr1 += -32\nr2 = r10\nr2 += -48\ncall bpf_dynptr_clone\nr1 = r10\nr1 += -48\nr2 = 0\nr3 = 8\ncall 203\nr7 = r0\n" + aSub + "if r7 == 0 goto out\n*(u64 *)(r7 +0) = 1" + out, NotPointer, ""},
		{"dynptr: clone's clone after the middle's submission", "xdp", aRes + aClone + "r1 = r10\nr1 += -32\nr2 = r10\nr2 += -48\ncall bpf_dynptr_clone\n" + aSub32 + "r1 = r10\nr1 += -48\nr2 = 0\nr3 = 8\ncall 203" + out, BadArgument, ""},
		{"dynptr: cloned onto itself", "xdp", aRes + "r1 = r10\nr1 += -16\nr2 = r1\ncall bpf_dynptr_clone\n" + aSub + out, BadArgument, ""},
		{"dynptr: local cloned onto itself", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = r1\ncall bpf_dynptr_clone\n" + aData + out, "", ""},
		{"dynptr: clone in a callee's frame left", "xdp", aRes + "r1 = r10\nr1 += -16\ncall f\n" + aSub + "r0 = 0\nexit\nf:\nr2 = r10\nr2 += -16\ncall bpf_dynptr_clone\nr0 = 0\nexit", "", ""},
		{"dynptr: discarded by the wrong kind of release", "xdp", aRes + "r1 = r10\nr1 += -16\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"dynptr: slice submitted as a reservation", "xdp", aRes + aData + "if r0 == 0 goto no\nr1 = r0\nr2 = 0\ncall 132\nno:\n" + aSub + out, BadArgument, ""},
		{"dynptr: held at a tail call", "xdp", "r6 = r1\n" + aRes + "r1 = r6\nr2 = map[7]\nr3 = 0\ncall 12\n" + aSub + out, Unreleased, ""},
		{"dynptr: held at a throw", "sched_cls", aRes + "r1 = 0\ncall bpf_throw\nexit", Unreleased, ""},
		{"dynptr: of the packet held at a throw", "sched_cls", aSkb + "r1 = 0\ncall bpf_throw\nexit", "", ""},
		{"dynptr: read into the packet", "xdp", "r7 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr3 = r7\nr3 += 14\nif r3 > r2 goto out\n" + aLocal + "r1 = r7\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201" + out, BadArgument, ""},
		{"dynptr: read past the stack", "xdp", aLocal + "r1 = r10\nr1 += -40\nr2 = 48\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201" + out, OutOfBounds, ""},
		{"dynptr: read of an unknown size, then the bytes as an index", "xdp", "*(u64 *)(r10 -40) = 0\n" + aLocal + "call 7\nr2 = r0\nr2 &= 7\nr1 = r10\nr1 += -40\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201\nr1 = *(u64 *)(r10 -40)\nr2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)" + out, OutOfBounds, ""},
		{"dynptr: read over a spilled pointer", "xdp", "*(u64 *)(r10 -40) = r10\n" + aLocal + "r1 = r10\nr1 += -40\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201\nr1 = *(u64 *)(r10 -40)\n*(u64 *)(r1 -48) = 1" + out, NotPointer, ""},
		{"dynptr: written from a slice of itself", "xdp", aLocal + aData + "if r0 == 0 goto out\nr3 = r0\nr1 = r10\nr1 += -16\nr2 = 4\nr4 = 8\nr5 = 0\ncall 202" + out, "", ""},
		{"dynptr: slice of 2^32 + 8 bytes", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 0x100000008 ll\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr1 = *(u64 *)(r0 +8)" + out, BadArgument, ""},
		{"dynptr: slice longer than its buffer", "xdp", aXdp + "*(u64 *)(r10 -32) = 0\n*(u64 *)(r10 -24) = 0\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -32\nr4 = 17\ncall bpf_dynptr_slice" + out, BadPointer, ""},
		{"dynptr: slice's buffer written by spilling", "xdp", "*(u64 *)(r10 -24) = 0\n" + aXdp + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -24\nr4 = 8\ncall bpf_dynptr_slice_rdwr\nif r0 == 0 goto out\n*(u64 *)(r10 -24) = r10\n*(u64 *)(r0 +0) = 1\nr1 = *(u64 *)(r10 -24)\n*(u64 *)(r1 -40) = 2" + out, "", ""},
		{"dynptr: slice's buffer is to be read", "xdp", aXdp + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = map[12][0]+0\nr4 = 8\ncall bpf_dynptr_slice" + out, ReadOnly, ""},
		{"dynptr: packet slice past its end by a variable", "xdp", aXdp + aSliceW + "if r0 == 0 goto out\nr6 = r0\ncall 7\nr0 &= 7\nr6 += r0\n*(u16 *)(r6 +0) = 1" + out, OutOfBounds, ""},
		{"dynptr: packet slice before its begin", "xdp", aXdp + aSliceW + "if r0 == 0 goto out\n*(u8 *)(r0 -1) = 1" + out, OutOfBounds, ""},
		{"dynptr: packet slice as data's end", "xdp", aXdp + aSliceW + "if r0 == 0 goto out\nr2 = *(u32 *)(r6 +4)\nr3 = r0\nr3 += 20\nif r3 > r2 goto out\n*(u8 *)(r0 +16) = 1" + out, OutOfBounds, ""},
		{"dynptr: packet slice, atomic", "xdp", aXdp + aSliceW + "if r0 == 0 goto out\nr1 = 1\nlock *(u64 *)(r0 +0) += r1" + out, Misaligned, atomics},
		{"dynptr: slice, atomic", "xdp", aLocal + aData + "if r0 == 0 goto out\nr1 = 1\nlock *(u64 *)(r0 +0) += r1" + out, Misaligned, atomics},
		{"dynptr: slice, acquired", "xdp", aLocal + aData + "if r0 == 0 goto out\nr1 = load_acquire((u64 *)(r0 +0))" + out, Misaligned, atomics},
		{"dynptr: slice, a byte acquired", "xdp", aLocal + aData + "if r0 == 0 goto out\nr1 = load_acquire((u8 *)(r0 +1))" + out, "", ""},
		{"dynptr: drain's record, atomic", "xdp", aDrainB("", "", "r2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto done\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n"), Misaligned, atomics},
		{"reservation, atomic", "xdp", aRb + "if r0 == 0 goto out\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\nr1 = r0\nr2 = 0\ncall 132" + out, "", ""},
		{"dynptr: packet slice kept by a subprogram that moves the packet", "xdp", aXdp + aSliceW + "r7 = r0\nif r7 == 0 goto out\nr1 = r6\ncall f\n*(u64 *)(r7 +0) = 1\nout:\nr0 = 0\nexit\nf:\nr2 = 0\ncall 44\nr0 = 0\nexit", NotPointer, ""},
		{"dynptr: packet slice across a tail call of a subprogram", "xdp", aXdp + aSliceW + "r7 = r0\nif r7 == 0 goto out\nr1 = r6\ncall f\n*(u64 *)(r7 +0) = 1\nout:\nr0 = 0\nexit\nf:\nr2 = map[7]\nr3 = 0\ncall 12\nr0 = 0\nexit", NotPointer, ""},
		{"dynptr: packet slice in a callback that moves the packet", "xdp", aInit64 + "*(u64 *)(r10 -64) = r1\n" + aXdp + aSliceW + "r7 = r0\nif r7 == 0 goto out\n" + aLoop + "*(u64 *)(r7 +0) = 1\nout:\nr0 = 0\nexit\nbody:\nr1 = *(u64 *)(r2 +0)\nr2 = 0\ncall 44\nr0 = 0\nexit", NotPointer, ""},
		{"dynptr: slice of the clone after the packet moved", "xdp", aXdp + aClone + "r1 = r10\nr1 += -32\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice_rdwr\nr7 = r0\nif r7 == 0 goto out\nr1 = r6\nr2 = 0\ncall 44\n*(u64 *)(r7 +0) = 1" + out, NotPointer, ""},
		{"dynptr: slice of skb's clone after a write through the original", "sched_cls", "*(u64 *)(r10 -40) = 0\n" + aSkb + aClone + "r1 = r10\nr1 += -32\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nr7 = r0\nif r7 == 0 goto out\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\nr5 = 0\ncall 202\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"dynptr: slice of skb after a write to a map's value", "sched_cls", "*(u64 *)(r10 -40) = 0\n" + aSkb + aSlice + "r7 = r0\nif r7 == 0 goto out\nr1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -32\ncall 197\nr1 = r10\nr1 += -32\nr2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\nr5 = 0\ncall 202\nr0 = *(u64 *)(r7 +0)" + out, "", ""},
		{"dynptr: packet slice read while the packet is written to by csum", "sched_cls", aSkb + aSlice + "r7 = r0\nif r7 == 0 goto out\nr1 = r6\nr2 = 0\nr3 = 0\nr4 = 1\nr5 = 2\ncall 10\nr0 = *(u64 *)(r7 +0)" + out, NotPointer, ""},
		{"dynptr: context moved", "xdp", "r1 += 4\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_xdp" + out, BadArgument, ""},
		{"dynptr: in a map", "xdp", "r4 = map[10][0]+0\nr1 = map[10][0]+0\nr2 = 8\nr3 = 0\ncall 197" + out, BadArgument, ""},
		{"dynptr: a loop that reserves and submits", "xdp", "r6 = 0\nagain:\n" + aRes + aSub + "r6 += 1\nif r6 < 1000 goto again" + out, "", ""},
		{"dynptr: a loop that reserves", "xdp", "r6 = 0\nagain:\n" + aRes + "r6 += 1\nif r6 < 10 goto again\n" + aSub + out, BadArgument, ""},
		{"dynptr: a loop that submits", "xdp", aRes + "r6 = 0\nagain:\n" + aSub + "r6 += 1\nif r6 < 10 goto again" + out, BadArgument, ""},
		{"dynptr: slice kept round the loop", "xdp", "r6 = 0\nr7 = 0\nagain:\nif r7 == 0 goto l\n*(u64 *)(r7 +0) = 1\nl:\n" + aRes + aData + "r7 = r0\n" + aSub + "r6 += 1\nif r6 < 10 goto again" + out, NotPointer, ""},
		{"dynptr: local slice kept round the loop", "xdp", "r6 = 0\nr7 = 0\nagain:\nif r7 == 0 goto l\n*(u64 *)(r7 +0) = 1\nl:\n" + aLocal + aData + "r7 = r0\nr6 += 1\nif r6 < 10 goto again" + out, "", ""},
		{"iter: copied by words", "xdp", aNum + "r1 = *(u64 *)(r10 -8)\n*(u64 *)(r10 -16) = r1\n" + aNumD + out, BadPointer, ""},
		{"iter: next after destroy", "xdp", aNum + aNumD + aNumN + out, BadArgument, ""},
		{"iter: leaked by a callee", "xdp", "call f\nr0 = 0\nexit\nf:\n" + aNum + "r0 = 0\nexit", Unreleased, ""},
		{"iter: destroyed by a callee", "xdp", aNum + "r1 = r10\nr1 += -8\ncall f\nr0 = 0\nexit\nf:\ncall bpf_iter_num_destroy\nr0 = 0\nexit", "", ""},
		{"iter: destroyed by a callee and again", "xdp", aNum + "r1 = r10\nr1 += -8\ncall f\n" + aNumD + "r0 = 0\nexit\nf:\ncall bpf_iter_num_destroy\nr0 = 0\nexit", BadArgument, ""},
		{"iter: made by a callee", "xdp", "r1 = r10\nr1 += -8\ncall f\n" + aNumD + "r0 = 0\nexit\nf:\nr2 = 0\nr3 = 5\ncall bpf_iter_num_new\nr0 = 0\nexit", "", ""},
		{"iter: made by a callee on one path", "xdp", "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\ncall f\n" + aNumD + "r0 = 0\nexit\nf:\nr6 = r1\ncall 7\nif r0 == 5 goto l\nr1 = r6\nr2 = 0\nr3 = 5\ncall bpf_iter_num_new\nl:\nr0 = 0\nexit", BadArgument, ""},
		{"iter: destroyed on one path", "xdp", aNum + "call 7\nif r0 == 5 goto out\n" + aNumD + out, Unreleased, ""},
		{"iter: number kept past the end", "xdp", aNum + aNumN + "if r0 == 0 goto no\nr6 = r0\n" + aNumD + "r0 = *(u32 *)(r6 +0)\ngoto out\nno:\n" + aNumD + out, NotPointer, ""},
		{"iter: number as memory a helper writes", "xdp", aNum + aNumN + "if r0 == 0 goto no\nr1 = r0\nr2 = 4\nr3 = 0\ncall 113\nno:\n" + aNumD + out, ReadOnly, ""},
		{"iter: two numbers at once", "xdp", aNum + aNumN + "if r0 == 0 goto no\nr6 = r0\n" + aNumN + "if r0 == 0 goto no\nr1 = *(u32 *)(r6 +0)\nr1 = *(u32 *)(r0 +0)\nno:\n" + aNumD + out, "", ""},
		{"iter: overwritten by a callee", "xdp", aNum + "r1 = r10\nr1 += -8\ncall f\n" + aNumD + "r0 = 0\nexit\nf:\n*(u64 *)(r1 +0) = 0\nr0 = 0\nexit", BadPointer, ""},
		{"iter: atomic on it", "xdp", aNum + "r1 = 1\nlock *(u64 *)(r10 -8) += r1\n" + aNumD + out, BadPointer, ""},
		{"iter: zeroed at a variable offset", "xdp", "*(u64 *)(r10 -16) = 0\n" + aNum + "call 7\nr0 &= 15\nr1 = r10\nr1 += -16\nr1 += r0\n*(u8 *)(r1 +0) = 0\n" + aNumD + out, BadPointer, ""},
		{"iter: held at a throw", "sched_cls", aNum + "r1 = 0\ncall bpf_throw\nexit", Unreleased, ""},
		{"iter: held at a tail call", "xdp", "r6 = r1\n" + aNum + "r1 = r6\nr2 = map[7]\nr3 = 0\ncall 12\n" + aNumD + out, Unreleased, ""},
		{"iter: next in a callee's loop", "xdp", aNum + "again:\nr1 = r10\nr1 += -8\ncall f\nif r0 != 0 goto again\n" + aNumD + "r0 = 0\nexit\nf:\ncall bpf_iter_num_next\nif r0 == 0 goto no\nr0 = 1\nexit\nno:\nr0 = 0\nexit", "", ""},
		{"iter: bits in the place of a number's", "xdp", aNum + "r1 = r10\nr1 += -16\nr2 = map[10][0]+0\nr3 = 1\ncall bpf_iter_bits_new\n" + aNumD + out, BadArgument, ""},
		{"iter: bits destroyed as numbers", "xdp", "r1 = r10\nr1 += -16\nr2 = map[10][0]+0\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_num_destroy" + out, BadArgument, ""},
		{"iter: bits of 2^32 + 8 words", "xdp", "r3 = 0x100000008 ll\nr1 = r10\nr1 += -16\nr2 = map[10][0]+0\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, "", ""},
		{"iter: bits of itself", "xdp", "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -16\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, "", ""},
		{"iter: bits of the packet", "xdp", "r6 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr1 = r6\nr1 += 8\nif r1 > r2 goto out\nr1 = r10\nr1 += -16\nr2 = r6\nr3 = 1\ncall bpf_iter_bits_new\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy" + out, "", ""},
	})
}
