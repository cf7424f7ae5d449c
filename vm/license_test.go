package vm_test

import (
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// TestLicense loads a program that calls a helper which the kernel keeps for
// GPL programs (bpf-helpers(7), trace_printk): any license will do, unless the
// host asks for a compatible one.
func TestLicense(t *testing.T) {
	insns, err := prog.Assemble("r1 = r10\nr1 += -8\n*(u64 *)(r10 -8) = 0\nr2 = 8\ncall 6\nr0 = 0\nexit")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		license string
		check   bool
		ok      bool
	}{
		{"Proprietary", false, true},
		{"Proprietary", true, false},
		{"", true, false},
		{"Dual BSD/GPL", true, true},
		{"GPL", true, true},
	} {
		p, err := prog.FromInsns("p", linux.XDP, insns, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.License = tc.license
		c, err := vm.LoadProgram(p, vm.Options{Rules: verifier.Options{CheckLicense: tc.check}})
		if err == nil {
			c.Close()
		}
		if (err == nil) != tc.ok {
			t.Errorf("license %q, checked %v: got %v", tc.license, tc.check, err)
		}
		if !tc.ok && (err == nil || !strings.Contains(err.Error(), "trace_printk")) {
			t.Errorf("license %q: %v does not name the helper", tc.license, err)
		}
	}
}
