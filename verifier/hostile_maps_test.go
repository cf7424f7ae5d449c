package verifier

import "testing"

// Parts of the programs below.
const (
	aLock   = "r1 = map[3][0]+0\ncall 93\n"
	aUnlock = "r1 = map[3][0]+0\ncall 94\n"
	aInnerL = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[16]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr6 = r0\n"
	aInnerT = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[17]\ncall 1\nif r0 == 0 goto out\nr7 = r0\nr1 = r0\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr6 = r0\n"
	aTwoIn  = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = r7\ncall 1\nif r0 == 0 goto out\nr8 = r0\n"
	a16     = "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\n"
	aIdx    = "r2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\n"
)

// TestHostileMaps: inner maps with fields of their own, values that go, and the maps that are no tables.
func TestHostileMaps(t *testing.T) {
	checkShapes(t, []shape{
		{"inner lock", "xdp", aInnerL + "r1 = r6\ncall 93\nr1 = r6\ncall 94" + out, "", ""},
		{"inner lock, other lookup unlocked", "xdp", aInnerL + aTwoIn + "r1 = r6\ncall 93\nr1 = r8\ncall 94" + out, Locked, ""},
		{"inner lock left", "xdp", aInnerL + "r1 = r6\ncall 93" + out, Locked, ""},
		{"inner lock read", "xdp", aInnerL + "r0 = *(u32 *)(r6 +0)" + out, BadPointer, ""},
		{"inner lock's neighbour read", "xdp", aInnerL + "r0 = *(u32 *)(r6 +4)" + out, "", ""},
		{"inner lock overwritten by dynptr", "xdp", aInnerL + "r1 = r6\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -24\ncall 197" + out, BadPointer, ""},
		{"inner lock updated whole", "xdp", aInnerL + "r1 = r7\nr2 = r10\nr2 += -4\nr3 = r6\nr4 = 0\ncall 2" + out, BadPointer, ""},
		{"inner lock in kprobe", "kprobe", aInnerL + "r1 = r6\ncall 93\nr1 = r6\ncall 94" + out, "", ""},
		{"inner locks walked", "xdp", aInnerL + "r1 = r7\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\nout:\nr0 = 0\nexit\nbody:\nr6 = r3\nr1 = r6\ncall 93\nr1 = r6\ncall 94\nr0 = 0\nexit", "", ""},
		{"inner lock, another map's unlocked", "xdp", aInnerL + "r1 = r6\ncall 93\n" + aUnlock + out, Locked, ""},
		{"another map's lock, inner's unlocked", "xdp", aInnerL + aLock + "r1 = r6\ncall 94" + out, Locked, ""},
		{"inner timer", "xdp", aInnerT + "r1 = r6\nr1 += 16\nr2 = r7\nr3 = 1\ncall 169" + out, Unsupported, "skep has no timers in inner maps"},
		{"inner timer with another map", "xdp", aInnerT + "r1 = r6\nr1 += 16\nr2 = map[6]\nr3 = 1\ncall 169" + out, Unsupported, ""},
		{"inner timer read", "xdp", aInnerT + "r0 = *(u64 *)(r6 +16)" + out, BadPointer, ""},
		{"lock held, the value's timer", "xdp", "r1 = map[27][0]+0\ncall 93\nr1 = map[27][0]+16\nr2 = map[27]\nr3 = 1\ncall 169\nr1 = map[27][0]+0\ncall 94" + out, Locked, ""},
		{"timer as a lock", "xdp", "r1 = map[27][0]+16\ncall 93" + out, BadArgument, ""},
		{"lock as a timer", "xdp", "r1 = map[27][0]+0\nr2 = map[27]\nr3 = 1\ncall 169" + out, BadArgument, ""},
		{"between lock and timer", "xdp", "r1 = map[27][0]+0\n*(u64 *)(r1 +8) = 1\n*(u32 *)(r1 +4) = 1\n*(u64 *)(r1 +32) = 1" + out, "", ""},
		{"last byte of the timer", "xdp", "r1 = map[27][0]+0\n*(u8 *)(r1 +31) = 1" + out, BadPointer, ""},
		{"value deleted, then written", "xdp", aLookup("26", "1", "r6") + "r2 = r10\nr2 += -4\nr1 = map[26]\ncall 3\n*(u64 *)(r6 +0) = 1" + out, "", ""},
		{"timer's callback deletes its value and writes to it", "xdp", startTimer + "r6 = r3\nr7 = r1\nr8 = *(u32 *)(r2 +0)\n*(u32 *)(r10 -4) = r8\nr2 = r10\nr2 += -4\nr1 = r7\ncall 3\n*(u64 *)(r6 +0) = 1\nr0 = 0\nexit", "", ""},
		{"timer's callback updates its value", "xdp", startTimer + aInit64 + "r3 = r10\nr3 += -64\nr4 = 0\ncall 2\nr0 = 0\nexit", "", ""},
		{"stackid", "kprobe", "r2 = map[18]\nr3 = 0\ncall 27" + out, "", ""},
		{"stackid of a hash", "kprobe", "r2 = map[1]\nr3 = 0\ncall 27" + out, BadArgument, ""},
		{"stackid without a context", "kprobe", "r1 = r10\nr2 = map[18]\nr3 = 0\ncall 27" + out, BadArgument, ""},
		{"lookup in stacks", "kprobe", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[18]\ncall 1" + out, BadArgument, ""},
		{"update of stacks", "kprobe", aInit64 + "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -64\nr4 = 0\nr1 = map[18]\ncall 2" + out, BadArgument, ""},
		{"delete from stacks", "kprobe", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[18]\ncall 3" + out, BadArgument, ""},
		{"stackid in xdp", "xdp", "r2 = map[18]\nr3 = 0\ncall 27" + out, UnknownCallee, ""},
		{"get_stack past the stack", "kprobe", "r2 = r10\nr2 += -64\nr3 = 72\nr4 = 0\ncall 67" + out, OutOfBounds, ""},
		{"get_stack of 0 bytes", "kprobe", "r2 = r10\nr2 += -64\nr3 = 0\nr4 = 0\ncall 67" + out, "", ""},
		{"get_stack over a spilled pointer", "kprobe", "*(u64 *)(r10 -8) = r10\nr2 = r10\nr2 += -16\nr3 = 16\nr4 = 0\ncall 67\nr1 = *(u64 *)(r10 -8)\n*(u64 *)(r1 -8) = 0" + out, NotPointer, ""},
		{"cgroup of the task", "kprobe", "r1 = map[19]\nr2 = 0\ncall 37" + out, "", ""},
		{"cgroup of the packet", "sched_cls", "r2 = map[19]\nr3 = 0\ncall 33" + out, "", ""},
		{"cgroup of the packet in a hash", "sched_cls", "r2 = map[1]\nr3 = 0\ncall 33" + out, BadArgument, ""},
		{"lookup in cgroups", "sched_cls", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[19]\ncall 1" + out, BadArgument, ""},
		{"tail call by cgroups", "sched_cls", "r2 = map[19]\nr3 = 0\ncall 12" + out, BadArgument, ""},
		{"perf output", "xdp", a16 + "r2 = map[20]\nr3 = -1 ll\nr4 = r10\nr4 += -16\nr5 = 16\ncall 25" + out, "", ""},
		{"perf output of a lock", "xdp", "r2 = map[20]\nr3 = 0\nr4 = map[3][0]+0\nr5 = 16\ncall 25" + out, BadPointer, ""},
		{"perf output to a ring", "xdp", a16 + "r2 = map[2]\nr3 = 0\nr4 = r10\nr4 += -16\nr5 = 16\ncall 25" + out, BadArgument, ""},
		{"perf output of a packet", "xdp", "r6 = r1\nr7 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +4)\nr3 = r7\nr3 += 16\nif r3 > r2 goto out\nr1 = r6\nr2 = map[20]\nr3 = 0\nr4 = r7\nr5 = 16\ncall 25" + out, BadArgument, ""},
		{"perf output of 0 bytes", "xdp", "r2 = map[20]\nr3 = 0\nr4 = r10\nr4 += -16\nr5 = 0\ncall 25" + out, "", ""},
		{"perf lookup", "xdp", "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[20]\ncall 1" + out, BadArgument, ""},
		{"push", "xdp", a16 + "r1 = map[21]\nr2 = r10\nr2 += -16\nr3 = 0\ncall 87" + out, "", ""},
		{"push of half", "xdp", a16 + "r1 = map[21]\nr2 = r10\nr2 += -8\nr3 = 0\ncall 87" + out, OutOfBounds, ""},
		{"pop to unwritten", "xdp", "r1 = map[21]\nr2 = r10\nr2 += -16\ncall 88\nr0 = *(u64 *)(r10 -8)" + out, "", ""},
		{"pop over a pointer", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = map[22]\nr2 = r10\nr2 += -16\ncall 88\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"pop as an index", "xdp", a16 + "r1 = map[22]\nr2 = r10\nr2 += -16\ncall 88\nr1 = *(u64 *)(r10 -8)\n" + aIdx + out, OutOfBounds, ""},
		{"peek over an iterator", "xdp", aNum + "r1 = map[22]\nr2 = r10\nr2 += -16\ncall 89\n" + aNumD + out, BadPointer, ""},
		{"peek of a bloom", "xdp", a16 + "r1 = map[23]\nr2 = r10\nr2 += -16\ncall 89" + out, "", ""},
		{"pop of a bloom", "xdp", a16 + "r1 = map[23]\nr2 = r10\nr2 += -16\ncall 88" + out, BadArgument, ""},
		{"push to a bloom", "xdp", a16 + "r1 = map[23]\nr2 = r10\nr2 += -16\nr3 = 0\ncall 87" + out, "", ""},
		{"pop to a map to be read", "xdp", "r1 = map[21]\nr2 = map[12][0]+0\ncall 88" + out, ReadOnly, ""},
		{"pop to a lock", "xdp", "r1 = map[21]\nr2 = map[3][0]+0\ncall 88" + out, BadPointer, ""},
		{"lookup in a queue", "xdp", a16 + "r1 = map[21]\nr2 = r10\nr2 += -16\ncall 1" + out, BadArgument, ""},
		{"lookup percpu", "xdp", "*(u32 *)(r10 -4) = 0\nr1 = map[24]\nr2 = r10\nr2 += -4\nr3 = 0\ncall 195\nif r0 == 0 goto out\n*(u64 *)(r0 +8) = 1" + out, "", ""},
		{"lookup percpu unchecked", "xdp", "*(u32 *)(r10 -4) = 0\nr1 = map[24]\nr2 = r10\nr2 += -4\nr3 = 0\ncall 195\n*(u64 *)(r0 +8) = 1" + out, NullPointer, ""},
		{"lookup percpu beyond", "xdp", "*(u32 *)(r10 -4) = 0\nr1 = map[24]\nr2 = r10\nr2 += -4\nr3 = 0\ncall 195\nif r0 == 0 goto out\n*(u64 *)(r0 +16) = 1" + out, OutOfBounds, ""},
		{"lookup percpu in a hash", "xdp", "*(u32 *)(r10 -4) = 0\nr1 = map[26]\nr2 = r10\nr2 += -4\nr3 = 0\ncall 195" + out, BadArgument, ""},
		{"percpu array, constant key, unchecked", "xdp", "*(u32 *)(r10 -4) = 3\nr1 = map[24]\nr2 = r10\nr2 += -4\ncall 1\n*(u64 *)(r0 +8) = 1" + out, "", "skep knows that the key is below the number of entries"},
		{"percpu array, key beyond, unchecked", "xdp", "*(u32 *)(r10 -4) = 4\nr1 = map[24]\nr2 = r10\nr2 += -4\ncall 1\n*(u64 *)(r0 +8) = 1" + out, NullPointer, ""},
	})
}
