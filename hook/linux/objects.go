package linux

import "github.com/skepvm/skep/hook"

// objects are the layouts of the host objects whose fields programs read
// directly (include/uapi/linux/bpf.h). Which widths a field allows is
// bpf_sock_is_valid_access's, bpf_tcp_sock_is_valid_access's and
// bpf_xdp_sock_is_valid_access's (net/core/filter.c). Only flow keys may be
// written.
var objects = map[string]*hook.Ctx{
	"sock":          &sock,
	"sock_common":   &sockCommon,
	"tcp_sock":      &tcpSock,
	"xdp_sock":      &xdpSock,
	"bpf_flow_keys": &flowKeys,
}

// sockCommon is what can be read of a socket that may not be a full one.
var sockCommon = part(sock, []string{"type", "protocol", "mark", "priority"}, nil)

var tcpSock = hook.NewCtx("bpf_tcp_sock", 112, append(
	tcpCounters(0, "snd_cwnd", "srtt_us", "rtt_min", "snd_ssthresh", "rcv_nxt", "snd_nxt", "snd_una", "mss_cache",
		"ecn_flags", "rate_delivered", "rate_interval_us", "packets_out", "retrans_out", "total_retrans", "segs_in",
		"data_segs_in", "segs_out", "data_segs_out", "lost_out", "sacked_out"),
	append(tcpCounters(96, "dsack_dups", "delivered", "delivered_ce", "icsk_retransmits"),
		hook.Field{Name: "bytes_received", Off: 80, Size: 8, Read: 8},
		hook.Field{Name: "bytes_acked", Off: 88, Size: 8, Read: 8})...)...)

// tcpCounters are consecutive 4-byte fields from off on.
func tcpCounters(off uint32, names ...string) (fs []hook.Field) {
	for i, name := range names {
		fs = append(fs, u32(name, off+4*uint32(i), 4))
	}
	return fs
}

var xdpSock = hook.NewCtx("bpf_xdp_sock", 4, u32("queue_id", 0, 4))

const anyWidth = hook.Widths(1 | 2 | 4 | 8)

var flowKeys = hook.NewCtx("bpf_flow_keys", 56,
	hook.Field{Name: "flow_keys", Size: 56, Kind: hook.FieldBytes, Read: anyWidth, Write: anyWidth})

func init() {
	for _, t := range types {
		complete(t)
	}
	for i := range sections { // types that differ by their attach point
		if t := sections[i].typ; t != nil {
			complete(t)
		}
	}
}

// complete gives t what all types have.
func complete(t *hook.Type) {
	t.Objects = objects
	if t.NewState == nil {
		t.NewState = newState
	}
}
