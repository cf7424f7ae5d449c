package vm_test

import (
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/vm"
)

// TestReplacedHelpersAreCalled: a host's replacement of a helper that machine
// code could do without is called, also if it is a copy with another body.
func TestReplacedHelpersAreCalled(t *testing.T) {
	needCompiler(t)
	const text = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\n" +
		"*(u64 *)(r10 -16) = 7\nr1 = map[0]\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\ncall 2\nr1 = map[0]\nr2 = r10\nr2 += -4\ncall 3\ncall 8\nexit"
	calls := map[helpers.ID]int{}
	o := compiled
	o.Helpers = map[helpers.ID]*helpers.Func{}
	for _, id := range []helpers.ID{1, 2, 3, 8} {
		f := *helpers.Base().Helper(id)
		impl := f.Impl
		f.Impl = func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
			calls[id]++
			return impl(env, a1, a2, a3, a4, a5)
		}
		o.Helpers[id] = &f
	}
	p := load(t, packetType, text, o, sum64()).Program("p")
	if e, why := p.Engine(); e != vm.JIT {
		t.Fatalf("engine %s: %s", e, why)
	}
	if _, err := p.Run(nil); err != nil {
		t.Fatal(err)
	}
	for id := range o.Helpers {
		if calls[id] != 1 {
			t.Errorf("helper %d: %d calls", id, calls[id])
		}
	}
}
