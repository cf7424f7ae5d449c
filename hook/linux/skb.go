package linux

import (
	"encoding/binary"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// skb is struct __sk_buff with everything that any program type may touch;
// each type takes its part of it. All parts share the host's layout, so one
// helper serves them all.
var skb = hook.NewCtx("__sk_buff", 192, append([]hook.Field{
	{Name: "len", Off: 0, Size: 4, Read: narrow4},
	{Name: "pkt_type", Off: 4, Size: 4, Read: narrow4},
	{Name: "mark", Off: 8, Size: 4, Read: narrow4},
	{Name: "queue_mapping", Off: 12, Size: 4, Read: narrow4},
	{Name: "protocol", Off: 16, Size: 4, Read: narrow4},
	{Name: "vlan_present", Off: 20, Size: 4, Read: narrow4},
	{Name: "vlan_tci", Off: 24, Size: 4, Read: narrow4},
	{Name: "vlan_proto", Off: 28, Size: 4, Read: narrow4},
	{Name: "priority", Off: 32, Size: 4, Read: narrow4},
	{Name: "ingress_ifindex", Off: 36, Size: 4, Read: narrow4},
	{Name: "ifindex", Off: 40, Size: 4, Read: narrow4},
	{Name: "tc_index", Off: 44, Size: 4, Read: narrow4},
	{Name: "cb", Off: 48, Size: 20, Kind: hook.FieldBytes, Read: narrow8},
	{Name: "hash", Off: 68, Size: 4, Read: narrow4},
	{Name: "tc_classid", Off: 72, Size: 4, Read: narrow4},
	{Name: "data", Off: 76, Size: 4, Kind: hook.FieldPacket, Read: 4},
	{Name: "data_end", Off: 80, Size: 4, Kind: hook.FieldPacketEnd, Read: 4},
	{Name: "napi_id", Off: 84, Size: 4, Read: narrow4},
	{Name: "family", Off: 88, Size: 4, Read: narrow4},
	{Name: "remote_ip4", Off: 92, Size: 4, Read: 4},
	{Name: "local_ip4", Off: 96, Size: 4, Read: 4},
	{Name: "remote_port", Off: 132, Size: 4, Read: narrow4},
	{Name: "local_port", Off: 136, Size: 4, Read: narrow4},
	{Name: "data_meta", Off: 140, Size: 4, Kind: hook.FieldPacketMeta, Read: 4},
	{Name: "flow_keys", Off: 144, Size: 8, Kind: hook.FieldObject, Object: "bpf_flow_keys", Read: 8},
	{Name: "tstamp", Off: 152, Size: 8, Read: 8},
	{Name: "wire_len", Off: 160, Size: 4, Read: narrow4},
	{Name: "gso_segs", Off: 164, Size: 4, Read: narrow4},
	{Name: "sk", Off: 168, Size: 8, Kind: hook.FieldObject, Object: "sock_common", Nullable: true, Read: 8},
	{Name: "gso_size", Off: 176, Size: 4, Read: narrow4},
	{Name: "tstamp_type", Off: 180, Size: 1, Read: 1},
	{Name: "hwtstamp", Off: 184, Size: 8, Read: 8},
}, append(words("remote_ip6", 100, 4), words("local_ip6", 116, 4)...)...)...)

// part returns c without the fields called without, and with those called
// writable open to stores as wide as the kernel converts.
func part(c hook.Ctx, without, writable []string) hook.Ctx {
	fields := c.Fields
	c.Fields = nil
	for _, f := range fields {
		if slices.Contains(without, f.Name) {
			continue
		}
		if slices.Contains(writable, f.Name) {
			f.Write = hook.Widths(f.Size)
			if f.Kind == hook.FieldBytes {
				f.Write = narrow8
			}
		}
		c.Fields = append(c.Fields, f)
	}
	return c
}

// only returns c with the named fields alone, which nobody may write.
func only(c hook.Ctx, names ...string) hook.Ctx {
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f hook.Field) bool { return !slices.Contains(names, f.Name) })
	return c
}

// socketFields are the fields of __sk_buff that copy the packet's socket; only
// sk_skb and cgroup_skb programs may read them.
var socketFields = []string{
	"family", "remote_ip4", "local_ip4", "remote_port", "local_port",
	"remote_ip6[0]", "remote_ip6[1]", "remote_ip6[2]", "remote_ip6[3]",
	"local_ip6[0]", "local_ip6[1]", "local_ip6[2]", "local_ip6[3]",
}

// Where helpers and prepareSkb find fields in the host's bytes.
var (
	skbLen      = skb.Field("len").HostOff
	skbPktType  = skb.Field("pkt_type").HostOff
	skbProtocol = skb.Field("protocol").HostOff
	skbIfindex  = skb.Field("ifindex").HostOff
	skbWireLen  = skb.Field("wire_len").HostOff
	skbHash     = skb.Field("hash").HostOff
	skbGSOSize  = skb.Field("gso_size").HostOff

	skbVlanPresent = skb.Field("vlan_present").HostOff
	skbVlanTCI     = skb.Field("vlan_tci").HostOff
	skbVlanProto   = skb.Field("vlan_proto").HostOff
)

// Values of pkt_type (include/uapi/linux/if_packet.h).
const (
	packetHost      = 0
	packetMulticast = 2
	packetOtherHost = 3
)

// loopback is the device that packets arrive on unless the user says
// otherwise: index 1, address 00:00:00:00:00:00.
const loopback = 1

// prepareSkb fills ctx for an Ethernet frame that arrived on the loopback
// device, as BPF_PROG_TEST_RUN does (net/bpf/test_run.c; eth_type_trans).
func prepareSkb(ctx []byte, pkt *helpers.Packet) {
	frame := pkt.Data()
	put32(ctx, skbLen, uint32(len(frame)))
	put32(ctx, skbWireLen, uint32(len(frame)))
	put32(ctx, skbIfindex, loopback)
	if len(frame) < ethHeader {
		return
	}
	put32(ctx, skbProtocol, uint32(binary.NativeEndian.Uint16(ethProtocol(frame))))
	put32(ctx, skbPktType, pktType(frame))
}

// prepareSkbNetwork fills ctx for a packet that begins at its network header.
func prepareSkbNetwork(ctx []byte, pkt *helpers.Packet) {
	packet := pkt.Data()
	put32(ctx, skbLen, uint32(len(packet)))
	put32(ctx, skbWireLen, uint32(len(packet)))
	put32(ctx, skbIfindex, loopback)
	if len(packet) == 0 {
		return
	}
	switch packet[0] >> 4 {
	case 4:
		put32(ctx, skbProtocol, uint32(binary.NativeEndian.Uint16(protoIPv4)))
	case 6:
		put32(ctx, skbProtocol, uint32(binary.NativeEndian.Uint16(protoIPv6)))
	}
}

// ethHeader is the size of an Ethernet header.
const ethHeader = 14

var (
	proto8023 = []byte{0, 1} // ETH_P_802_3: no IEEE 802.2 header
	proto8022 = []byte{0, 4} // ETH_P_802_2
	protoIPv4 = []byte{0x08, 0x00}
	protoIPv6 = []byte{0x86, 0xdd}
)

// ethProtocol returns the protocol of frame, big-endian: its EtherType, or, if
// the field is a length, what Linux calls the frame instead.
func ethProtocol(frame []byte) []byte {
	switch {
	case binary.BigEndian.Uint16(frame[12:]) >= 0x600:
		return frame[12:14]
	case len(frame) >= ethHeader+2 && frame[14] == 0xff && frame[15] == 0xff:
		return proto8023
	default:
		return proto8022
	}
}

// pktType says whom frame is for, seen from the loopback device, which has no
// broadcast address: ff:ff:ff:ff:ff:ff is a multicast address there.
func pktType(frame []byte) uint32 {
	switch {
	case [6]byte(frame[:6]) == [6]byte{}:
		return packetHost
	case frame[0]&1 != 0:
		return packetMulticast
	default:
		return packetOtherHost
	}
}

func put32(ctx []byte, off, v uint32) { binary.NativeEndian.PutUint32(ctx[off:], v) }
func get32(ctx []byte, off uint32) uint32 {
	return binary.NativeEndian.Uint32(ctx[off:])
}
