package linux

import (
	"testing"
)

// TestTypes checks that every type is whole, and that names lead back to it.
func TestTypes(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range Platform.Types() {
		if err := typ.Check(); err != nil {
			t.Error(err)
		}
		if seen[typ.Name] {
			t.Errorf("%s: twice", typ.Name)
		}
		seen[typ.Name] = true
		if got := Platform.Type(typ.Name); got != typ {
			t.Errorf("Type(%q) = %v", typ.Name, got)
		}
		if typ.Helpers.Helper(1) == nil {
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
		{"kprobe/do_sys_open", "kprobe", "", "do_sys_open"},
		{"kretprobe.multi/tcp_*", "kprobe", "", "tcp_*"},
		{"uprobe.s//bin/bash:main", "kprobe", "", "/bin/bash:main"},
		{"tracepoint/sched/sched_switch", "tracepoint", "", "sched/sched_switch"},
		{"tp/sched/sched_switch", "tracepoint", "", "sched/sched_switch"},
		{"raw_tp/sys_enter", "raw_tracepoint", "", "sys_enter"},
		{"raw_tracepoint.w/nbd", "raw_tracepoint_writable", "", "nbd"},
		{"tp_btf/task_rename", "tracing", "trace_raw_tp", "task_rename"},
		{"fentry.s/f", "tracing", "", "f"},
		{"iter/bpf_map", "tracing", "trace_iter", "bpf_map"},
		{"lsm/file_open", "lsm", "", "file_open"},
		{"lsm_cgroup/socket_bind", "lsm", "lsm_cgroup", "socket_bind"},
		{"freplace/f", "ext", "", "f"},
		{"struct_ops/init", "struct_ops", "", "init"},
		{"syscall", "syscall", "", ""},
		{"perf_event", "perf_event", "", ""},
		{"cgroup_skb/egress", "cgroup_skb", "cgroup_inet_egress", ""},
		{"cgroup/skb", "cgroup_skb", "", ""},
		{"cgroup/sock_create", "cgroup_sock", "", ""},
		{"cgroup/post_bind6", "cgroup_sock", "cgroup_inet6_post_bind", ""},
		{"cgroup/connect4", "cgroup_sock_addr", "", ""},
		{"cgroup/bind6", "cgroup_sock_addr", "cgroup_inet6_bind", ""},
		{"cgroup/sendmsg_unix", "cgroup_sock_addr", "cgroup_unix_sendmsg", ""},
		{"cgroup/recvmsg6", "cgroup_sock_addr", "cgroup_udp6_recvmsg", ""},
		{"cgroup/setsockopt", "cgroup_sockopt", "cgroup_setsockopt", ""},
		{"cgroup/sysctl", "cgroup_sysctl", "", ""},
		{"cgroup/dev", "cgroup_device", "", ""},
		{"sockops", "sock_ops", "", ""},
		{"sk_skb/stream_verdict", "sk_skb", "", ""},
		{"sk_msg", "sk_msg", "", ""},
		{"sk_lookup", "sk_lookup", "", ""},
		{"sk_reuseport/migrate", "sk_reuseport", "sk_reuseport_select_or_migrate", ""},
		{"lwt_seg6local", "lwt_seg6local", "", ""},
		{"flow_dissector", "flow_dissector", "", ""},
		{"netfilter", "netfilter", "", ""},
		{"xdp_devmap/out", "xdp", "xdp_devmap", "out"},
		{"kprobed", "", "", ""},
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
