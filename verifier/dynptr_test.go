package verifier

import "testing"

// TestPacketDynptrs: dynptrs of packets, clones, and the kfuncs on both.
func TestPacketDynptrs(t *testing.T) {
	const skb = "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\n"
	const xdp = "r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_xdp\n"
	slice := func(name string) string {
		return "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_" + name + "\nif r0 == 0 goto out\nr7 = r0\n"
	}
	const local = "r1 = map[10][0]+0\nr2 = 32\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n"
	const reserve = "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n"
	const clone = "r1 = r10\nr1 += -16\nr2 = r10\nr2 += -32\ncall bpf_dynptr_clone\n"
	submit := func(at string) string { return "r1 = r10\nr1 += " + at + "\nr2 = 0\ncall 199\n" }
	const use, change = "r0 = *(u64 *)(r7 +0)", "*(u64 *)(r7 +0) = 1"
	const pull = "r1 = r6\nr2 = 0\ncall 39\n"
	checkShapes(t, []shape{
		{"skb", "sched_cls", skb + slice("slice") + use + out, "", ""},
		{"skb, past the slice", "sched_cls", skb + slice("slice") + "r0 = *(u64 *)(r7 +1)" + out, OutOfBounds, ""},
		{"skb slice may be null", "sched_cls", skb + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\nr4 = 8\ncall bpf_dynptr_slice\nr0 = *(u64 *)(r0 +0)" + out, NullPointer, ""},
		{"skb slice is to be read", "sched_cls", skb + slice("slice") + change + out, ReadOnly, ""},
		{"skb slice to be written", "sched_cls", skb + slice("slice_rdwr") + change + out, "", ""},
		{"skb slice after the packet has moved", "sched_cls", skb + slice("slice") + pull + use + out, NotPointer, ""},
		{"skb slice after a write", "sched_cls", "*(u64 *)(r10 -40) = 0\n" + skb + slice("slice") + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\nr5 = 0\ncall 202\n" + use + out, NotPointer, ""},
		{"skb dynptr after the packet has moved", "sched_cls", skb + pull + slice("slice") + use + out, "", ""},
		{"spilled skb slice after the packet has moved", "sched_cls", skb + slice("slice") + "*(u64 *)(r10 -24) = r7\n" + pull + "r7 = *(u64 *)(r10 -24)\n" + use + out, NotPointer, ""},
		{"packet pointer after a write by dynptr", "sched_cls", `
			*(u64 *)(r10 -40) = 0
			r7 = *(u32 *)(r1 +76)
			r2 = *(u32 *)(r1 +80)
			r3 = r7
			r3 += 8
			if r3 > r2 goto out
			` + skb + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\nr5 = 0\ncall 202\n" + use + out, NotPointer, ""},
		{"cgroup_skb writes through a slice", "cgroup_skb", skb + slice("slice_rdwr") + change + "\nout:\nr0 = 1\nexit", ReadOnly, ""},
		{"cgroup_skb reads through a slice", "cgroup_skb", skb + slice("slice") + use + "\nout:\nr0 = 1\nexit", "", ""},
		{"xdp", "xdp", xdp + slice("slice_rdwr") + change + out, "", ""},
		{"xdp slice after the packet has moved", "xdp", xdp + slice("slice_rdwr") + "r1 = r6\nr2 = 0\ncall 44\n" + change + out, NotPointer, ""},
		{"xdp slice after a write", "xdp", "*(u64 *)(r10 -40) = 0\n" + xdp + slice("slice") + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -40\nr4 = 8\nr5 = 0\ncall 202\n" + use + out, "", ""},
		{"xdp asked for in a filter", "sched_cls", xdp + out, UnknownCallee, ""},
		{"skb asked for in xdp", "xdp", skb + out, UnknownCallee, ""},
		{"not the context", "xdp", "r6 = r1\nr1 = r10\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_xdp" + out, BadArgument, ""},
		{"submitted", "xdp", xdp + submit("-16") + out, BadArgument, ""},
		{"slice after its dynptr was overwritten", "xdp", xdp + slice("slice_rdwr") + "*(u64 *)(r10 -16) = 0\n" + use + out, NotPointer,
			"the kernel ends slices of no flags only: those of packets live on"},
		{"slice of unknown size", "xdp", xdp + "call 7\nr4 = r0\nr4 &= 7\nr4 += 1\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 0\ncall bpf_dynptr_slice" + out, BadArgument, ""},
		{"slice with a buffer", "xdp", "*(u64 *)(r10 -24) = 0\n" + xdp + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -24\nr4 = 8\ncall bpf_dynptr_slice\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 +0)" + out, "", ""},
		{"slice with a buffer that is too small", "xdp", "*(u64 *)(r10 -8) = 0\n" + xdp + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 16\ncall bpf_dynptr_slice" + out, OutOfBounds, ""},
		{"slice whose buffer is the dynptr", "xdp", xdp + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += -16\nr4 = 8\ncall bpf_dynptr_slice" + out, BadPointer, ""},
		{"slice to be written of a map's value", "xdp", local + slice("slice_rdwr") + change + out, "", ""},
		{"slice of a map's value after the packet has moved", "xdp", "r6 = r1\n" + local + slice("slice_rdwr") + "r1 = r6\nr2 = 0\ncall 44\n" + change + out, "", ""},
		{"adjusted", "xdp", local + "r1 = r10\nr1 += -16\nr2 = 4\nr3 = 8\ncall bpf_dynptr_adjust" + out, "", ""},
		{"size as an index", "xdp", local + "r1 = r10\nr1 += -16\ncall bpf_dynptr_size\nr2 = map[10][0]+0\nr2 += r0\nr0 = *(u8 *)(r2 +0)" + out, OutOfBounds, ""},
		{"cloned", "xdp", local + clone + out, "", ""},
		{"clone of nothing", "xdp", clone + out, BadArgument, ""},
		{"clone outlives its original", "xdp", local + clone + "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -32\nr2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto out\n*(u64 *)(r0 +0) = 1" + out, "", ""},
		{"clone of a reservation submitted", "xdp", reserve + clone + submit("-32") + out, "", ""},
		{"clone of a reservation submitted twice", "xdp", reserve + clone + submit("-32") + submit("-16") + out, BadArgument, ""},
		{"original submitted, then its clone", "xdp", reserve + clone + submit("-16") + submit("-32") + out, BadArgument, ""},
		{"clone of a reservation leaked", "xdp", reserve + clone + out, Unreleased, ""},
		{"clone of a reservation overwritten", "xdp", reserve + clone + "*(u64 *)(r10 -32) = 0\n" + submit("-16") + out, BadPointer, ""},
		{"reserved over a clone of a reservation", "xdp", reserve + clone + "r1 = map[2]\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -32\ncall 198\n" + submit("-16") + submit("-32") + out, BadArgument, ""},
		{"slice of a clone after the original was submitted", "xdp", reserve + clone + "r1 = r10\nr1 += -32\nr2 = 0\nr3 = 8\ncall 203\nr7 = r0\n" + submit("-16") + "if r7 == 0 goto out\n" + use + out, NotPointer, ""},
		{"slice of the original after its clone was submitted", "xdp", reserve + clone + "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\nr7 = r0\n" + submit("-32") + "if r7 == 0 goto out\n" + use + out, NotPointer, ""},
		{"cloned in a subprogram, submitted by its caller", "xdp", `
			r1 = r10
			r1 += -16
			call f
			` + submit("-16") + `
			r0 = 0
			exit
		f:
			r6 = r1
			r1 = map[2]
			r2 = 64
			r3 = 0
			r4 = r10
			r4 += -16
			call 198
			r1 = r10
			r1 += -16
			r2 = r6
			call bpf_dynptr_clone
			r0 = 0
			exit`, "", ""},
		{"packet slice as memory that a helper writes", "sched_cls", skb + slice("slice_rdwr") + "r1 = r6\nr2 = 0\nr3 = r7\nr4 = 8\ncall 26" + out, BadArgument,
			"the kernel takes it; here it may overlap what the helper reads"},
		{"packet slice as memory that a helper reads", "sched_cls", skb + slice("slice") + "r1 = map[2]\nr2 = r7\nr3 = 8\nr4 = 0\ncall 130" + out, "", ""},
	})
}
