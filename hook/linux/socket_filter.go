package linux

import "github.com/skepvm/skep/hook"

// SocketFilter is BPF_PROG_TYPE_SOCKET_FILTER: R0 says how many bytes of the
// packet the socket gets. The packet begins at its link-layer header, as for a
// raw packet socket.
var SocketFilter = &hook.Type{
	Name: "socket_filter",
	Ctx: part(skb,
		append([]string{"tc_classid", "data", "data_meta", "data_end", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp"}, socketFields...),
		[]string{"cb"}),
	Input:        hook.InputPacket,
	Return:       hook.AnyReturn,
	Helpers:      helperSet("socket_filter", skbFuncs),
	LegacyPacket: true,
	Prepare:      prepareSkb,
	NewState:     newState,
}
