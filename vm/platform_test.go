package vm_test

import (
	"context"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/vm"
)

// TestPlatformHost: a helper that asks the host is refused when nobody is there
// to answer, by the name of what to give, and runs in each engine otherwise.
func TestPlatformHost(t *testing.T) {
	const text = "call 80\nexit"
	for _, e := range usable(t) {
		p, err := vmLoad(t, linux.Kprobe, text, vm.Options{Engine: e})
		if err == nil || !strings.Contains(err.Error(), "get_current_cgroup_id (helper 80), which needs what the host does not give: linux.Host.Task.Cgroups") {
			t.Errorf("%s: %v, %v", e, p, err)
		}
		host := &linux.Host{Task: linux.Task{Cgroups: func(helpers.Env) []uint64 { return []uint64{1, 42} }}}
		c := load(t, linux.Kprobe, text, vm.Options{Engine: e, Host: helpers.Host{Platform: host}})
		if got, err := c.Program("p").Run(nil); got != 42 || err != nil {
			t.Errorf("%s: %d, %v", e, got, err)
		}
		if _, err := vmLoad(t, linux.Kprobe, "r1 = 0\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 36\nexit", unproven); err == nil || !strings.Contains(err.Error(), "linux.Host.Memory.Write") {
			t.Errorf("probe_write_user: %v", err)
		}
	}
}

// TestRunState: what a run is told beforehand, and what it leaves.
func TestRunState(t *testing.T) {
	const text = "r6 = r1\ncall 173\nr7 = r0\nr1 = r6\ncall 174\nr7 += r0\nr1 = r6\nr2 = 9\ncall 58\nr0 = r7\nexit"
	for _, e := range usable(t) {
		p := load(t, linux.Kprobe, text, vm.Options{Engine: e}).Program("p")
		for range 2 {
			var after linux.Probe
			r, err := p.Do(context.Background(), make([]byte, 168), vm.RunOptions{
				State:   func(s any) { s.(*linux.State).Probe = linux.Probe{FuncIP: 1000, Cookie: 7} },
				Outcome: func(s any) { after = s.(*linux.State).Probe },
			})
			if err != nil || r.R0 != 1007 || !after.Overridden || after.Override != 9 {
				t.Errorf("%s: %d, %v, %+v", e, r.R0, err, after)
			}
		}
		if got, err := p.Run(nil); got != 0 || err != nil {
			t.Errorf("%s: a later run knows of the earlier: %d, %v", e, got, err)
		}
	}
}

// TestProbeReadEngines reads the program's own memory: its stack, its context, a
// value of a map.
func TestProbeReadEngines(t *testing.T) {
	for _, e := range usable(t) {
		const text = "r6 = r1\n*(u64 *)(r10 -8) = 5\nr1 = r10\nr1 += -16\nr2 = 8\nr3 = r10\nr3 += -8\ncall 113\nr7 = *(u64 *)(r10 -16)\nr7 += r0\n" +
			"r1 = r10\nr1 += -16\nr2 = 8\nr3 = r6\nr3 += 112\ncall 4\nr1 = *(u64 *)(r10 -16)\nr7 += r1\nr7 += r0\n" +
			"r1 = r10\nr1 += -16\nr2 = 8\nr3 = 0xffff888000000000 ll\ncall 113\nr1 = *(u64 *)(r10 -16)\nr0 += r1\nr7 += r0\nr0 = r7\nexit"
		ctx := make([]byte, 168)
		ctx[112] = 100
		p := load(t, linux.Kprobe, text, vm.Options{Engine: e}).Program("p")
		if got, err := p.Run(ctx); int64(got) != 105-14 || err != nil {
			t.Errorf("%s: %d, %v", e, int64(got), err)
		}
	}
}
