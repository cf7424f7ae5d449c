package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

const (
	trafficFile = "testdata/traffic.pcap"
	configFile  = "testdata/config.json"
)

var update = flag.Bool("update", false, "rewrite generated test data")

// TestTraffic checks that the committed capture is the one made here; -update
// writes it.
func TestTraffic(t *testing.T) {
	var b bytes.Buffer
	frames, _ := traffic()
	if err := writePcap(&b, frames); err != nil {
		t.Fatal(err)
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

// A capture collects frames and what should become of them.
type capture struct {
	at     time.Time
	frames []frame
	want   []Outcome
}

func (c *capture) add(want Outcome, frames ...[]byte) {
	for _, f := range frames {
		c.at = c.at.Add(137 * time.Microsecond)
		c.frames = append(c.frames, frame{c.at, f})
		c.want = append(c.want, want)
	}
}

// session is a connection from beginning to end.
func session(h ip, sport, dport uint16, packets int) (frames [][]byte) {
	frames = append(frames, h.tcp(sport, dport, flagSYN, nil), h.tcp(sport, dport, flagACK, nil))
	for n := range packets {
		frames = append(frames, h.tcp(sport, dport, flagACK, bytes.Repeat([]byte{byte(n)}, 20+137*n%400)))
	}
	return append(frames, h.tcp(sport, dport, flagACK|flagFIN, nil), h.tcp(sport, dport, flagACK, nil))
}

// traffic is a minute of what comes to the services of config.json, with what
// should become of each frame.
func traffic() ([]frame, []Outcome) {
	c := &capture{at: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	client4 := func(n int, dst string) ip { return ip{src: fmt.Sprintf("198.51.100.%d", 10+n), dst: dst} }
	client6 := func(n int, dst string) ip { return ip{src: fmt.Sprintf("2001:db8:c::%x", 10+n), dst: dst} }
	for n := range 24 {
		port := uint16(40000 + 17*n)
		c.add(Forwarded, session(client4(n, "192.0.2.10"), port, 443, 3)...)
		c.add(Forwarded, session(client6(n, "2001:db8::10"), port, 443, 2)...)
		c.add(Forwarded, client4(n, "192.0.2.53").udp(port, 53, []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04skep\x04test\x00\x00\x01\x00\x01")))
		c.add(Forwarded, client4(n, "192.0.2.10").udp(port, 443, bytes.Repeat([]byte{byte(n)}, 100+n)))
	}
	for n := range 8 { // IPv4 in IPv6, and all ports with affinity
		h := client4(n, "192.0.2.10")
		h.tos = byte(n<<2 | n&3) // with ECN bits
		c.add(Forwarded, session(h, 50000, 80, 1)...)
		for _, port := range []uint16{21, 30021, 30022} {
			c.add(Forwarded, client4(n, "192.0.2.20").tcp(uint16(50000+n), port, flagSYN, nil))
		}
	}
	// Connections that were there before the balancer, one that its client gives
	// up, and one to where there is no backend.
	c.add(Forwarded, client4(1, "192.0.2.10").tcp(1111, 443, flagACK, []byte("hello")))
	c.add(Forwarded, client4(1, "192.0.2.10").tcp(1111, 443, flagACK, []byte("again")))
	c.add(Forwarded, client4(2, "192.0.2.10").tcp(2222, 443, flagSYN, nil), client4(2, "192.0.2.10").tcp(2222, 443, flagRST, nil))
	c.add(Forwarded, client4(2, "192.0.2.10").tcp(2223, 443, flagRST, nil))
	c.add(NoBackend, client4(2, "192.0.2.30").tcp(2222, 25, flagSYN, nil))
	c.add(Passed, client4(3, "192.0.2.10").tcp(3333, 22, flagSYN, nil), client4(3, "192.0.2.99").tcp(3333, 443, flagSYN, nil))
	c.add(Passed, client6(3, "2001:db8::10").udp(3333, 443, []byte("no such service")))

	c.control()
	c.oddities()
	c.at = c.at.Add(20 * time.Second)
	c.add(Forwarded, client4(0, "192.0.2.10").udp(40000, 443, []byte("the same flow")))
	c.at = c.at.Add(31 * time.Second)
	c.add(Forwarded, client4(0, "192.0.2.10").udp(40000, 443, []byte("a new one")))
	return c.frames, c.want
}

// control is ICMP: pings, errors about what backends sent, and packets to which
// the balancer replies with one.
func (c *capture) control() {
	web4, web6 := ip{src: "198.51.100.10", dst: "192.0.2.10"}, ip{src: "2001:db8:c::a", dst: "2001:db8::10"}
	other4, other6 := ip{src: "198.51.100.10", dst: "192.0.2.99"}, ip{src: "2001:db8:c::a", dst: "2001:db8::99"}
	ping := []byte("abcdefghijklmnopqrstuvwabcdefghi")
	c.add(Answered, web4.icmp(8, 0, 0x4d0001, ping), web4.icmp(8, 0, 0x4d0002, nil), web6.icmp(128, 0, 0x4d0001, ping))
	c.add(Passed, other4.icmp(8, 0, 0x4d0001, ping), other6.icmp(128, 0, 0x4d0001, ping), web4.icmp(0, 0, 0x4d0001, ping))

	back4, back6 := ip{src: web4.dst, dst: web4.src}, ip{src: web6.dst, dst: web6.src}
	cut := func(frame []byte, n int) []byte { return frame[14:][:n] }
	router4, router6 := ip{src: "203.0.113.1", dst: web4.dst}, ip{src: "2001:db8:f::1", dst: web6.dst}
	page := bytes.Repeat([]byte("page"), 256)
	c.add(Forwarded, router4.icmp(3, 4, 1400, cut(back4.tcp(443, 40000, flagACK, page), 28)))
	c.add(Forwarded, router4.icmp(11, 0, 0, cut(back4.udp(443, 40000, page), 200)))
	c.add(Forwarded, router6.icmp(2, 0, 1400, cut(back6.tcp(443, 40000, flagACK, page), 700)))
	c.add(Forwarded, router6.icmp(3, 0, 0, cut(back6.tcp(443, 40999, flagACK, page), 100))) // not in the table
	c.add(Passed, router4.icmp(3, 1, 0, cut(other4.tcp(443, 40000, flagACK, page), 28)))    // not from the VIP
	c.add(Passed, router4.icmp(3, 1, 0, cut(back4.tcp(22, 40000, flagACK, page), 28)))      // from no service
	c.add(Passed, router4.icmp(3, 1, 0, cut(back4.icmp(0, 0, 1, ping), 28)))
	c.add(Malformed, router4.icmp(3, 4, 1400, cut(back4.tcp(443, 40000, flagACK, page), 24)))
	c.add(Malformed, router4.icmp(3, 4, 1400, cut(back4.tcp(443, 40000, flagACK, page), 12)))
	c.add(Malformed, router6.icmp(2, 0, 1400, cut(back6.tcp(443, 40000, flagACK, page), 44)))

	full := func(n int) []byte { return bytes.Repeat([]byte{0x5a}, n) }
	df := web4
	df.frag = 0x4000
	c.add(Forwarded, df.tcp(40000, 443, flagACK, full(1480-40)), web6.tcp(40000, 443, flagACK, full(1460-60)))
	c.add(TooBig, df.tcp(40000, 443, flagACK, full(1481-40)), web6.tcp(40000, 443, flagACK, full(1461-60)))
	c.add(CannotFit, web4.tcp(40000, 443, flagACK, full(1500-40)))
	c.add(Forwarded, df.tcp(50000, 80, flagACK, full(1460-40))) // in IPv6
	c.add(TooBig, df.tcp(50000, 80, flagACK, full(1461-40)))
}

// oddities are what the balancer does not take, and what it leaves to others.
func (c *capture) oddities() {
	web4, web6 := ip{src: "198.51.100.10", dst: "192.0.2.10"}, ip{src: "2001:db8:c::a", dst: "2001:db8::10"}
	other4, other6 := ip{src: "198.51.100.10", dst: "192.0.2.99"}, ip{src: "2001:db8:c::a", dst: "2001:db8::99"}
	syn4, syn6 := web4.tcp(40000, 443, flagSYN, nil), web6.tcp(40000, 443, flagSYN, nil)
	ack4, ack6 := web4.tcp(40000, 443, flagACK, nil), web6.tcp(40000, 443, flagACK, nil)

	for _, h := range []ip{web4, other4} {
		options, first, last := h, h, h
		options.options = "\x94\x04\x00\x00" // router alert, RFC 2113
		first.frag, last.frag = 0x2000, 185
		want := func(o Outcome) Outcome {
			if h == web4 {
				return o
			}
			return Passed
		}
		c.add(want(Options), options.tcp(40000, 443, flagACK, nil))
		c.add(want(Fragment), first.tcp(40000, 443, flagACK, nil), last.frame(byte(TCP), []byte("the rest of a segment")))
	}
	for _, next := range []byte{0, 43, 60} { // hop-by-hop, routing, destination options
		ext := []byte{byte(TCP), 0, 1, 4, 0, 0, 0, 0}
		c.add(Options, web6.frame(next, append(ext, ack6[54:]...)))
		c.add(Passed, other6.frame(next, append(ext, ack6[54:]...)))
	}
	c.add(Fragment, web6.frame(44, append([]byte{byte(TCP), 0, 0, 1, 0, 0, 0, 9}, ack6[54:]...)))
	c.add(Passed, other6.frame(44, append([]byte{byte(TCP), 0, 0, 1, 0, 0, 0, 9}, ack6[54:]...)))
	c.add(Passed, web4.frame(47, []byte("GRE")), web6.frame(59, nil)) // neither TCP nor UDP
	c.add(Passed, vlan(ack4), ether(0x0806, make([]byte, 28)), ether(0x88cc, nil))
	c.add(Forwarded, append(bytes.Clone(ack4), 0, 0, 0, 0, 0, 0)) // padded, as short frames are

	for _, n := range []int{14, 15, 33, 34, 37, 53} { // cut off
		c.add(Malformed, ack4[:n])
	}
	for _, n := range []int{14, 53, 54, 73} {
		c.add(Malformed, ack6[:n])
	}
	change := func(b []byte, at int, x byte) []byte {
		b = bytes.Clone(b)
		b[at] = x
		return b
	}
	c.add(Malformed, change(ack4, 14, 0x44), change(ack4, 14, 0x65), change(ack6, 14, 0x40))
	c.add(Malformed, change(ack4, 16, 5), change(ack4, 17, 19), change(ack6, 18, 5)) // lengths that are not so
	c.add(Malformed, change(syn4, 14+20+12, 4<<4), change(syn6, 14+40+12, 4<<4))
}

// randomTraffic returns n frames to the services of config.json and around them:
// many flows, some of them damaged.
func randomTraffic(r *rand.Rand, n int) [][]byte {
	services := []struct {
		dst  string
		port uint16
	}{
		{"192.0.2.10", 443}, {"192.0.2.10", 443}, {"192.0.2.10", 80}, {"192.0.2.20", 21}, {"192.0.2.53", 53}, {"192.0.2.30", 25},
		{"2001:db8::10", 443}, {"2001:db8::10", 443}, {"192.0.2.99", 443}, {"2001:db8::99", 443}, {"192.0.2.10", 22},
	}
	frames := make([][]byte, n)
	for i := range frames {
		s := services[r.IntN(len(services))]
		h, dport, v6 := ip{src: fmt.Sprintf("198.51.100.%d", r.IntN(64)), dst: s.dst}, s.port, len(s.dst) > 11
		if v6 {
			h.src = fmt.Sprintf("2001:db8:c::%x", r.IntN(64))
		}
		h.tos = byte(r.IntN(256))
		if r.IntN(4) > 0 {
			h.frag = 0x4000
		}
		sport := uint16(40000 + r.IntN(4))
		payload := make([]byte, []int{0, 1, 100, 1400, 1460}[r.IntN(5)])
		flags := []byte{flagSYN, flagACK, flagACK, flagACK, flagACK | flagFIN, flagRST, flagSYN | flagACK, byte(r.IntN(256))}[r.IntN(8)]
		var f []byte
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			f = h.tcp(sport, dport, flags, payload)
		case 4, 5:
			f = h.udp(sport, dport, payload)
		case 6:
			f = h.icmp([]byte{8, 128, byte(r.Uint32())}[r.IntN(3)], byte(r.IntN(8)/7), r.Uint32(), payload)
		case 7:
			back := ip{src: h.dst, dst: h.src}
			quote := back.tcp(dport, sport, flagACK, payload)[14:]
			router := ip{src: "203.0.113.1", dst: h.dst}
			if v6 {
				router.src = "2001:db8:f::1"
			}
			f = router.icmp([]byte{1, 2, 3, 4, 11, 12}[r.IntN(6)], byte(r.IntN(5)), 1400, quote[:min(len(quote), 20+r.IntN(80))])
		}
		frames[i] = damage(r, f)
	}
	return frames
}

// damage changes a frame in three cases of eight.
func damage(r *rand.Rand, f []byte) []byte {
	f = slices.Clone(f)
	at := 12 + r.IntN(min(len(f), 90)-12) // what the balancer looks at
	switch r.IntN(8) {
	case 0:
		f[at] = byte(r.Uint32())
	case 1:
		return f[:14+r.IntN(len(f)-13)]
	case 2:
		if at+2 <= len(f) {
			binary.BigEndian.PutUint16(f[at:], []uint16{0, 1, 0xffff, 443, uint16(len(f) - 14)}[r.IntN(5)])
		}
	}
	return f
}
