package main

import (
	"encoding/binary"
	"net/netip"
)

// Frames for tests, built by the RFCs, with checksums.

var (
	balancerMAC = []byte{2, 0, 0, 0, 0, 2}
	routerMAC   = []byte{2, 0, 0, 0, 0, 1}
)

const (
	protoICMP   = 1
	protoICMPv6 = 58

	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagACK = 16
)

// checksum is that of RFC 1071 over parts, which have even lengths but for the
// last.
func checksum(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, p := range parts {
		for ; len(p) >= 2; p = p[2:] {
			sum += uint32(binary.BigEndian.Uint16(p))
		}
		if len(p) == 1 {
			sum += uint32(p[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// pseudo is the pseudo-header that the checksums of TCP, UDP and ICMPv6 cover.
func pseudo(src, dst netip.Addr, proto byte, length int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return append(b, 0, 0, 0, proto)
}

func ether(typ uint16, payload []byte) []byte {
	b := append(append([]byte{}, balancerMAC...), routerMAC...)
	b = binary.BigEndian.AppendUint16(b, typ)
	return append(b, payload...)
}

// An ip says what the header of an IP packet holds besides the obvious.
type ip struct {
	src, dst string
	tos      byte
	frag     uint16 // IPv4: flags and offset of the fragment
	options  string // IPv4: a multiple of four bytes
}

func (h ip) addrs() (src, dst netip.Addr) {
	return netip.MustParseAddr(h.src), netip.MustParseAddr(h.dst)
}

// packet returns an IP packet.
func (h ip) packet(proto byte, payload []byte) []byte {
	src, dst := h.addrs()
	if src.Is6() {
		b := []byte{0x60 | h.tos>>4, h.tos << 4, 0, 0}
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		b = append(b, proto, 61)
		b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
		return append(b, payload...)
	}
	n := 20 + len(h.options)
	b := []byte{0x40 | byte(n/4), h.tos}
	b = binary.BigEndian.AppendUint16(b, uint16(n+len(payload)))
	b = append(b, 0x12, 0x34)
	b = binary.BigEndian.AppendUint16(b, h.frag)
	b = append(b, 61, proto, 0, 0)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	b = append(b, h.options...)
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, payload...)
}

// frame returns an IP packet in its frame.
func (h ip) frame(proto byte, payload []byte) []byte {
	src, _ := h.addrs()
	if src.Is6() {
		return ether(0x86dd, h.packet(proto, payload))
	}
	return ether(0x0800, h.packet(proto, payload))
}

func (h ip) tcp(sport, dport uint16, flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 2, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	b = append(b, payload...)
	src, dst := h.addrs()
	binary.BigEndian.PutUint16(b[16:], checksum(pseudo(src, dst, byte(TCP), len(b)), b))
	return h.frame(byte(TCP), b)
}

func (h ip) udp(sport, dport uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	src, dst := h.addrs()
	binary.BigEndian.PutUint16(b[6:], checksum(pseudo(src, dst, byte(UDP), len(b)), b))
	return h.frame(byte(UDP), b)
}

// icmp returns an ICMP or ICMPv6 message.
func (h ip) icmp(typ, code byte, rest uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{typ, code, 0, 0}, rest)
	b = append(b, payload...)
	src, dst := h.addrs()
	if src.Is6() {
		binary.BigEndian.PutUint16(b[2:], checksum(pseudo(src, dst, protoICMPv6, len(b)), b))
		return h.frame(protoICMPv6, b)
	}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return h.frame(protoICMP, b)
}

// vlan puts an 802.1Q tag in a frame.
func vlan(b []byte) []byte {
	return append(append(append([]byte{}, b[:12]...), 0x81, 0, 0, 7), b[12:]...)
}
