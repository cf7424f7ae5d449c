package vm_test

import (
	"fmt"
	"testing"
)

// TestIterBits goes over the bits of words of results, 64 bytes from 128 on.
// Each step clears the first: the iterator has a copy.
func TestIterBits(t *testing.T) {
	const next = "r1 = r10\nr1 += -16\ncall bpf_iter_bits_next\n"
	var cs []construct
	for _, seed := range []string{"0", "1", "-1", "0x8000000000000001 ll", "0x00f0000000000000 ll", "4294967296 ll"} {
		for _, n := range []int{0, 1, 2, 5, 8} {
			cs = append(cs, construct{name: fmt.Sprintf("%s, %d words", seed, n), text: "r1 = " + seed + `
				*(u64 *)(r9 +128) = r1
				*(u64 *)(r9 +144) = r1
				*(u64 *)(r9 +184) = r1
				r1 <<= 1
				*(u64 *)(r9 +152) = r1
				r1 = r10
				r1 += -16
				r2 = r9
				r2 += 128
				` + fmt.Sprintf("r3 = %d\n", n) + `
				call bpf_iter_bits_new
				*(u64 *)(r9 +0) = r0
			again:
				` + next + `
				if r0 == 0 goto done
				r1 = *(u32 *)(r0 +0)
				*(u64 *)(r9 +8) = r1
				r2 = *(u64 *)(r9 +16)
				r2 *= 31
				r2 += r1
				*(u64 *)(r9 +16) = r2
				r2 = *(u64 *)(r9 +24)
				r2 += 1
				*(u64 *)(r9 +24) = r2
				r1 = 0
				*(u64 *)(r9 +128) = r1
				goto again
			done:
				` + next + `
				*(u64 *)(r9 +32) = r0
				r1 = r10
				r1 += -16
				call bpf_iter_bits_destroy
				` + exit0})
		}
	}
	cs = append(cs, construct{name: "no words", text: "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 1\ncall bpf_iter_bits_new\n*(u64 *)(r9 +0) = r0\n" + next + "*(u64 *)(r9 +8) = r0\nr1 = r10\nr1 += -16\ncall bpf_iter_bits_destroy\n" + exit0})
	checkConstructs(t, cs)
}
