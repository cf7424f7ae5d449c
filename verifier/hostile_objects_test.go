package verifier

import "testing"

// TestHostileSockets: sockets: what ends with what, and who owns it.
func TestHostileSockets(t *testing.T) {
	const (
		common  = "r6 = r1\n*(u64 *)(r10 -8) = 0\n*(u32 *)(r10 -12) = 0\nr2 = r10\nr2 += -12\nr3 = 12\nr4 = -1\nr5 = 0\ncall 99\n"
		lookup  = "r6 = r1\n*(u64 *)(r10 -8) = 0\n*(u32 *)(r10 -12) = 0\nr2 = r10\nr2 += -12\nr3 = 12\nr4 = -1\nr5 = 0\ncall 84\n"
		checked = "if r0 == 0 goto out\nr7 = r0\n"
		release = "r1 = r7\ncall 86\n"
		stored  = "*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[15]\ncall 1\n"
	)
	checkShapes(t, []shape{
		{"skc released", "sched_cls", common + checked + release + out, "", ""},
		{"skc field of sock", "sched_cls", common + checked + "r1 = *(u32 *)(r7 +44)\n" + release + out, "", ""},
		{"skc bound field", "sched_cls", common + checked + "r1 = *(u32 *)(r7 +4)\n" + release + out, "", ""},
		{"bound_dev_if of skc", "sched_cls", common + checked + "r1 = *(u32 *)(r7 +0)\n" + release + out, "", ""},
		{"past its end", "sched_cls", lookup + checked + "r1 = *(u32 *)(r7 +80)\n" + release + out, BadContext, ""},
		{"before its begin", "sched_cls", lookup + checked + "r1 = *(u32 *)(r7 -4)\n" + release + out, BadContext, ""},
		{"wide load", "sched_cls", lookup + checked + "r1 = *(u64 *)(r7 +0)\n" + release + out, BadContext, ""},
		{"sign-extended", "sched_cls", lookup + checked + "r1 = *(s32 *)(r7 +4)\n" + release + out, "", ""},
		{"atomic", "sched_cls", lookup + checked + "r1 = 1\nlock *(u32 *)(r7 +16) += r1\n" + release + out, BadPointer, ""},
		{"as memory", "sched_cls", lookup + checked + "r1 = map[2]\nr2 = r7\nr3 = 4\nr4 = 0\ncall 130\n" + release + out, BadArgument, ""},
		{"cast unchecked", "sched_cls", lookup + checked + "r1 = r7\ncall 95\nr1 = *(u32 *)(r0 +4)\n" + release + out, NullPointer, ""},
		{"cast released, then the original", "sched_cls", lookup + checked + "r1 = r7\ncall 95\nif r0 == 0 goto no\nr1 = r0\ncall 86\nno:\n" + release + out, BadArgument, ""},
		{"cast used after the original's release by join", "sched_cls", lookup + checked + "r1 = r7\ncall 95\nr8 = r0\nif r8 == 0 goto no\ncall 7\nif r0 == 5 goto no\nr9 = 1\nno:\n" + release + "if r8 == 0 goto out\nr0 = *(u32 *)(r8 +4)" + out, NotPointer, ""},
		{"cast of cast after release", "sched_cls", lookup + checked + "r1 = r7\ncall 95\nif r0 == 0 goto no\nr1 = r0\ncall 96\nr8 = r0\n" + release + "if r8 == 0 goto out\nr0 = *(u32 *)(r8 +0)\ngoto out\nno:\n" + release + out, NotPointer, ""},
		{"cast of cast released", "sched_cls", lookup + checked + "r1 = r7\ncall 95\nif r0 == 0 goto no\nr1 = r0\ncall 96\nif r0 == 0 goto no\nr1 = r0\ncall 86\ngoto out\nno:\n" + release + out, "", ""},
		{"listener after release", "sched_cls", lookup + checked + "r1 = r7\ncall 98\nr8 = r0\n" + release + "if r8 == 0 goto out\nr0 = *(u32 *)(r8 +4)" + out, "", ""},
		{"spilled, released, restored", "sched_cls", lookup + checked + "*(u64 *)(r10 -24) = r7\n" + release + "r7 = *(u64 *)(r10 -24)\nr0 = *(u32 *)(r7 +4)" + out, NotPointer, ""},
		{"spilled partly overwritten", "sched_cls", lookup + checked + "*(u64 *)(r10 -24) = r7\n*(u8 *)(r10 -20) = 0\nr7 = *(u64 *)(r10 -24)\n" + release + out, BadArgument, ""},
		{"two lookups, one released twice", "sched_cls", lookup + checked + "r1 = r6\nr2 = r10\nr2 += -12\nr3 = 12\nr4 = -1\nr5 = 0\ncall 84\nr8 = r0\n" + release + "if r8 == 0 goto out\n" + release + out, BadArgument, ""},
		{"two lookups, one leaked", "sched_cls", lookup + checked + "r1 = r6\nr2 = r10\nr2 += -12\nr3 = 12\nr4 = -1\nr5 = 0\ncall 84\n" + release + out, Unreleased, ""},
		{"released by a callee", "sched_cls", lookup + checked + "r1 = r7\ncall f\nout:\nr0 = 0\nexit\nf:\ncall 86\nr0 = 0\nexit", "", ""},
		{"released by a callee and again", "sched_cls", lookup + checked + "r1 = r7\ncall f\n" + release + "out:\nr0 = 0\nexit\nf:\ncall 86\nr0 = 0\nexit", BadArgument, ""},
		{"acquired in a loop and leaked", "sched_cls", "r9 = r1\nr8 = 0\nagain:\nr1 = r9\n" + lookup + "if r0 == 0 goto next\nnext:\nr8 += 1\nif r8 < 3 goto again" + out, Unreleased, ""},
		{"acquired and released in a loop", "sched_cls", "r9 = r1\nr8 = 0\nagain:\nr1 = r9\n" + lookup + "if r0 == 0 goto next\nr1 = r0\ncall 86\nnext:\nr8 += 1\nif r8 < 3 goto again" + out, "", ""},
		{"held at a tail call", "sched_cls", lookup + checked + "r1 = r6\nr2 = map[7]\nr3 = 0\ncall 12\n" + release + out, Unreleased, ""},
		{"null compared with 1", "sched_cls", lookup + "if r0 == 1 goto out\nr1 = r0\ncall 86" + out, NullPointer, ""},
		{"null branch reversed", "sched_cls", lookup + "if r0 != 0 goto out\nr1 = r0\ncall 86" + out, BadArgument, ""},
		{"map lookup released", "sched_cls", stored + checked + release + out, "", ""},
		{"map lookup leaked", "sched_cls", stored + "if r0 == 0 goto out" + out, Unreleased, ""},
		{"map lookup unchecked", "sched_cls", stored + "r1 = r0\ncall 86" + out, NullPointer, ""},
		{"map lookup read after release", "sched_cls", stored + checked + release + "r0 = *(u32 *)(r7 +4)" + out, NotPointer, ""},
		{"map lookup written", "sched_cls", stored + checked + "*(u32 *)(r7 +4) = 1\n" + release + out, BadContext, ""},
		{"map lookup in a kprobe", "kprobe", stored + "if r0 == 0 goto out" + out, Unreleased, ""},
		{"fullsock of the context's, released", "sched_cls", "r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\ncall 95\nif r0 == 0 goto out\nr1 = r0\ncall 86" + out, BadArgument, ""},
		{"context's is only common", "sched_cls", "r1 = *(u64 *)(r1 +168)\nif r1 == 0 goto out\nr0 = *(u32 *)(r1 +76)" + out, "", ""},
		{"ringbuf submit of a socket", "sched_cls", lookup + checked + "r1 = r7\nr2 = 0\ncall 132" + out, BadArgument, ""},
		{"release of a reservation", "sched_cls", aRb + checked + release + out, BadArgument, ""},
		{"ref swap by path", "sched_cls", lookup + checked + "r1 = r6\nr2 = r10\nr2 += -12\nr3 = 12\nr4 = -1\nr5 = 0\ncall 84\nif r0 == 0 goto no\nr8 = r0\ncall 7\nif r0 == 5 goto w\nr9 = r7\nr7 = r8\nr8 = r9\nw:\n" + release + release + "goto out\nno:\n" + release + out, BadArgument, ""},
	})
}

// TestHostileLocks: locks that are mistaken for each other.
func TestHostileLocks(t *testing.T) {
	const (
		lock   = "r1 = map[3][0]+0\ncall 93\n"
		unlock = "r1 = map[3][0]+0\ncall 94\n"
	)
	checkShapes(t, []shape{
		{"same key twice, other unlocked", "xdp", lookupLocks + "r6 = r0\n*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr6 += 8\nr7 += 8\n" + "r1 = r6\ncall 93\nr1 = r7\ncall 94" + out, Locked, ""},
		{"which by path", "xdp", lookupLocks + "r6 = r0\n*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr6 += 8\nr7 += 8\n" + "call 7\nr8 = r6\nif r0 == 5 goto +1\nr8 = r7\nr1 = r8\ncall 93\nr1 = r6\ncall 94" + out, Locked, ""},
		{"which by path, the same", "xdp", lookupLocks + "r6 = r0\n*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr6 += 8\nr7 += 8\n" + "call 7\nr8 = r6\nif r0 == 5 goto +1\nr8 = r7\nr1 = r8\ncall 93\nr1 = r8\ncall 94" + out, "", ""},
		{"swapped by path", "xdp", lookupLocks + "r6 = r0\n*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr6 += 8\nr7 += 8\n" + "call 7\nr8 = r0\nr1 = r6\ncall 93\nif r8 == 5 goto l\nr9 = r6\nr6 = r7\nr7 = r9\nl:\nr1 = r6\ncall 94" + out, Locked, ""},
		{"nested in two maps", "xdp", lookupLocks + "r6 = r0\nr6 += 8\n" + lock + "r1 = r6\ncall 93\nr1 = r6\ncall 94\n" + unlock + out, Locked, ""},
		{"other map's unlocked", "xdp", lookupLocks + "r6 = r0\nr6 += 8\n" + lock + "r1 = r6\ncall 94" + out, Locked, ""},
		{"null value", "xdp", "*(u32 *)(r10 -4) = 1\nr2 = r10\nr2 += -4\nr1 = map[4]\ncall 1\nr1 = r0\nr1 += 8\ncall 93" + out, NullPointer, ""},
		{"at a variable offset", "xdp", lookupLocks + "r6 = r0\ncall 7\nr0 &= 8\nr6 += r0\nr1 = r6\ncall 93\nr1 = r6\ncall 94" + out, BadArgument, ""},
		{"rcu under it", "xdp", lock + "call bpf_rcu_read_lock\ncall bpf_rcu_read_unlock\n" + unlock + out, Locked, ""},
		{"taken under rcu", "xdp", "call bpf_rcu_read_lock\n" + lock + unlock + "call bpf_rcu_read_unlock" + out, "", ""},
		{"rcu left under it", "xdp", "call bpf_rcu_read_lock\n" + lock + "call bpf_rcu_read_unlock\n" + unlock + out, Locked, ""},
		{"throw under it", "sched_cls", lock + "r1 = 0\ncall bpf_throw\nexit", Locked, ""},
		{"throw of a callee under it", "sched_cls", lock + "call f\n" + unlock + "r0 = 0\nexit\nf:\nr1 = 0\ncall bpf_throw\nexit", Locked, ""},
		{"exit of a callee that took it", "xdp", "call f\nr0 = 0\nexit\nf:\n" + lock + "r0 = 0\nexit", Locked, ""},
		{"dynptr under it", "xdp", lock + aLocal + unlock + out, Locked, ""},
		{"round a loop", "xdp", "r6 = 0\nagain:\n" + lock + "r6 += 1\nif r6 < 5 goto again\n" + unlock + out, Locked, ""},
		{"loop under it", "xdp", lock + "r6 = 0\nagain:\nr6 += 1\nif r6 < 50 goto again\n" + unlock + out, "", ""},
		{"key of the trie", "xdp", "r1 = map[6]\ncall 93" + out, BadArgument, ""},
		{"atomic over it", "xdp", "r1 = map[3][0]+0\nr2 = 1\nlock *(u32 *)(r1 +0) += r2" + out, BadPointer, ""},
		{"updated whole", "xdp", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr3 = map[3][0]+0\nr1 = map[3]\nr4 = 0\ncall 2" + out, BadPointer, ""},
		{"copied out by probe_read", "xdp", "r1 = map[3][0]+0\nr2 = 8\nr3 = r10\ncall 113" + out, BadPointer, ""},
	})
}

// TestHostileTimers: timers in the wrong place, and callbacks that leave what they must not.
func TestHostileTimers(t *testing.T) {
	const (
		lock   = "r1 = map[3][0]+0\ncall 93\n"
		unlock = "r1 = map[3][0]+0\ncall 94\n"
	)
	checkShapes(t, []shape{
		{"init twice", "xdp", lookupTimer + "r1 = r6\nr1 += 16\nr2 = map[6]\nr3 = 1\ncall 169\n" + "r1 = r6\nr1 += 16\nr2 = map[6]\nr3 = 1\ncall 169\n" + out, "", ""},
		{"at 17", "xdp", lookupTimer + "r1 = r6\nr1 += 17\nr2 = map[6]\nr3 = 1\ncall 169\n" + out, BadArgument, ""},
		{"null value", "xdp", "*(u32 *)(r10 -4) = 9\nr2 = r10\nr2 += -4\nr1 = map[6]\ncall 1\nr1 = r0\nr1 += 16\ncall 172" + out, NullPointer, ""},
		{"on the stack", "xdp", "r1 = r10\nr1 += -16\nr2 = map[6]\nr3 = 1\ncall 169" + out, BadArgument, ""},
		{"variable offset", "xdp", lookupTimer + "call 7\nr0 &= 8\nr1 = r6\nr1 += 8\nr1 += r0\ncall 172" + out, BadArgument, ""},
		{"callback no function", "xdp", lookupTimer + "r1 = r6\nr1 += 16\nr2 = 5\ncall 170" + out, BadArgument, ""},
		{"cancel under a lock", "xdp", lookupTimer + lock + "r1 = r6\nr1 += 16\ncall 172\n" + unlock + out, Locked, ""},
		{"callback leaves rcu", "sched_cls", startTimer + "call bpf_rcu_read_lock\nr0 = 0\nexit", Locked, ""},
		{"callback takes a lock", "sched_cls", startTimer + "r1 = map[3][0]+0\ncall 93\nr0 = 0\nexit", Locked, ""},
		{"callback leaves an iterator", "sched_cls", startTimer + "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 4\ncall bpf_iter_num_new\nr0 = 0\nexit", Unreleased, ""},
		{"callback throws", "sched_cls", startTimer + "r1 = 0\ncall bpf_throw\nexit", BadArgument, ""},
		{"callback tail calls", "sched_cls", startTimer + "r2 = map[7]\nr3 = 0\ncall 12\nr0 = 0\nexit", BadArgument, ""},
		{"callback returns its value's address", "sched_cls", startTimer + "r0 = r3\nexit", BadReturn, ""},
		{"callback has no end", "sched_cls", startTimer + "again:\ncall 7\nif r0 != 5 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"callback reads the caller's register", "sched_cls", startTimer + "r0 = r6\nr0 = 0\nexit", Unreadable, ""},
		{"callback looks at its key beyond", "sched_cls", startTimer + "r0 = *(u32 *)(r2 +4)\nr0 = 0\nexit", OutOfBounds, ""},
		{"callback cancels itself", "sched_cls", startTimer + "r1 = r3\nr1 += 16\ncall 172\nr0 = 0\nexit", "", ""},
		{"callback inits in another map", "sched_cls", startTimer + "r1 = r3\nr1 += 16\nr2 = map[8]\nr3 = 1\ncall 169\nr0 = 0\nexit", BadArgument, ""},
		{"callback moves the value", "sched_cls", startTimer + "r3 += 8\nr0 = *(u64 *)(r3 +24)\nr0 = 0\nexit", OutOfBounds, ""},
		{"callback deep stack", "sched_cls", startTimer + "*(u8 *)(r10 -512) = 0\ncall g\nr0 = 0\nexit\ng:\n*(u8 *)(r10 -16) = 0\nr0 = 0\nexit", StackDepth, ""},
	})
}

// TestHostileThrows: exceptions where something is held.
func TestHostileThrows(t *testing.T) {
	checkShapes(t, []shape{
		{"in a callback's callee", "sched_cls", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\ncall f\nr0 = 0\nexit\nf:\nr1 = 0\ncall bpf_throw\nexit", BadArgument, ""},
		{"any cookie from sched_cls", "sched_cls", "call 7\nr1 = r0\ncall bpf_throw\nexit", "", ""},
		{"cookie 7 from cgroup_skb", "cgroup_skb", "r1 = 7\ncall bpf_throw\nexit", BadReturn, ""},
		{"pointer as a cookie", "sched_cls", "r1 = r10\ncall bpf_throw\nexit", "", "an address that the strict rules would not let out"},
		{"no cookie", "sched_cls", "r1 = r2\ncall bpf_throw\nexit", Unreadable, ""},
		{"without preemption", "sched_cls", "call bpf_preempt_disable\nr1 = 0\ncall bpf_throw\nexit", Locked, ""},
		{"on one path while held", "sched_cls", aRb + "r6 = r0\ncall 7\nif r0 != 5 goto l\nr1 = 0\ncall bpf_throw\nl:\nif r6 == 0 goto out\nr1 = r6\nr2 = 0\ncall 132" + out, Unreleased, ""},
		{"a null reservation", "sched_cls", aRb + "if r0 != 0 goto l\nr1 = 0\ncall bpf_throw\nl:\nr1 = r0\nr2 = 0\ncall 132\nr0 = 0\nexit", "", ""},
	})
}
