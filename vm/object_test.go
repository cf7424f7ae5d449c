package vm_test

import (
	"fmt"
	"testing"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/vm"
)

// TestObjects reads every field of every object that a context always leads to,
// in runs that were given none: programs need not look whether it is there.
func TestObjects(t *testing.T) {
	seen := 0
	for _, section := range []string{
		"cgroup/connect4", "cgroup/bind6", "cgroup/getsockopt", "cgroup/setsockopt", "sk_msg", "sk_reuseport",
		"sk_reuseport/migrate", "flow_dissector", "xdp", "tc", "cgroup/sysctl", "sk_lookup", "sockops",
	} {
		s, ok := linux.Platform.Section(section)
		if !ok {
			t.Fatalf("no section %q", section)
		}
		typ := s.Type
		for _, f := range typ.Ctx.Fields {
			layout := typ.Objects[f.Object]
			if f.Kind != hook.FieldObject || f.Nullable || layout == nil {
				continue
			}
			seen++
			text := fmt.Sprintf("r1 = *(u64 *)(r1 +%d)\nr6 = 0\n", f.Off)
			for _, m := range layout.Fields {
				if m.Read.Has(4) {
					text += fmt.Sprintf("r2 = *(u32 *)(r1 +%d)\nr6 |= r2\n", m.Off+m.Size-4)
				}
			}
			text += fmt.Sprintf("r0 = %d\nif r6 == 0 goto +1\nr0 = %d\nexit", typ.Return.Max&1, typ.Return.Min&1)
			for _, e := range usable(t) {
				p := load(t, typ, text, vm.Options{Engine: e}).Program("p")
				for range 2 {
					if got, err := p.Run(nil); err != nil || got != uint64(typ.Return.Max&1) {
						t.Errorf("%s, %s, %s: %#x, %v", section, f.Name, e, got, err)
					}
				}
			}
		}
	}
	if seen < 6 {
		t.Errorf("%d objects", seen)
	}
}
