package linux

import "github.com/skepvm/skep/hook"

// XDP is BPF_PROG_TYPE_XDP: a program at a network driver's receive path.
var XDP = xdp("", []string{"egress_ifindex"})

// XDPDevmap is the XDP program of a device map's entry: the packet is about to
// leave, so it knows the device it leaves through.
var XDPDevmap = xdp("xdp_devmap", nil)

// XDPCpumap is the XDP program of a CPU map's entry.
var XDPCpumap = xdp("xdp_cpumap", []string{"egress_ifindex"})

var xdpMD = hook.NewCtx("xdp_md", 24,
	hook.Field{Name: "data", Off: 0, Size: 4, Kind: hook.FieldPacket, Read: 4},
	hook.Field{Name: "data_end", Off: 4, Size: 4, Kind: hook.FieldPacketEnd, Read: 4},
	hook.Field{Name: "data_meta", Off: 8, Size: 4, Kind: hook.FieldPacketMeta, Read: 4},
	hook.Field{Name: "ingress_ifindex", Off: 12, Size: 4, Read: 4},
	hook.Field{Name: "rx_queue_index", Off: 16, Size: 4, Read: 4},
	hook.Field{Name: "egress_ifindex", Off: 20, Size: 4, Read: 4},
)

// xdpInitial says where packets come from.
var xdpInitial = func() []byte {
	b := make([]byte, xdpMD.HostSize)
	put32(b, xdpMD.Field("ingress_ifindex").HostOff, loopback)
	return b
}()

func xdp(attach string, without []string) *hook.Type {
	return &hook.Type{
		Name:        "xdp",
		Attach:      attach,
		Ctx:         part(xdpMD, without, nil),
		Input:       hook.InputPacket,
		Return:      hook.AnyReturn,
		Helpers:     helperSet("xdp", xdpFuncs),
		Verdicts:    xdpActions,
		PacketWrite: true,
		Initial:     xdpInitial,
		NewState:    newState,
	}
}

// xdpActions names actions (enum xdp_action).
var xdpActions = map[int64]string{
	0: "XDP_ABORTED",
	1: "XDP_DROP",
	2: "XDP_PASS",
	3: "XDP_TX",
	4: "XDP_REDIRECT",
}
