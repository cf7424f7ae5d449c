package vm_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// unreached calls what there is not unless word 0 of a map is 0: a helper without
// a body, one that asks a host that says nothing, and one that there is not.
const unreached = `
r0 = map[0][0]+0
r6 = *(u32 *)(r0 +0)
if r6 == 0 goto out
r1 = 2
if r6 == r1 goto other
call 158
goto out
other:
call 35
call 9999
out:
r0 = 7
exit`

// TestUnreached: a program may have calls of functions that the host does not give
// where a constant says that no run comes, as programs do that go with many
// kernels and options. In a map that can be written they are refused, and so is a
// program without a proof.
func TestUnreached(t *testing.T) {
	for _, frozen := range []bool{true, false} {
		s := &maps.Spec{Name: ".rodata", Type: maps.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Contents: []maps.Entry{{Key: make([]byte, 4), Value: make([]byte, 4)}}}
		if frozen {
			s.Flags, s.Frozen = maps.ReadOnlyProg, true
		}
		p, err := prog.FromInsns("p", linux.RawTracepoint, assemble(t, unreached), []*maps.Spec{s})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range usable(t) {
			c, err := vm.LoadProgram(p, vm.Options{Engine: e, Verify: vm.VerifyRequire})
			if frozen == (err != nil) {
				t.Fatalf("%s, frozen %v: %v", e, frozen, err)
			}
			if err != nil {
				continue
			}
			if r0, err := c.Program("p").Run(nil); r0 != 7 || err != nil {
				t.Errorf("%s: %d, %v", e, r0, err)
			}
			c.Close()
		}
		if _, err := vm.LoadProgram(p, unproven); err == nil || !strings.Contains(err.Error(), "get_current_task_btf") {
			t.Errorf("without a proof: %v", err)
		}
	}
}

// TestUnreachedAfterAll: the checked interpreter, which trusts no proof, ends a run
// that comes to such a call after all, here by a debugger's hand.
func TestUnreachedAfterAll(t *testing.T) {
	for _, call := range []string{"158", "35", "9999"} {
		p, err := prog.FromInsns("p", linux.RawTracepoint, assemble(t, "r6 = 0\nif r6 == 0 goto +1\ncall "+call+"\nr0 = 0\nexit"), nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.LoadProgram(p, vm.Options{Engine: vm.Checked, Verify: vm.VerifyRequire, Host: helpers.Host{}})
		if err != nil {
			t.Fatal(err)
		}
		o := vm.RunOptions{Observe: func(_ *vm.Program, pc int, regs *[16]uint64) {
			if pc == 1 {
				regs[6] = 1
			}
		}}
		if _, err := c.Program("p").Do(context.Background(), nil, o); !errors.As(err, new(*vm.Fault)) {
			t.Errorf("call %s: %v, want a fault", call, err)
		}
		c.Close()
	}
}
