package verifier

import "testing"

// TestHostileDifferences: differences that wrap, or that a comparison of another width bounds.
func TestHostileDifferences(t *testing.T) {
	const (
		index = "r2 = map[10][0]+0\nr2 += r3\nr0 = *(u8 *)(r2 +0)\nno:" + out
		two32 = "call 7\nr6 = r0\ncall 7\nr4 = r0\nr3 = r6\n"
		two64 = "r1 = map[10][0]+0\nr3 = *(u64 *)(r1 +0)\nr4 = *(u64 *)(r1 +8)\n"
	)
	checkShapes(t, []shape{
		{"unsigned greater", "xdp", two64 + "if r4 > r3 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"unsigned, 63 apart", "xdp", two64 + "if r4 > r3 goto no\nr3 -= r4\nif r3 > 63 goto no\n" + index, "", ""},
		{"signed, wraps", "xdp", two64 + "if r4 s> r3 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"signed, bounded", "xdp", two64 + "if r4 s> r3 goto no\nr3 -= r4\nif r3 > 63 goto no\n" + index, "", ""},
		{"32 bits compared, 64 subtracted", "xdp", two64 + "if w4 > w3 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"64 bits compared, 32 subtracted", "xdp", two64 + "if r4 > r3 goto no\nw3 -= w4\nif w3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"32 bits, signed compared", "xdp", two32 + "if w4 s> w3 goto no\nw3 -= w4\nif w3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"32 bits, unsigned compared", "xdp", two32 + "if w4 > w3 goto no\nw3 -= w4\nif w3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"32-bit values, 64-bit subtraction", "xdp", two32 + "if r4 > r3 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, "", "the kernel does not compare numbers with each other"},
		{"32-bit values, wrong way", "xdp", two32 + "if r3 > r4 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"constants added before", "xdp", two64 + "if r4 s> r3 goto no\nr3 += 0x7fffffff\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"compared after an addition that wraps", "xdp", two64 + "r5 = r3\nr5 += 1\nif r4 s>= r5 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"compared after an addition, unsigned", "xdp", two64 + "r5 = r3\nr5 += -1\nif r4 > r5 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"minus itself masked, plus one", "xdp", two32 + "r4 = r3\nr4 &= 0xff\nr3 -= r4\nif r3 > 63 goto no\nr3 += 1\n" + index, OutOfBounds, ""},
		{"half, the other way", "xdp", two32 + "r4 = r3\nr4 >>= 1\nr4 -= r3\nr3 = r4\nif r3 s> 63 goto no\n" + index, OutOfBounds, ""},
		{"masked equal, then differ", "xdp", two64 + "r3 &= 63\nr4 &= 127\nif r3 > r4 goto no\nr4 -= r3\nr3 = r4\n" + index, OutOfBounds, ""},
		{"negated", "xdp", two32 + "r3 &= 63\nr3 = -r3\n" + index, OutOfBounds, ""},
		{"s< after sign extension", "xdp", two64 + "r3 = (s8)r3\nr4 = (s8)r4\nif r4 s> r3 goto no\nr3 -= r4\nif r3 s> 63 goto no\n" + index, "", "the kernel does not compare numbers with each other"},
		{"sign-extended, lower half", "xdp", two64 + "r3 = (s8)r3\nr4 = (s8)r4\nif r4 s> r3 goto no\nr3 -= r4\nr3 >>= 2\n" + index, "", "the kernel does not compare numbers with each other"},
		{"lower half of a pointer is 0", "xdp", "r1 = map[10][0]+0\nr3 = 0\nif w1 != 0 goto l\nr3 = 64\nl:\n" + index, OutOfBounds, "the kernel takes the lower half of an address that is not null for a number that is not 0"},
		{"pointer is 0", "xdp", "r1 = map[10][0]+0\nr3 = 0\nif r1 != 0 goto l\nr3 = 64\nl:\n" + index, "", ""},
		{"jset then subtracted", "xdp", two32 + "if r3 & 0xffffffc0 goto no\nr3 -= 1\n" + index, OutOfBounds, ""},
	})
}

// TestHostileStack: stores and atomic operations that hit part of a pointer.
func TestHostileStack(t *testing.T) {
	checkShapes(t, []shape{
		{"zeros partly over a pointer", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = 0\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -12\nr1 += r0\n*(u8 *)(r1 +0) = 0\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"zeros at one of two pointers", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = r10\ncall 7\nr0 &= 8\nr1 = r10\nr1 += -16\nr1 += r0\n*(u64 *)(r1 +0) = 0\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"zeros over one, other below", "xdp", "*(u64 *)(r10 -24) = r10\n*(u64 *)(r10 -8) = 5\n*(u64 *)(r10 -16) = 0\ncall 7\nr0 &= 8\nr1 = r10\nr1 += -16\nr1 += r0\n*(u64 *)(r1 +0) = 0\nr1 = *(u64 *)(r10 -24)\nr0 = *(u64 *)(r1 -8)" + out, "", ""},
		{"zeros over half of a constant", "xdp", "*(u64 *)(r10 -8) = -1\n*(u64 *)(r10 -16) = 0\ncall 7\nr0 &= 4\nr1 = r10\nr1 += -12\nr1 += r0\n*(u32 *)(r1 +0) = 0\nr3 = *(u32 *)(r10 -8)\nr2 = map[10][0]+0\nr2 += r3\nr0 = *(u8 *)(r2 +0)" + out, OutOfBounds, ""},
		{"byte 256 is zero", "xdp", "*(u64 *)(r10 -8) = 0\ncall 7\nr0 &= 7\nr1 = r10\nr1 += -8\nr1 += r0\n*(u8 *)(r1 +0) = 256\nr3 = *(u8 *)(r10 -8)\nr2 = map[10][0]+0\nr2 += r3\nr0 = *(u8 *)(r2 +0)" + out, OutOfBounds, ""},
		{"atomic fetch of an upper half", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 0\nw1 = xchg32_32(r10 - 4, w1)\nr0 = *(u8 *)(r1 +0)" + out, NotPointer, ""},
		{"atomic over two slots", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = r10\nr1 = 0\nr1 = xchg_64(r10 - 12, r1)\nr0 = *(u8 *)(r1 -8)" + out, Misaligned, ""},
		{"pointer after its half was exchanged", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 0\nw1 = xchg32_32(r10 - 8, w1)\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"pointer after a compare and exchange that may happen", "xdp", "*(u64 *)(r10 -8) = r10\nr0 = 0\nr1 = 0\nr0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"compare and exchange at a variable slot", "xdp", "*(u64 *)(r10 -8) = r10\n*(u64 *)(r10 -16) = r10\ncall 7\nr0 &= 8\nr2 = r10\nr2 += -16\nr2 += r0\nr0 = 0\nr1 = 0\nr0 = atomic64_cmpxchg((u64 *)(r2 +0), r0, r1)\nr0 = *(u64 *)(r0 -8)" + out, NotPointer, ""},
		{"pointer through an exchange of a pointer", "xdp", "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 = xchg_64(r10 - 8, r1)\nr1 = *(u64 *)(r10 -8)\nr0 = *(u64 *)(r1 -8)" + out, NotPointer, ""},
		{"fetched or", "xdp", "*(u64 *)(r10 -8) = r10\nr1 = 0\nr1 = atomic64_fetch_or((u64 *)(r10 -8), r1)\nr0 = *(u64 *)(r1 -8)" + out, "", ""},
	})
}

// TestHostileLoops: loops that do not end, or only after all their states.
func TestHostileLoops(t *testing.T) {
	checkShapes(t, []shape{
		{"period of 7", "xdp", "r6 = 0\nagain:\nr6 += 1\nif r6 != 7 goto again\nr6 = 0\ngoto again", Unbounded, ""},
		{"doubling to 0 and again", "xdp", "r6 = 1\nagain:\nr6 <<= 1\nif r6 != 0 goto again\nr6 = 1\ncall 7\nif r0 != 5 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"inner resets outer", "xdp", "r6 = 0\nouter:\nr7 = 0\ninner:\nr7 += 1\nif r7 < 5 goto inner\ncall 7\nif r0 == 5 goto l\nr6 = 0\nl:\nr6 += 1\nif r6 < 9 goto outer\nr0 = 0\nexit", Unbounded, ""},
		{"counter in memory", "xdp", "r8 = map[10][0]+0\nagain:\nr6 = *(u64 *)(r8 +0)\nr6 += 1\n*(u64 *)(r8 +0) = r6\nif r6 < 10 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"sign of a byte", "xdp", "r6 = 0\nagain:\nr6 += 1\nr6 = (s8)r6\nif r6 s< 500 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"swap of two", "xdp", "r6 = 0\nr7 = 1\nagain:\nr8 = r6\nr6 = r7\nr7 = r8\nif r6 != 2 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"up and down", "xdp", "call 7\nr6 = r0\nr6 &= 255\nagain:\ncall 7\nif r0 > 5 goto d\nr6 += 1\ngoto c\nd:\nr6 += -1\nc:\nif r6 s> 300 goto e\nif r6 s> 0 goto again\ne:\nr0 = 0\nexit", Unbounded, ""},
		{"steps of 0", "xdp", "call 7\nr7 = r0\nr7 &= 3\nr6 = 0\nagain:\nr6 += r7\nif r6 < 100 goto again\nr0 = 0\nexit", Unbounded, ""},
		{"rotating bits", "xdp", "r6 = 1\nagain:\nr7 = r6\nr7 >>= 63\nr6 <<= 1\nr6 |= r7\nif r6 != 0 goto again\nr0 = 0\nexit", Unbounded, ""},
	})
}
