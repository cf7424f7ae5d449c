package linux

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
)

// TestCloneRedirectKernel compares clone_redirect to the loopback device, and to
// what cannot be one, with the kernel's.
func TestCloneRedirectKernel(t *testing.T) {
	c := on(t, SchedCls, oracle.SchedCls, 13, ctxArg, num(2), num(3))
	for _, frame := range frames(rand.New(rand.NewPCG(3, 4))) {
		for _, ifindex := range []uint64{0, 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1} {
			for _, flags := range []uint64{0, 1, 2, 3, 4, 1 << 32} {
				buf := make([]byte, kcall.BufSize)
				put64(buf, 16, ifindex)
				put64(buf, 24, flags)
				c.Compare(fmt.Sprintf("device %d, flags %#x, %d bytes", ifindex, flags, len(frame)), buf, frame)
			}
		}
	}
}
