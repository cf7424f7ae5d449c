package linux

import "github.com/skepvm/skep/hook"

// Program types of lightweight tunnels (routes). Packets begin at the network
// header.
var (
	LwtIn        = lwt("lwt_in")
	LwtOut       = lwt("lwt_out")
	LwtXmit      = lwt("lwt_xmit")
	LwtSeg6Local = lwt("lwt_seg6local")
)

func lwt(name string) *hook.Type {
	return &hook.Type{
		Name: name,
		Ctx: part(skb, append([]string{"tc_classid", "data_meta", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp"}, socketFields...),
			[]string{"mark", "priority", "cb"}),
		Input:       hook.InputPacket,
		Return:      hook.AnyReturn,
		Helpers:     helperSet(name, routeFuncs),
		Verdicts:    map[int64]string{0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE"},
		PacketWrite: name == "lwt_xmit",
		Prepare:     prepareSkbNetwork,
		NewState:    newNetworkState,
	}
}

// FlowDissector is BPF_PROG_TYPE_FLOW_DISSECTOR.
var FlowDissector = &hook.Type{
	Name:     "flow_dissector",
	Ctx:      only(skb, "data", "data_end", "flow_keys"),
	Input:    hook.InputPacket,
	Return:   hook.AnyReturn,
	Helpers:  helperSet("flow_dissector", skbFuncs),
	Verdicts: map[int64]string{0: "BPF_OK", 2: "BPF_DROP", 129: "BPF_FLOW_DISSECTOR_CONTINUE"},
	NewState: newState,
}

// Netfilter is BPF_PROG_TYPE_NETFILTER.
var Netfilter = &hook.Type{
	Name: "netfilter",
	Ctx: hook.NewCtx("bpf_nf_ctx", 16,
		hook.Field{Name: "state", Off: 0, Size: 8, Kind: hook.FieldObject, Object: "nf_hook_state", Read: 8},
		hook.Field{Name: "skb", Off: 8, Size: 8, Kind: hook.FieldObject, Object: "sk_buff", Read: 8}),
	Input:    hook.InputContext,
	Return:   hook.Range{Max: 1},
	Helpers:  helperSet("netfilter", nil),
	Verdicts: map[int64]string{0: "NF_DROP", 1: "NF_ACCEPT"},
}
