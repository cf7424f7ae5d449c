package linux

import "github.com/skepvm/skep/hook"

// Program types on sockets.

// skVerdicts names actions (enum sk_action).
var skVerdicts = map[int64]string{0: "SK_DROP", 1: "SK_PASS"}

// SkSkb is BPF_PROG_TYPE_SK_SKB: stream parser and verdict.
var SkSkb = &hook.Type{
	Name: "sk_skb",
	Ctx: part(skb, []string{"mark", "tc_classid", "data_meta", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp"},
		[]string{"tc_index", "priority"}),
	Input:       hook.InputPacket,
	Return:      hook.AnyReturn,
	Helpers:     helperSet("sk_skb", skSkbFuncs),
	Verdicts:    skVerdicts,
	PacketWrite: true,
	Prepare:     prepareSkbNetwork,
	NewState:    newNetworkState,
}

// SkMsg is BPF_PROG_TYPE_SK_MSG.
var SkMsg = &hook.Type{
	Name:        "sk_msg",
	Ctx:         skMsg,
	Input:       hook.InputPacket,
	Return:      hook.AnyReturn,
	Helpers:     helperSet("sk_msg", skMsgFuncs),
	Verdicts:    skVerdicts,
	PacketWrite: true,
	NewState:    newNetworkState,
}

var skMsg = hook.NewCtx("sk_msg_md", 80, append([]hook.Field{
	{Name: "data", Off: 0, Size: 8, Kind: hook.FieldPacket, Read: 8},
	{Name: "data_end", Off: 8, Size: 8, Kind: hook.FieldPacketEnd, Read: 8},
	u32("family", 16, 4),
	u32("remote_ip4", 20, 4),
	u32("local_ip4", 24, 4),
	u32("remote_port", 60, 4),
	u32("local_port", 64, 4),
	u32("size", 68, 4),
	{Name: "sk", Off: 72, Size: 8, Kind: hook.FieldObject, Object: "sock", Read: 8},
}, append(words("remote_ip6", 28, 4), words("local_ip6", 44, 4)...)...)...)

// SkLookup is BPF_PROG_TYPE_SK_LOOKUP.
var SkLookup = &hook.Type{
	Name: "sk_lookup",
	Ctx: hook.NewCtx("bpf_sk_lookup", 72, append([]hook.Field{
		{Name: "sk", Off: 0, Size: 8, Kind: hook.FieldObject, Object: "sock", Nullable: true, Read: 8},
		u32("family", 8, narrow4),
		u32("protocol", 12, narrow4),
		u32("remote_ip4", 16, narrow4),
		u32("remote_port", 36, narrow4), // big-endian in its first half; the second is zero
		u32("local_ip4", 40, narrow4),
		u32("local_port", 60, narrow4),
		u32("ingress_ifindex", 64, narrow4),
	}, append(words("remote_ip6", 20, narrow4), words("local_ip6", 44, narrow4)...)...)...),
	Input:    hook.InputContext,
	Return:   hook.Range{Max: 1},
	Helpers:  helperSet("sk_lookup", skLookupFuncs),
	Verdicts: skVerdicts,
}

// SkReuseport is BPF_PROG_TYPE_SK_REUSEPORT.
var (
	SkReuseport        = skReuseport("")
	skReuseportMigrate = skReuseport("sk_reuseport_select_or_migrate")
)

var reuseportMD = hook.NewCtx("sk_reuseport_md", 56,
	hook.Field{Name: "data", Off: 0, Size: 8, Kind: hook.FieldPacket, Read: 8},
	hook.Field{Name: "data_end", Off: 8, Size: 8, Kind: hook.FieldPacketEnd, Read: 8},
	u32("len", 16, narrow4),
	u32("eth_protocol", 20, 2|4),
	u32("ip_protocol", 24, narrow4),
	u32("bind_inany", 28, narrow4),
	u32("hash", 32, 4),
	hook.Field{Name: "sk", Off: 40, Size: 8, Kind: hook.FieldObject, Object: "sock", Read: 8},
	hook.Field{Name: "migrating_sk", Off: 48, Size: 8, Kind: hook.FieldObject, Object: "sock_common", Nullable: true, Read: 8})

func skReuseport(attach string) *hook.Type {
	return &hook.Type{
		Name:     "sk_reuseport",
		Attach:   attach,
		Ctx:      reuseportMD,
		Input:    hook.InputPacket,
		Return:   hook.AnyReturn,
		Helpers:  helperSet("sk_reuseport", reuseportFuncs),
		Verdicts: skVerdicts,
		NewState: newState,
	}
}

// SockOps is BPF_PROG_TYPE_SOCK_OPS.
var SockOps = &hook.Type{
	Name:    "sock_ops",
	Ctx:     sockOpsCtx,
	Input:   hook.InputContext,
	Return:  hook.Range{Max: 1},
	Helpers: helperSet("sock_ops", sockOpsFuncs),
}

var sockOpsCtx = hook.NewCtx("bpf_sock_ops", 224, sockOpsFields()...)

func sockOpsFields() []hook.Field {
	fs := []hook.Field{
		u32("op", 0, 4),
		{Name: "reply", Off: 4, Size: 4, Read: 4, Write: 4}, // args[0]
		u32("args[1]", 8, 4),
		u32("args[2]", 12, 4),
		u32("args[3]", 16, 4),
		u32("family", 20, 4),
		u32("remote_ip4", 24, 4),
		u32("local_ip4", 28, 4),
		u32("remote_port", 64, 4),
		u32("local_port", 68, 4),
		{Name: "sk_txhash", Off: 164, Size: 4, Read: 4, Write: 4},
		{Name: "bytes_received", Off: 168, Size: 8, Read: 8},
		{Name: "bytes_acked", Off: 176, Size: 8, Read: 8},
		{Name: "sk", Off: 184, Size: 8, Kind: hook.FieldObject, Object: "sock", Nullable: true, Read: 8},
		{Name: "skb_data", Off: 192, Size: 8, Kind: hook.FieldPacket, Read: 8},
		{Name: "skb_data_end", Off: 200, Size: 8, Kind: hook.FieldPacketEnd, Read: 8},
		u32("skb_len", 208, 4),
		u32("skb_tcp_flags", 212, narrow4),
		{Name: "skb_hwtstamp", Off: 216, Size: 8, Read: 8},
	}
	fs = append(fs, words("remote_ip6", 32, 4)...)
	fs = append(fs, words("local_ip6", 48, 4)...)
	for i, name := range []string{
		"is_fullsock", "snd_cwnd", "srtt_us", "bpf_sock_ops_cb_flags", "state", "rtt_min", "snd_ssthresh", "rcv_nxt",
		"snd_nxt", "snd_una", "mss_cache", "ecn_flags", "rate_delivered", "rate_interval_us", "packets_out", "retrans_out",
		"total_retrans", "segs_in", "data_segs_in", "segs_out", "data_segs_out", "lost_out", "sacked_out",
	} {
		fs = append(fs, u32(name, 72+4*uint32(i), 4))
	}
	return fs
}
