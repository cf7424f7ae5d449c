package verifier

import (
	"os"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

// TestRulesKernel loads the example of each code into the kernel, whose log must
// have the words that the rule quotes. Examples that need options have none in
// a privileged load, and are left out.
func TestRulesKernel(t *testing.T) {
	oracle.Skip(t)
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err != nil || !strings.HasPrefix(string(release), "6.18") {
		t.Skipf("the words are those of Linux 6.18, not of %s: %v", release, err)
	}
	types := map[string]uint32{"xdp": oracle.XDP, "cgroup_skb": 8, "kprobe": 2}
	var ms []*oracle.Map
	for _, s := range exampleMaps {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms = append(ms, m)
	}
	asked := 0
	for _, r := range Rules() {
		if r.Kernel == "" || r.Example.Options.Strict || r.Example.Options.MaxVisits != 0 {
			continue
		}
		asked++
		t.Run(string(r.Code), func(t *testing.T) {
			insns, err := prog.Assemble(r.Example.Asm)
			if err != nil {
				t.Fatal(err)
			}
			license := "GPL"
			if r.Example.Options.CheckLicense {
				license = "none"
			}
			p, log, err := oracle.Load(oracle.LoadOptions{Type: types[r.Example.Type], Insns: insns, Maps: ms, NoFuncInfo: true, License: license})
			if err == nil {
				p.Close()
				t.Fatalf("the kernel accepts it:\n%s", log)
			}
			if !strings.Contains(log, r.Kernel) {
				t.Errorf("the kernel does not say %q but\n%s", r.Kernel, log)
			}
		})
	}
	if asked < 15 {
		t.Errorf("only %d examples were loaded", asked)
	}
}
