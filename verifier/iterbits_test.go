package verifier

import "testing"

// TestBitIterators: iterators over the bits of words.
func TestBitIterators(t *testing.T) {
	begin := func(words string) string {
		return "r1 = r10\nr1 += -16\nr2 = map[10][0]+0\nr3 = " + words + "\ncall bpf_iter_bits_new\n"
	}
	const next = "r1 = r10\nr1 += -16\ncall bpf_iter_bits_next\n"
	const end = "r1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy\n"
	const reads = "the kernel reads any memory, and says at run time if it cannot"
	checkShapes(t, []shape{
		{"begun and ended", "xdp", begin("8") + end + out, "", ""},
		{"leaked", "xdp", begin("8") + out, Unreleased, ""},
		{"loop", "xdp", begin("8") + "again:\n" + next + "if r0 == 0 goto done\nr1 = *(u32 *)(r0 +0)\ngoto again\ndone:\n" + end + out, "", ""},
		{"number may be null", "xdp", begin("8") + next + "r6 = *(u32 *)(r0 +0)\n" + end + out, NotPointer, ""},
		{"number written", "xdp", begin("8") + next + "if r0 == 0 goto done\n*(u32 *)(r0 +0) = 1\ndone:\n" + end + out, ReadOnly, ""},
		{"number as an index", "xdp", begin("8") + next + "if r0 == 0 goto done\nr1 = *(u32 *)(r0 +0)\nr2 = map[10][0]+0\nr2 += r1\nr0 = *(u8 *)(r2 +0)\ndone:\n" + end + out, OutOfBounds, ""},
		{"half overwritten", "xdp", begin("8") + "*(u64 *)(r10 -8) = 0\n" + end + out, BadArgument, ""},
		{"next of none", "xdp", next + out, BadArgument, ""},
		{"next of numbers", "xdp", begin("8") + "r1 = r10\nr1 += -16\ncall bpf_iter_num_next\n" + end + out, BadArgument, ""},
		{"no room", "xdp", "r1 = r10\nr1 += -8\nr2 = map[10][0]+0\nr3 = 1\ncall bpf_iter_bits_new" + out, BadArgument, ""},
		{"under a lock", "xdp", "r6 = map[3][0]+0\nr1 = r6\ncall 93\n" + begin("8") + end + "r1 = r6\ncall 94" + out, Locked, ""},
		{"no words", "xdp", "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_iter_bits_new\n" + end + out, "", ""},
		{"more words than there are", "xdp", begin("9") + end + out, OutOfBounds, reads},
		{"a number as memory", "xdp", "r1 = r10\nr1 += -16\nr2 = 4096\nr3 = 1\ncall bpf_iter_bits_new\n" + end + out, BadArgument, reads},
		{"remade in its loop", "xdp", begin("8") + "again:\n" + next + "if r0 == 0 goto done\n" + end + begin("8") + "goto again\ndone:\n" + end + out, Unbounded,
			"the kernel takes any loop round bpf_iter_bits_next to end; this one does not"},
	})
}
