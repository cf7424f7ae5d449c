package helpers_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
)

// TestCsumDiffKernel compares csum_diff with the kernel's on sizes from 0 to
// 128, odd ones included, with sums that are and are not 0 modulo 0xffff.
func TestCsumDiffKernel(t *testing.T) {
	const from, to, fromSize, toSize, seed = 64, 512, 8, 16, 24
	c := kcall.New(t, oracle.SchedCls, 28, helpers.Base().Helper(28), nil,
		kcall.Arg{Kind: kcall.Addr, Off: from}, kcall.Arg{Kind: kcall.SizeOrZero, Off: fromSize, Max: 128},
		kcall.Arg{Kind: kcall.Addr, Off: to}, kcall.Arg{Kind: kcall.SizeOrZero, Off: toSize, Max: 128},
		kcall.Arg{Kind: kcall.Num, Off: seed})
	rng := rand.New(rand.NewPCG(3, 4))
	n := 2000
	if !testing.Short() {
		n = 10000
	}
	for i := range n {
		buf := make([]byte, kcall.BufSize)
		fill := rng.IntN(4)
		for _, at := range []int{from, to} {
			for j := range 128 {
				switch fill {
				case 0:
					buf[at+j] = 0xff
				case 1: // zeros
				default:
					buf[at+j] = byte(rng.Uint32())
				}
			}
		}
		fs, ts := rng.IntN(129), rng.IntN(129)
		if i%3 == 0 {
			fs, ts = fs&^3, ts&^3
		}
		switch i % 5 {
		case 0:
			fs = 0
		case 1:
			ts = 0
		}
		put64(buf, fromSize, uint64(fs))
		put64(buf, toSize, uint64(ts))
		put64(buf, seed, []uint64{0, 0xffff, 0xffffffff, rng.Uint64()}[rng.IntN(4)])
		c.Compare(fmt.Sprintf("%d bytes, %d bytes, fill %d", fs, ts, fill), buf, nil)
	}
}
