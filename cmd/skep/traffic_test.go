package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var update = flag.Bool("update", false, "rewrite golden files and generated test data")

const trafficFile = "../../examples/xdp-firewall/testdata/traffic.pcap"

// TestTraffic checks that the example's capture is the one made here;
// -update writes it.
func TestTraffic(t *testing.T) {
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, p := range traffic(t) {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(p), Length: len(p)}, p); err != nil {
			t.Fatal(err)
		}
		at = at.Add(137 * time.Microsecond)
	}
	if *update {
		if err := os.WriteFile(trafficFile, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(trafficFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not what this test makes; run it with -update", trafficFile)
	}
}

// traffic is a minute at the edge of a small network: web and DNS clients, a
// ping, and visitors that the example's firewall is there for.
func traffic(t *testing.T) [][]byte {
	t.Helper()
	g := &generator{t: t}
	for client := range 6 {
		src := net.IPv4(198, 51, 100, byte(10+client))
		port := uint16(40000 + 17*client)
		g.tcp(src, port, 443, func(h *layers.TCP) { h.SYN = true }, nil)
		g.tcp(src, port, 443, func(h *layers.TCP) { h.ACK = true }, nil)
		for n := range 8 {
			g.tcp(src, port, 443, func(h *layers.TCP) { h.ACK, h.PSH = true, true; h.Seq += uint32(n * 300) },
				bytes.Repeat([]byte{byte(client), byte(n)}, 20+37*n))
		}
		g.udp(src, port+1, 53, []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04skep\x04test\x00\x00\x01\x00\x01"))
		g.tcp(src, port, 443, func(h *layers.TCP) { h.ACK, h.FIN = true, true }, nil)
	}
	for seq := range 5 { // pings
		g.ipv4(net.IPv4(198, 51, 100, 7), layers.IPProtocolICMPv4, 0,
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 77, Seq: uint16(seq)},
			gopacket.Payload("abcdefghijklmnopqrstuvwabcdefghi"))
	}
	g.ipv4(net.IPv4(198, 51, 100, 8), layers.IPProtocolICMPv4, 0, // no echo: passes
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort)},
		gopacket.Payload("0123456789abcdefghij"))
	for _, port := range []layers.TCPPort{23, 445, 3389, 23, 23} { // closed ports
		g.tcp(net.IPv4(192, 0, 2, 66), 51515, port, func(h *layers.TCP) { h.SYN = true }, nil)
	}
	for port := range layers.TCPPort(6) { // a scan with SYN and FIN, and one with no flags
		g.tcp(net.IPv4(192, 0, 2, 99), 61000, 8000+port, func(h *layers.TCP) { h.SYN, h.FIN = true, true }, nil)
		g.tcp(net.IPv4(192, 0, 2, 99), 61000, 8100+port, func(*layers.TCP) {}, nil)
	}
	for n := range 4 { // a prefix that is blocked only if a map says so
		g.tcp(net.IPv4(203, 0, 113, byte(n)), 1024, 80, func(h *layers.TCP) { h.SYN = true }, nil)
	}
	g.udp(net.IPv4(198, 51, 100, 20), 5000, 8125, []byte("requests:1|c")) // a port that a map may block
	g.ipv4(net.IPv4(192, 0, 2, 5), layers.IPProtocolUDP, 185, gopacket.Payload("the rest of a datagram"))
	g.frame(layers.EthernetTypeARP, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: routerMAC, SourceProtAddress: []byte{10, 0, 0, 1},
		DstHwAddress: make([]byte, 6), DstProtAddress: []byte{10, 0, 0, 2},
	})
	g.ipv6(443)
	g.ipv6(23)
	g.vlan(net.IPv4(198, 51, 100, 30), 443)
	g.vlan(net.IPv4(198, 51, 100, 30), 3389)

	good := g.packets[0]
	g.packets = append(g.packets, good[:14+12]) // cut off inside the IPv4 header
	lies := bytes.Clone(good)
	binary.BigEndian.PutUint16(lies[14+2:], 1500) // a total length beyond the frame
	g.packets = append(g.packets, lies)
	return g.packets
}

var (
	hostMAC   = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x02}
	routerMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
	host      = net.IPv4(10, 0, 0, 2)
)

// A generator collects frames sent to one host.
type generator struct {
	t       *testing.T
	packets [][]byte
}

func (g *generator) frame(typ layers.EthernetType, parts ...gopacket.SerializableLayer) {
	g.t.Helper()
	b := gopacket.NewSerializeBuffer()
	eth := &layers.Ethernet{SrcMAC: routerMAC, DstMAC: hostMAC, EthernetType: typ}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, append([]gopacket.SerializableLayer{eth}, parts...)...); err != nil {
		g.t.Fatal(err)
	}
	g.packets = append(g.packets, bytes.Clone(b.Bytes()))
}

func (g *generator) ipv4(src net.IP, proto layers.IPProtocol, fragment uint16, parts ...gopacket.SerializableLayer) {
	g.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 61, Protocol: proto, SrcIP: src, DstIP: host, FragOffset: fragment}
	g.frame(layers.EthernetTypeIPv4, append([]gopacket.SerializableLayer{ip}, parts...)...)
}

func (g *generator) tcp(src net.IP, sport uint16, dport layers.TCPPort, set func(*layers.TCP), payload []byte) {
	g.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 61, Protocol: layers.IPProtocolTCP, SrcIP: src, DstIP: host}
	g.frame(layers.EthernetTypeIPv4, ip, segment(g.t, ip, sport, dport, set), gopacket.Payload(payload))
}

func (g *generator) udp(src net.IP, sport, dport uint16, payload []byte) {
	g.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 61, Protocol: layers.IPProtocolUDP, SrcIP: src, DstIP: host}
	h := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		g.t.Fatal(err)
	}
	g.frame(layers.EthernetTypeIPv4, ip, h, gopacket.Payload(payload))
}

func (g *generator) ipv6(dport layers.TCPPort) {
	g.t.Helper()
	ip := &layers.IPv6{
		Version: 6, HopLimit: 61, NextHeader: layers.IPProtocolTCP,
		SrcIP: net.ParseIP("2001:db8::7"), DstIP: net.ParseIP("2001:db8:1::2"),
	}
	g.frame(layers.EthernetTypeIPv6, ip, segment(g.t, ip, 50123, dport, func(h *layers.TCP) { h.SYN = true }))
}

func (g *generator) vlan(src net.IP, dport layers.TCPPort) {
	g.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 61, Protocol: layers.IPProtocolTCP, SrcIP: src, DstIP: host}
	tag := &layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv4}
	g.frame(layers.EthernetTypeDot1Q, tag, ip, segment(g.t, ip, 50124, dport, func(h *layers.TCP) { h.SYN = true }))
}

func segment(t *testing.T, ip gopacket.NetworkLayer, sport uint16, dport layers.TCPPort, set func(*layers.TCP)) *layers.TCP {
	t.Helper()
	h := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: dport, Seq: 1000, Window: 64240}
	set(h)
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return h
}
