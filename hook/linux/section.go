package linux

import (
	"strings"

	"github.com/skepvm/skep/hook"
)

// A section is one row of libbpf's table of section names. A name that ends in
// "+" stands for itself, and for itself with "/" and an attach target.
type section struct {
	name      string
	typ       *hook.Type
	sleepable bool
	loose     bool // libbpf before 1.0 took any name that begins with it
}

// sections is ordered: the first match decides.
var sections = []section{
	{name: "socket", loose: true, typ: SocketFilter},
	{name: "tc/ingress", typ: SchedCls},
	{name: "tc/egress", typ: SchedCls},
	{name: "tcx/ingress", typ: SchedCls},
	{name: "tcx/egress", typ: SchedCls},
	{name: "tc", typ: SchedCls},
	{name: "classifier", loose: true, typ: SchedCls},
	{name: "action", loose: true, typ: SchedAct},
	{name: "netkit/primary", typ: SchedCls},
	{name: "netkit/peer", typ: SchedCls},
	{name: "xdp.frags/devmap", loose: true, typ: XDPDevmap},
	{name: "xdp/devmap", loose: true, typ: XDPDevmap},
	{name: "xdp.frags/cpumap", loose: true, typ: XDPCpumap},
	{name: "xdp/cpumap", loose: true, typ: XDPCpumap},
	{name: "xdp.frags", loose: true, typ: XDP},
	{name: "xdp", loose: true, typ: XDP},
}

// Section finds name in libbpf's table. A name that libbpf 1.0 no longer takes
// but earlier ones did, because it only begins with one of the table's
// ("xdp_filter", "socket/http"), is found too: objects keep such names.
func (platform) Section(name string) (hook.Section, bool) {
	name = strings.TrimPrefix(name, "?") // libbpf: do not load by default
	for i := range sections {
		if target, ok := sections[i].match(name); ok {
			return sections[i].section(target), true
		}
	}
	for i := range sections {
		s := &sections[i]
		if rest, ok := strings.CutPrefix(name, s.name); ok && s.loose {
			return s.section(strings.TrimLeft(rest, "/_")), true
		}
	}
	return hook.Section{}, false
}

func (s *section) match(name string) (target string, ok bool) {
	base, open := strings.CutSuffix(s.name, "+")
	rest, ok := strings.CutPrefix(name, base)
	if !ok {
		return "", false
	}
	if rest == "" {
		return "", true
	}
	target, ok = strings.CutPrefix(rest, "/")
	return target, ok && open
}

func (s *section) section(target string) hook.Section {
	return hook.Section{Type: s.typ, Attach: target, Sleepable: s.sleepable}
}
