package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/skepvm/skep/vm"
)

// What leaves the balancer, against the RFCs that describe it.

var gatewayMAC = []byte{2, 0, 0, 0, 0, 0xfe} // of config.json

// A header is what matters of an IP header.
type header struct {
	src, dst netip.Addr
	proto    byte
	tos, ttl byte
	df       bool
	payload  []byte // as long as the header says
}

// parse reads an IP header without options, and checks its checksum and length.
func parse(t *testing.T, b []byte) header {
	t.Helper()
	addr := func(b []byte) netip.Addr {
		a, _ := netip.AddrFromSlice(b)
		return a
	}
	if b[0]>>4 == 6 {
		n := int(binary.BigEndian.Uint16(b[4:]))
		return header{addr(b[8:24]), addr(b[24:40]), b[6], b[0]<<4 | b[1]>>4, b[7], true, b[40:][:n]}
	}
	if b[0] != 0x45 {
		t.Fatalf("an IP packet that begins with %#x", b[0])
	}
	if sum := checksum(b[:20]); sum != 0 {
		t.Errorf("the IPv4 header's checksum is off by %#x", sum)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	frag := binary.BigEndian.Uint16(b[6:])
	if frag&^0x4000 != 0 {
		t.Errorf("a fragment: %#x", frag)
	}
	return header{addr(b[12:16]), addr(b[16:20]), b[9], b[1], b[8], frag == 0x4000, b[20:n]}
}

// TestEncapsulation checks what is sent to backends: RFC 2003 for IPv4 in IPv4,
// RFC 2473 for what is in IPv6.
func TestEncapsulation(t *testing.T) {
	frames, want := traffic()
	_, vips, err := readConfig(configFile)
	if err != nil {
		t.Fatal(err)
	}
	isBackend := map[netip.Addr][]netip.Addr{} // of service addresses
	for _, v := range vips {
		for _, b := range v.Backends {
			isBackend[v.Service.Addr] = append(isBackend[v.Service.Addr], b.Addr)
		}
	}
	var now uint64
	b := newBalancer(t, vm.Auto, &now, nil)
	sources := map[netip.Addr]bool{}
	for i, f := range frames {
		_, got := balance(t, b, f.data)
		if want[i] != Forwarded {
			continue
		}
		if !bytes.Equal(got[:6], gatewayMAC) || !bytes.Equal(got[6:12], balancerMAC) {
			t.Errorf("frame %d is sent to %x from %x", i, got[:6], got[6:12])
		}
		outer, inner := parse(t, got[14:]), parse(t, f.data[14:])
		protos := map[bool]byte{false: 4, true: 41} // IPv4, IPv6
		if outer.proto != protos[inner.src.Is6()] {
			t.Errorf("frame %d: protocol %d", i, outer.proto)
		}
		if !slices.Contains(isBackend[inner.dst], outer.dst) {
			t.Errorf("frame %d is for %v, which is no backend of %v", i, outer.dst, inner.dst)
		}
		prefix := netip.MustParsePrefix("172.16.0.0/16")
		if outer.src.Is6() {
			prefix = netip.MustParsePrefix("100::/64") // RFC 6666
		}
		if !prefix.Contains(outer.src) {
			t.Errorf("frame %d: outer source %v", i, outer.src)
		}
		sources[outer.src] = true
		if outer.tos != inner.tos || outer.ttl != 64 || outer.df != inner.df && outer.src.Is4() {
			t.Errorf("frame %d: outer header %+v, inner %+v", i, outer, inner)
		}
		if n := len(outer.payload); !bytes.Equal(outer.payload, f.data[14:][:n]) || n+14 > len(f.data) {
			t.Errorf("frame %d: it carries %x, which is not what came", i, outer.payload)
		}
	}
	if len(sources) < 50 {
		t.Errorf("%d outer sources for some 100 flows", len(sources))
	}
}

// TestAnswers checks what the balancer sends back itself: echo replies, and that
// a packet is too big.
func TestAnswers(t *testing.T) {
	frames, want := traffic()
	var now uint64
	b := newBalancer(t, vm.Auto, &now, nil)
	for i, f := range frames {
		_, got := balance(t, b, f.data)
		if want[i] != Answered && want[i] != TooBig {
			continue
		}
		if !bytes.Equal(got[:6], routerMAC) || !bytes.Equal(got[6:12], balancerMAC) || !bytes.Equal(got[12:14], f.data[12:14]) {
			t.Errorf("frame %d comes back to %x from %x as %x", i, got[:6], got[6:12], got[12:14])
		}
		in, out := parse(t, f.data[14:]), parse(t, got[14:])
		if out.src != in.dst || out.dst != in.src || out.ttl != 64 {
			t.Errorf("frame %d from %v to %v: the answer is from %v to %v", i, in.src, in.dst, out.src, out.dst)
		}
		message, proto := out.payload, byte(protoICMP)
		sum := checksum(message)
		if in.src.Is6() {
			proto = protoICMPv6
			sum = checksum(pseudo(out.src, out.dst, proto, len(message)), message)
		}
		if out.proto != proto || sum != 0 {
			t.Errorf("frame %d: protocol %d, the checksum of the message is off by %#x", i, out.proto, sum)
		}
		typ, rest := binary.BigEndian.Uint16(message), binary.BigEndian.Uint32(message[4:])
		if want[i] == Answered {
			if wantType := map[bool]uint16{false: 0 << 8, true: 129 << 8}[in.src.Is6()]; typ != wantType || !bytes.Equal(message[4:], in.payload[4:]) {
				t.Errorf("frame %d: %x answers %x", i, message, in.payload)
			}
			continue
		}
		wantType, fits := uint16(3<<8|4), uint32(1480) // RFC 1191
		if in.src.Is6() {
			wantType, fits = 2<<8, 1460 // RFC 4443
		} else if binary.BigEndian.Uint16(in.payload[2:]) == 80 { // its backends have IPv6
			fits = 1460
		}
		if typ != wantType || rest != fits || !bytes.Equal(message[8:], f.data[14:][:504]) {
			t.Errorf("frame %d: type and code %#x, %d bytes fit; want %#x, %d", i, typ, rest, wantType, fits)
		}
	}
}
