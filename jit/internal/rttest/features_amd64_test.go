//go:build linux || darwin || windows

package rttest

import (
	"math/bits"
	"testing"

	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/amd64"
)

// TestFeatures runs an instruction of each optional set that the host claims to
// have.
func TestFeatures(t *testing.T) {
	f := rt.HostFeatures()
	const x = 0x00f0_1234_5678_9a00
	for _, tc := range []struct {
		name string
		has  bool
		emit func(c amd64Coder) // RAX = f(RAX)
		want uint64
	}{
		{"BMI1", f.BMI1, func(c amd64Coder) { c.TzcntRR(amd64.W64, result, result) }, uint64(bits.TrailingZeros64(x))},
		{"BMI2", f.BMI2, func(c amd64Coder) { c.RorxRRI(amd64.W64, result, result, 13) }, bits.RotateLeft64(x, -13)},
		{"LZCNT", f.LZCNT, func(c amd64Coder) { c.LzcntRR(amd64.W64, result, result) }, uint64(bits.LeadingZeros64(x))},
		{"MOVBE", f.MOVBE, func(c amd64Coder) {
			c.MovMR(amd64.W64, amd64.At(frame, 0), result)
			c.MovbeRM(amd64.W64, result, amd64.At(frame, 0))
		}, bits.ReverseBytes64(x)},
		{"POPCNT", f.POPCNT, func(c amd64Coder) { c.PopcntRR(amd64.W64, result, result) }, uint64(bits.OnesCount64(x))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !tc.has {
				t.Skip("the CPU has none of it")
			}
			checkFeature(t, func(c coder) {
				a := c.(amd64Coder)
				a.MovRI(result, x)
				tc.emit(a)
				a.leave(rt.Done)
			}, tc.want)
		})
	}
}
