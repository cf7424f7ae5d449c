package verifier

import "testing"

// aReadsAndWrites is why the kernel accepts memory that a helper both reads and
// writes, of a map that programs may not read: it asks for the right to write only.
const aReadsAndWrites = "the kernel does not ask whether programs may read what a helper also writes"

// TestHostileMemory: what a helper asks of memory besides that it is there.
func TestHostileMemory(t *testing.T) {
	const (
		strtol  = "\nr1 = r10\nr1 += -64\nr2 = 8\nr3 = 0\ncall 105"
		mtu     = "\nr1 = r6\nr2 = 0\nr4 = 0\nr5 = 0\ncall 163"
		value   = "r6 = map[10][0]+0\nr6 = *(u64 *)(r6 +0)\nr6 &= 7\nr4 = map[10][0]+0\nr4 += r6"
		checked = "r6 = r1\nr7 = *(u32 *)(r1 +76)\nr2 = *(u32 *)(r1 +80)\nr3 = r7\nr3 += 16\nif r3 > r2 goto out\n"
	)
	checkShapes(t, []shape{
		{"number's result on the stack", "xdp", aInit64 + "r4 = r10\nr4 += -48" + strtol + out, "", ""},
		{"number's result on the stack, at an odd address", "xdp", aInit64 + "r4 = r10\nr4 += -47" + strtol + out, Misaligned, ""},
		{"number's result on the stack, between two words", "xdp", aInit64 + "r4 = r10\nr4 += -44" + strtol + out, Misaligned, ""},
		{"number's result in a value", "xdp", aInit64 + "r4 = map[10][0]+56" + strtol + out, "", ""},
		{"number's result in a value, between two words", "xdp", aInit64 + "r4 = map[10][0]+4" + strtol + out, Misaligned, ""},
		{"number's result in a value, anywhere", "xdp", aInit64 + value + strtol + out, Misaligned, ""},
		{"number's result in a value, at a word", "xdp", aInit64 + "r6 = map[10][0]+0\nr6 = *(u64 *)(r6 +0)\nr6 &= 48\nr4 = map[10][0]+8\nr4 += r6" + strtol + out, "", ""},
		{"number's result in a slice", "xdp", aInit64 + aLocal + aData + "if r0 == 0 goto out\nr4 = r0" + strtol + out, Misaligned, "the kernel takes the memory of a slice for aligned"},
		{"number's result in the packet", "sched_cls", aInit64 + checked + "r4 = r7" + strtol + out, Misaligned, ""},
		{"mtu on the stack", "xdp", aInit64 + "r6 = r1\nr3 = r10\nr3 += -60" + mtu + out, "", ""},
		{"mtu on the stack, at an odd address", "xdp", aInit64 + "r6 = r1\nr3 = r10\nr3 += -62" + mtu + out, Misaligned, ""},
		{"mtu in the packet", "sched_cls", checked + "r3 = r7" + mtu + out, Misaligned, ""},
		{"mtu in a value to be written", "xdp", "r6 = r1\nr3 = map[13][0]+0" + mtu + out, ReadOnly, aReadsAndWrites},
		{"mtu in a value to be read", "xdp", "r6 = r1\nr3 = map[12][0]+0" + mtu + out, ReadOnly, ""},
		{"route in a value to be written", "xdp", "r1 = r1\nr2 = map[13][0]+0\nr3 = 64\nr4 = 0\ncall 69" + out, ReadOnly, aReadsAndWrites},
		{"number's result in a value to be written", "xdp", aInit64 + "r4 = map[13][0]+0" + strtol + out, "", ""},
		{"slice's buffer in a value to be written", "xdp", aLocal + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = map[13][0]+0\nr4 = 8\ncall bpf_dynptr_slice" + out, ReadOnly, ""},
		{"dynptr over a value to be written", "xdp", "r1 = map[13][0]+0\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, ReadOnly, "the kernel lets programs read through a dynptr what they may not read"},
		{"dynptr over a value to be read", "xdp", "r1 = map[12][0]+0\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197" + out, ReadOnly, ""},
	})
}
