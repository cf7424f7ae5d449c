//go:build linux || darwin || windows

package rttest

import (
	"testing"

	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/arm64"
)

// TestFeatures runs an instruction of each optional set that the host claims to
// have, and what stands in for it.
func TestFeatures(t *testing.T) {
	f := rt.HostFeatures()
	const x = 1000
	for _, tc := range []struct {
		name string
		has  bool
		emit func(c arm64Coder) // memory at Frame is x; R0 = f(memory)
		want uint64
	}{
		{"LSE", f.LSE, func(c arm64Coder) {
			c.MovI(arm64.R2, 7)
			c.Ldadd(arm64.S64, arm64.AcqRel, arm64.R2, arm64.R3, frame)
			c.Ldr(arm64.S64, result, arm64.At(frame, 0))
			c.Add(arm64.W64, result, result, arm64.R3)
		}, x + x + 7},
		{"no LSE", true, func(c arm64Coder) {
			again := c.NewLabel()
			c.Bind(again)
			c.Ldxr(arm64.S64, arm64.Acquire, arm64.R3, frame)
			c.AddI(arm64.W64, arm64.R2, arm64.R3, 7)
			c.Stxr(arm64.S64, arm64.Release, arm64.R4, arm64.R2, frame)
			c.Cbnz(arm64.W32, arm64.R4, again)
			c.Ldr(arm64.S64, result, arm64.At(frame, 0))
			c.Add(arm64.W64, result, result, arm64.R3)
		}, x + x + 7},
		{"LRCPC", f.LRCPC, func(c arm64Coder) { c.Ldapr(arm64.S64, result, frame) }, x},
		{"count", true, func(c arm64Coder) {
			c.Ldr(arm64.S64, arm64.R2, arm64.At(frame, 0))
			c.FmovToV(arm64.W64, 0, arm64.R2)
			c.Cnt(0, 0)
			c.Addv(0, 0)
			c.FmovFromV(arm64.W32, result, 0)
		}, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !tc.has {
				t.Skip("the CPU has none of it")
			}
			checkFeature(t, func(c coder) {
				a := c.(arm64Coder)
				a.MovI(arm64.R2, x)
				a.Str(arm64.S64, arm64.R2, arm64.At(frame, 0))
				tc.emit(a)
				a.leave(rt.Done)
			}, tc.want)
		})
	}
}
