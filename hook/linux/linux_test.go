package linux

import (
	"testing"

	"github.com/skepvm/skep/hook"
)

// TestTypes checks that every type is whole, and that names lead back to it.
func TestTypes(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range Platform.Types() {
		if err := typ.Ctx.Check(); err != nil {
			t.Errorf("%s: %v", typ.Name, err)
		}
		if seen[typ.Name] {
			t.Errorf("%s: twice", typ.Name)
		}
		seen[typ.Name] = true
		if got := Platform.Type(typ.Name); got != typ {
			t.Errorf("Type(%q) = %v", typ.Name, got)
		}
		if typ.Input == hook.InputPacket && typ.Helpers.Helper(1) == nil {
			t.Errorf("%s: no map_lookup_elem", typ.Name)
		}
	}
	if got := Platform.Type("no such type"); got != nil {
		t.Errorf("Type of an unknown name = %v", got)
	}
}

func TestSection(t *testing.T) {
	for _, tc := range []struct{ name, typ, attach, target string }{
		{"xdp", "xdp", "", ""},
		{"xdp.frags", "xdp", "", ""},
		{"xdp/devmap", "xdp", "xdp_devmap", ""},
		{"xdp_filter", "xdp", "", "filter"},
		{"?xdp", "xdp", "", ""},
		{"tc", "sched_cls", "", ""},
		{"tcx/egress", "sched_cls", "", ""},
		{"classifier/main", "sched_cls", "", "main"},
		{"action", "sched_act", "", ""},
		{"socket", "socket_filter", "", ""},
		{"socket_filter", "socket_filter", "", "filter"},
		{"from-netdev", "", "", ""},
		{"2/1", "", "", ""},
		{"tcp", "", "", ""},
		{"", "", "", ""},
	} {
		s, ok := Platform.Section(tc.name)
		if !ok {
			if tc.typ != "" {
				t.Errorf("%q names no type, want %s", tc.name, tc.typ)
			}
			continue
		}
		if s.Type.Name != tc.typ || s.Type.Attach != tc.attach || s.Attach != tc.target {
			t.Errorf("%q: type %q, attach type %q, target %q; want %q, %q, %q", tc.name, s.Type.Name, s.Type.Attach, s.Attach, tc.typ, tc.attach, tc.target)
		}
	}
}
