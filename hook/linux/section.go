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
	{name: "socket", typ: SocketFilter, loose: true},
	{name: "sk_reuseport/migrate", typ: skReuseportMigrate},
	{name: "sk_reuseport", typ: SkReuseport, loose: true},
	{name: "kprobe+", typ: Kprobe},
	{name: "uprobe+", typ: Kprobe},
	{name: "uprobe.s+", typ: Kprobe, sleepable: true},
	{name: "kretprobe+", typ: Kprobe},
	{name: "uretprobe+", typ: Kprobe},
	{name: "uretprobe.s+", typ: Kprobe, sleepable: true},
	{name: "kprobe.multi+", typ: Kprobe},
	{name: "kretprobe.multi+", typ: Kprobe},
	{name: "kprobe.session+", typ: kprobeSession},
	{name: "uprobe.multi+", typ: Kprobe},
	{name: "uretprobe.multi+", typ: Kprobe},
	{name: "uprobe.session+", typ: uprobeSession},
	{name: "uprobe.multi.s+", typ: Kprobe, sleepable: true},
	{name: "uretprobe.multi.s+", typ: Kprobe, sleepable: true},
	{name: "uprobe.session.s+", typ: uprobeSession, sleepable: true},
	{name: "ksyscall+", typ: Kprobe},
	{name: "kretsyscall+", typ: Kprobe},
	{name: "usdt+", typ: Kprobe},
	{name: "usdt.s+", typ: Kprobe, sleepable: true},
	{name: "tc/ingress", typ: SchedCls},
	{name: "tc/egress", typ: SchedCls},
	{name: "tcx/ingress", typ: SchedCls},
	{name: "tcx/egress", typ: SchedCls},
	{name: "tc", typ: SchedCls},
	{name: "classifier", typ: SchedCls, loose: true},
	{name: "action", typ: SchedAct, loose: true},
	{name: "netkit/primary", typ: SchedCls},
	{name: "netkit/peer", typ: SchedCls},
	{name: "tracepoint+", typ: Tracepoint},
	{name: "tp+", typ: Tracepoint},
	{name: "raw_tracepoint+", typ: RawTracepoint},
	{name: "raw_tp+", typ: RawTracepoint},
	{name: "raw_tracepoint.w+", typ: RawTracepointWritable},
	{name: "raw_tp.w+", typ: RawTracepointWritable},
	{name: "tp_btf+", typ: tracingRawTp},
	{name: "fentry+", typ: Tracing},
	{name: "fmod_ret+", typ: tracingModifyRet},
	{name: "fexit+", typ: Tracing},
	{name: "fsession+", typ: tracingSession},
	{name: "fentry.s+", typ: Tracing, sleepable: true},
	{name: "fmod_ret.s+", typ: tracingModifyRet, sleepable: true},
	{name: "fexit.s+", typ: Tracing, sleepable: true},
	{name: "fsession.s+", typ: tracingSession, sleepable: true},
	{name: "freplace+", typ: Ext},
	{name: "lsm+", typ: LSM},
	{name: "lsm.s+", typ: LSM, sleepable: true},
	{name: "lsm_cgroup+", typ: lsmCgroup},
	{name: "iter+", typ: tracingIter},
	{name: "iter.s+", typ: tracingIter, sleepable: true},
	{name: "syscall", typ: Syscall, sleepable: true},
	{name: "xdp.frags/devmap", typ: XDPDevmap, loose: true},
	{name: "xdp/devmap", typ: XDPDevmap, loose: true},
	{name: "xdp_devmap/", typ: XDPDevmap, loose: true},
	{name: "xdp_cpumap/", typ: XDPCpumap, loose: true},
	{name: "xdp.frags/cpumap", typ: XDPCpumap, loose: true},
	{name: "xdp/cpumap", typ: XDPCpumap, loose: true},
	{name: "xdp.frags", typ: XDP, loose: true},
	{name: "xdp", typ: XDP, loose: true},
	{name: "perf_event", typ: PerfEvent, loose: true},
	{name: "lwt_in", typ: LwtIn, loose: true},
	{name: "lwt_out", typ: LwtOut, loose: true},
	{name: "lwt_xmit", typ: LwtXmit, loose: true},
	{name: "lwt_seg6local", typ: LwtSeg6Local, loose: true},
	{name: "sockops", typ: SockOps, loose: true},
	{name: "sk_skb/stream_parser", typ: SkSkb, loose: true},
	{name: "sk_skb/stream_verdict", typ: SkSkb, loose: true},
	{name: "sk_skb/verdict", typ: SkSkb, loose: true},
	{name: "sk_skb", typ: SkSkb, loose: true},
	{name: "sk_msg", typ: SkMsg, loose: true},
	{name: "lirc_mode2", typ: LircMode2, loose: true},
	{name: "flow_dissector", typ: FlowDissector, loose: true},
	{name: "cgroup_skb/ingress", typ: CgroupSkb, loose: true},
	{name: "cgroup_skb/egress", typ: cgroupSkbEgress, loose: true},
	{name: "cgroup/skb", typ: CgroupSkb, loose: true},
	{name: "cgroup/sock_create", typ: CgroupSock, loose: true},
	{name: "cgroup/sock_release", typ: CgroupSock, loose: true},
	{name: "cgroup/connect4", typ: sockAddrTypes["connect4"], loose: true},
	{name: "cgroup/connect6", typ: sockAddrTypes["connect6"], loose: true},
	{name: "cgroup/connect_unix", typ: sockAddrTypes["connect_unix"], loose: true},
	{name: "cgroup/bind4", typ: sockAddrTypes["bind4"], loose: true},
	{name: "cgroup/bind6", typ: sockAddrTypes["bind6"], loose: true},
	{name: "cgroup/sendmsg4", typ: sockAddrTypes["sendmsg4"], loose: true},
	{name: "cgroup/sendmsg6", typ: sockAddrTypes["sendmsg6"], loose: true},
	{name: "cgroup/sendmsg_unix", typ: sockAddrTypes["sendmsg_unix"], loose: true},
	{name: "cgroup/recvmsg4", typ: sockAddrTypes["recvmsg4"], loose: true},
	{name: "cgroup/recvmsg6", typ: sockAddrTypes["recvmsg6"], loose: true},
	{name: "cgroup/recvmsg_unix", typ: sockAddrTypes["recvmsg_unix"], loose: true},
	{name: "cgroup/getpeername4", typ: sockAddrTypes["getpeername4"], loose: true},
	{name: "cgroup/getpeername6", typ: sockAddrTypes["getpeername6"], loose: true},
	{name: "cgroup/getpeername_unix", typ: sockAddrTypes["getpeername_unix"], loose: true},
	{name: "cgroup/getsockname4", typ: sockAddrTypes["getsockname4"], loose: true},
	{name: "cgroup/getsockname6", typ: sockAddrTypes["getsockname6"], loose: true},
	{name: "cgroup/getsockname_unix", typ: sockAddrTypes["getsockname_unix"], loose: true},
	{name: "cgroup/post_bind4", typ: cgroupPostBind4, loose: true},
	{name: "cgroup/post_bind6", typ: cgroupPostBind6, loose: true},
	{name: "cgroup/sysctl", typ: CgroupSysctl, loose: true},
	{name: "cgroup/getsockopt", typ: CgroupSockopt, loose: true},
	{name: "cgroup/setsockopt", typ: cgroupSetsockopt, loose: true},
	{name: "cgroup/sock", typ: CgroupSock, loose: true},
	{name: "cgroup/dev", typ: CgroupDevice, loose: true},
	{name: "struct_ops+", typ: StructOps},
	{name: "struct_ops.s+", typ: StructOps, sleepable: true},
	{name: "sk_lookup", typ: SkLookup, loose: true},
	{name: "netfilter", typ: Netfilter},
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
