package linux

import "github.com/skepvm/skep/hook"

// Program types of control groups. What they may read and return depends on
// the attach type, so there is a hook.Type for each that differs.

// CgroupSkb is BPF_PROG_TYPE_CGROUP_SKB on ingress: R0 is 1 to let the packet
// in, which begins at its network header.
var CgroupSkb = cgroupSkb("", 1)

var cgroupSkbEgress = cgroupSkb("cgroup_inet_egress", 3)

func cgroupSkb(attach string, max int64) *hook.Type {
	return &hook.Type{
		Name:   "cgroup_skb",
		Attach: attach,
		Ctx: part(skb, []string{"tc_classid", "data_meta", "flow_keys", "wire_len", "tstamp_type"},
			[]string{"mark", "priority", "cb", "tstamp"}),
		Input:    hook.InputPacket,
		Return:   hook.Range{Max: max},
		Helpers:  helperSet("cgroup_skb", skbFuncs),
		Prepare:  prepareSkbNetwork,
		NewState: newNetworkState,
	}
}

// sock is struct bpf_sock, the context of programs on sockets.
var sock = hook.NewCtx("bpf_sock", 80, append([]hook.Field{
	u32("bound_dev_if", 0, 4),
	u32("family", 4, narrow4),
	u32("type", 8, narrow4),
	u32("protocol", 12, narrow4),
	u32("mark", 16, 4),
	u32("priority", 20, 4),
	u32("src_ip4", 24, narrow4),
	u32("src_port", 44, narrow4),
	u32("dst_port", 48, narrow4), // big-endian in its first half; the second is zero
	u32("dst_ip4", 52, narrow4),
	u32("state", 72, narrow4),
	u32("rx_queue_mapping", 76, narrow4),
}, append(words("src_ip6", 28, narrow4), words("dst_ip6", 56, narrow4)...)...)...)

var srcIP6 = []string{"src_ip6[0]", "src_ip6[1]", "src_ip6[2]", "src_ip6[3]"}

// CgroupSock is BPF_PROG_TYPE_CGROUP_SOCK when a socket is created or
// released; the other two run after a bind.
var (
	CgroupSock = cgroupSock("", append([]string{"src_ip4", "src_port"}, srcIP6...),
		[]string{"bound_dev_if", "mark", "priority"})
	cgroupPostBind4 = cgroupSock("cgroup_inet4_post_bind", append([]string{"bound_dev_if", "mark", "priority"}, srcIP6...), nil)
	cgroupPostBind6 = cgroupSock("cgroup_inet6_post_bind", []string{"bound_dev_if", "mark", "priority", "src_ip4"}, nil)
)

func cgroupSock(attach string, without, writable []string) *hook.Type {
	return &hook.Type{
		Name:    "cgroup_sock",
		Attach:  attach,
		Ctx:     part(sock, without, writable),
		Input:   hook.InputContext,
		Return:  hook.Range{Max: 1},
		Helpers: helperSet("cgroup_sock", cgroupSockFuncs),
	}
}

// sockAddr is struct bpf_sock_addr. Of the addresses the kernel lets programs
// read any part, and write words or aligned pairs.
var sockAddr = hook.NewCtx("bpf_sock_addr", 72,
	u32("user_family", 0, 4),
	hook.Field{Name: "user_ip4", Off: 4, Size: 4, Read: narrow4, Write: 4},
	hook.Field{Name: "user_ip6", Off: 8, Size: 16, Kind: hook.FieldBytes, Read: narrow8, Write: 4 | 8},
	hook.Field{Name: "user_port", Off: 24, Size: 4, Read: narrow4, Write: 4},
	u32("family", 28, 4),
	u32("type", 32, 4),
	u32("protocol", 36, 4),
	hook.Field{Name: "msg_src_ip4", Off: 40, Size: 4, Read: narrow4, Write: 4},
	hook.Field{Name: "msg_src_ip6", Off: 44, Size: 16, Kind: hook.FieldBytes, Read: narrow8, Write: 4 | 8},
	hook.Field{Name: "sk", Off: 64, Size: 8, Kind: hook.FieldObject, Object: "sock", Read: 8},
)

// CgroupSockAddr is BPF_PROG_TYPE_CGROUP_SOCK_ADDR at connect of an IPv4
// socket; sockAddrTypes has the other attach types.
var CgroupSockAddr = cgroupSockAddr("", "connect", "4", hook.Range{Max: 1})

var sockAddrTypes = func() map[string]*hook.Type {
	types := map[string]*hook.Type{"connect4": CgroupSockAddr}
	for _, call := range []string{"bind", "connect", "sendmsg", "recvmsg", "getpeername", "getsockname"} {
		for _, family := range []string{"4", "6", "_unix"} {
			name := call + family
			if types[name] != nil || name == "bind_unix" {
				continue
			}
			ret := hook.Range{Max: 1}
			switch call {
			case "bind":
				ret.Max = 3 // bit 1: the port may be privileged
			case "recvmsg", "getpeername", "getsockname":
				ret.Min = 1
			}
			types[name] = cgroupSockAddr(sockAddrAttach(call, family), call, family, ret)
		}
	}
	return types
}()

// sockAddrAttach returns the attach type's name: cgroup_inet4_bind,
// cgroup_udp6_sendmsg, cgroup_unix_connect.
func sockAddrAttach(call, family string) string {
	switch {
	case family == "_unix":
		return "cgroup_unix_" + call
	case call == "sendmsg" || call == "recvmsg":
		return "cgroup_udp" + family + "_" + call
	}
	return "cgroup_inet" + family + "_" + call
}

func cgroupSockAddr(attach, call, family string, ret hook.Range) *hook.Type {
	var without []string
	if family != "4" {
		without = append(without, "user_ip4")
	}
	if family != "6" {
		without = append(without, "user_ip6")
	}
	if family != "4" || call != "sendmsg" {
		without = append(without, "msg_src_ip4")
	}
	if family != "6" || call != "sendmsg" {
		without = append(without, "msg_src_ip6")
	}
	return &hook.Type{
		Name:    "cgroup_sock_addr",
		Attach:  attach,
		Ctx:     part(sockAddr, without, nil),
		Input:   hook.InputContext,
		Return:  ret,
		Helpers: helperSet(sockAddrHelpers(call, family), sockAddrFuncs),
	}
}

// sockAddrHelpers returns the name under which ofType lists the helpers of
// programs at a system call.
func sockAddrHelpers(call, family string) string {
	switch {
	case call == "recvmsg" || call == "getpeername" || call == "getsockname":
		return "cgroup_sock_addr"
	case call == "connect" && family == "_unix":
		return "cgroup_sock_addr/sendmsg" // no bind
	}
	return "cgroup_sock_addr/" + call
}

var sockopt = hook.NewCtx("bpf_sockopt", 40,
	hook.Field{Name: "sk", Off: 0, Size: 8, Kind: hook.FieldObject, Object: "sock", Read: 8},
	hook.Field{Name: "optval", Off: 8, Size: 8, Kind: hook.FieldPacket, Read: 8},
	hook.Field{Name: "optval_end", Off: 16, Size: 8, Kind: hook.FieldPacketEnd, Read: 8},
	u32("level", 24, 4),
	u32("optname", 28, 4),
	u32("optlen", 32, 4),
	u32("retval", 36, 4),
)

// CgroupSockopt is BPF_PROG_TYPE_CGROUP_SOCKOPT at getsockopt. The option's
// value is its packet.
var (
	CgroupSockopt    = cgroupSockopt("", nil, []string{"optlen", "retval"})
	cgroupSetsockopt = cgroupSockopt("cgroup_setsockopt", []string{"retval"}, []string{"level", "optname", "optlen"})
)

func cgroupSockopt(attach string, without, writable []string) *hook.Type {
	set, funcs := "cgroup_sockopt", getsockoptFuncs
	if attach != "" {
		set, funcs = set+"/set", sockoptFuncs
	}
	return &hook.Type{
		Name:        "cgroup_sockopt",
		Attach:      attach,
		Ctx:         part(sockopt, without, writable),
		Input:       hook.InputPacket,
		Return:      hook.Range{Max: 1},
		Helpers:     helperSet(set, funcs),
		PacketWrite: true,
	}
}

// CgroupSysctl is BPF_PROG_TYPE_CGROUP_SYSCTL.
var CgroupSysctl = &hook.Type{
	Name: "cgroup_sysctl",
	Ctx: hook.NewCtx("bpf_sysctl", 8,
		u32("write", 0, narrow4),
		hook.Field{Name: "file_pos", Off: 4, Size: 4, Read: narrow4, Write: 4}),
	Input:   hook.InputContext,
	Return:  hook.Range{Max: 1},
	Helpers: helperSet("cgroup_sysctl", nil),
}

// CgroupDevice is BPF_PROG_TYPE_CGROUP_DEVICE.
var CgroupDevice = &hook.Type{
	Name: "cgroup_device",
	Ctx: hook.NewCtx("bpf_cgroup_dev_ctx", 12,
		u32("access_type", 0, narrow4), u32("major", 4, 4), u32("minor", 8, 4)),
	Input:   hook.InputContext,
	Return:  hook.Range{Max: 1},
	Helpers: helperSet("cgroup_device", nil),
}
