package spin

import "strings"

// A Program never ends. What a CPU takes a long time for makes the time between two
// looks at the clock long, too.
type Program struct{ Name, Text string }

// largeValue is the size of the value of the map "large", more than caches hold, and
// kernelValue of that of "value", the most that the kernel lets one have.
const (
	largeValue  = 64 << 20
	kernelValue = 4 << 20
)

// random makes R6 the next of pseudo-random numbers, and R1 20 bits of it.
const random = "r6 *= 0x5851f42d\nr6 += 0x1405\nr1 = r6\nr1 >>= 8\nr1 &= 0xfffff\n"

// Programs are the programs. Maps are numbered as in NewLab.
var Programs = []Program{
	{"additions", "r0 = 1\nr0 += 3\nr0 ^= 5\ngoto -3"},
	{"divisions", "r0 = -1\nr2 = 3\nr0 /= r2\nr0 |= 0xff\nr0 %= r2\nr0 |= -256\ngoto -5"},
	{"atomics", "r6 = map[0][0]+0\nr0 = 1\nlock *(u64 *)(r6 +0) += r0\nlock *(u64 *)(r6 +64) += r0\ngoto -3"},
	// The next address depends on the value, and is nowhere near.
	{"misses of the cache", "r6 = map[0][0]+0\nr0 = 1\nagain:\n" +
		strings.Repeat("r0 *= 0x5851f42d\nr0 += 0x1405\nr1 = r0\nr1 >>= 8\nr1 &= 0x3fffff8\nr1 += r6\nr1 = *(u64 *)(r1 +0)\nr0 += r1\n", 16) + "goto again"},
	{"a subprogram", "call f\ngoto -2\nf:\nr0 = 1\nexit"},
	{"a long body", "r0 = -1\nr2 = 3\nagain:\n" + strings.Repeat("r0 /= r2\nr0 |= -256\n", 4000) + "goto again"},
	{"nested loops", "r1 = 0\nouter:\nr2 = 0\ninner:\nr3 = 0\ninnermost:\nr3 += 1\nif r3 < 100 goto innermost\n" +
		"r2 += 1\nif r2 < 100 goto inner\nr1 += 1\ngoto outer"},
	{"bpf_loop", "again:\nr1 = 8388608\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\ngoto again\nbody:\nr0 = 0\nexit"},
	{"bpf_loop that calls", "again:\nr1 = 8388608\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\ngoto again\nbody:\ncall 5\nr0 = 0\nexit"},
	{"for_each in an array", "again:\nr1 = map[1]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\ngoto again\nbody:\nr0 = 0\nexit"},
	{"for_each in a hash", "again:\nr1 = map[2]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 164\ngoto again\nbody:\nr0 = 0\nexit"},
	{"lookups in a hash", "r6 = 1\nagain:\n" + random + "*(u64 *)(r10 -8) = r1\nr1 = map[2]\nr2 = r10\nr2 += -8\ncall 1\ngoto again"},
	{"updates of a hash", "r6 = 1\nagain:\n" + random + "r1 |= 1048576\n*(u64 *)(r10 -8) = r1\nr1 = map[2]\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\ncall 2\n" +
		"r1 = map[2]\nr2 = r10\nr2 += -8\ncall 3\ngoto again"},
	{"lookups in a trie", "r6 = 1\nagain:\n" + random + "*(u32 *)(r10 -4) = r1\n*(u32 *)(r10 -8) = 32\nr1 = map[3]\nr2 = r10\nr2 += -8\ncall 1\ngoto again"},
	{"tail calls", "r6 = r1\nr7 = 0\nagain:\nr7 += 1\nif r7 < 1000 goto again\nr1 = r6\nr2 = map[4]\nr3 = 0\ncall 12\nforever:\nr7 += 1\ngoto forever"},
	{"memset, 4 MB", "again:\nr1 = map[7][0]+0\nr2 = 7\nr3 = 4194304\ncall 1000\ngoto again"},
	{"memcpy, 2 MB", "again:\nr1 = map[7][0]+0\nr2 = map[7][0]+2097152\nr3 = 2097152\ncall 1001\ngoto again"},
	{"memcmp, 2 MB", "again:\nr1 = map[7][0]+0\nr2 = map[7][0]+2097152\nr3 = 2097152\ncall 1002\ngoto again"},
	{"csum_diff, 4 MB", "again:\nr1 = 0\nr2 = 0\nr3 = map[7][0]+0\nr4 = 4194304\nr5 = 0\ncall 28\ngoto again"},
	{"memset, 64 MB", "again:\nr1 = map[0][0]+0\nr2 = 7\nr3 = 67108864\ncall 1000\ngoto again"},
	{"memmove, 32 MB", "again:\nr1 = map[0][0]+16777216\nr2 = map[0][0]+0\nr3 = 33554432\ncall 1001\ngoto again"},
	{"csum_diff, 64 MB", "again:\nr1 = 0\nr2 = 0\nr3 = map[0][0]+0\nr4 = 67108864\nr5 = 0\ncall 28\ngoto again"},
	{"updates, 4 MB", "again:\n*(u32 *)(r10 -4) = 0\nr1 = map[7]\nr2 = r10\nr2 += -4\nr3 = map[7][0]+0\nr4 = 0\ncall 2\ngoto again"},
	{"records, 1 MB", "again:\nr1 = map[5]\nr2 = map[7][0]+0\nr3 = 1000000\nr4 = 0\ncall 130\ngoto again"},
	{"a user's ring buffer", "again:\nr1 = map[6]\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 209\ngoto again\nbody:\nr0 = 0\nexit"},
}
