package vm_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// writeBytes stores b, of 8 bytes or a multiple, in results at off.
func writeBytes(off int, b []byte) (s string) {
	for i := 0; i < len(b); i += 8 {
		s += fmt.Sprintf("r1 = %#x ll\n*(u64 *)(r9 +%d) = r1\n", binary.NativeEndian.Uint64(b[i:]), off+i)
	}
	return s
}

// keepCookie leaves an error, or the size that a cookie stands for, in results at
// off: the rest is secret. The cookie stays in R7.
func keepCookie(off int) string {
	return fmt.Sprintf("r7 = r0\nif r0 s< 0 goto +1\nr0 >>= 32\n*(u64 *)(r9 +%d) = r0\n", off)
}

// acknowledge makes the TCP header in results at th one that answers the cookie in
// R7, its sequence number being late by late.
func acknowledge(th, late int) string {
	return fmt.Sprintf("w7 += 1\nr7 = be32 r7\n*(u32 *)(r9 +%[1]d) = r7\nr1 = *(u32 *)(r9 +%[2]d)\nr1 = be32 r1\nw1 += %[3]d\nr1 = be32 r1\n*(u32 *)(r9 +%[2]d) = r1\n", th+8, th+4, 1+late)
}

// TestSynCookies makes cookies for requests with all kinds of options, and checks
// them, in the kernel, too. Headers of IP are in results at 128, of TCP at 168.
func TestSynCookies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	mss := func(v int) []byte { return []byte{2, 4, byte(v >> 8), byte(v)} }
	options := [][]byte{nil, mss(536), mss(535), mss(0), mss(1299), mss(1300), mss(1439), mss(1440), mss(1460), mss(1220), mss(1420), mss(8940), mss(65535),
		{1, 1, 1, 1, 2, 4, 5, 0xb4}, {0, 2, 4, 5, 0xb4, 0, 0, 0}, {2, 4, 5}, {2, 3, 5, 0xb4}, {2, 1, 0, 0, 2, 4, 5, 0xb4}, {3, 0, 2, 4},
		{8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 5, 0xb4}, append(mss(1460), mss(1300)...), {2, 200, 1, 1}, {1, 2}}
	var cs []construct
	for _, v := range []struct{ name, size, gen, check string }{{"IPv4", "20", "204", "206"}, {"IPv6", "40", "205", "207"}} {
		for i, opt := range options {
			for _, wrong := range []int{0, 0, -1, 4, -20} { // how the size differs from what the header says
				ip, th := make([]byte, 40), make([]byte, 64)
				for j := range ip {
					ip[j] = byte(r.Uint32())
				}
				for j := range th {
					th[j] = byte(r.Uint32())
				}
				size := 20 + (len(opt)+3)&^3
				clear(th[20:])
				copy(th[20:], opt)
				th[12] = byte(size/4)<<4 | th[12]&15
				call := "r1 = r9\nr1 += 128\nr2 = r9\nr2 += 168\n"
				cs = append(cs, construct{name: fmt.Sprintf("%s, options %d, %+d", v.name, i, wrong), text: writeBytes(128, ip) + writeBytes(168, th) +
					call + fmt.Sprintf("r3 = %d\ncall %s\n", size+wrong, v.gen) + keepCookie(0) + acknowledge(168, 0) +
					call + "call " + v.check + "\n" + keep(8) + "r1 = *(u8 *)(r9 +169)\nr1 ^= 1\n*(u8 *)(r9 +169) = r1\n" +
					call + "call " + v.check + "\n" + keep(16) + "r1 = *(u8 *)(r9 +169)\nr1 ^= 1\n*(u8 *)(r9 +169) = r1\n" +
					call + "call " + v.check + "\n" + keep(24) + "r1 = *(u8 *)(r9 +175)\nr1 += 77\n*(u8 *)(r9 +175) = r1\n" +
					call + "call " + v.check + "\n" + keep(32) +
					"r1 = 0\n*(u32 *)(r9 +172) = r1\n*(u32 *)(r9 +176) = r1\n" + exit0})
			}
		}
	}
	checkConstructs(t, cs)
}
