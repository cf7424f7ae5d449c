package vm_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// counted are fields of sock_ops that count what the connection has done, which no
// test can know.
var counted = []string{"snd_cwnd", "srtt_us", "rtt_min", "snd_ssthresh", "rcv_nxt", "snd_nxt", "snd_una", "mss_cache", "ecn_flags", "rate_delivered",
	"rate_interval_us", "packets_out", "retrans_out", "total_retrans", "segs_in", "data_segs_in", "segs_out", "data_segs_out", "lost_out", "sacked_out",
	"bytes_received", "bytes_acked", "sk_txhash"}

// header leaves what a sock_ops program sees of the packet in words from n on, a
// word a byte, behind their number.
func header(n int, label string) string {
	s := "r7 = *(u64 *)(r6 +192)\nr8 = *(u64 *)(r6 +200)\nr0 = r8\nr0 -= r7\n" + save(n)
	for i := range 60 {
		s += fmt.Sprintf("r1 = r7\nr1 += %d\nif r1 > r8 goto %s\n", i+1, label) + saveLoad(n+1+i, fmt.Sprintf("*(u8 *)(r7 +%d)", i))
	}
	return s + label + ":\n"
}

// headerIn is what header left.
func headerIn(seen []byte, n int) []byte {
	b := make([]byte, min(binary.NativeEndian.Uint64(seen[own+8*n:]), 60))
	for i := range b {
		b[i] = seen[own+8*(n+1+i)]
	}
	return b
}

// TestKernelSockOps compares programs on events of TCP connections with the
// kernel's, options of headers included.
func TestKernelSockOps(t *testing.T) {
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-ops")
	defer g.Close()
	const clientPort, serverPort = 40001, 40002
	const allow = "r0 = 1\nexit"
	// option calls load_hdr_opt or store_hdr_opt with the bytes of opt, and leaves R0
	// and 8 bytes of them.
	option := func(n, helper, flags int, opt ...byte) string {
		s := "*(u64 *)(r10 -48) = 0\n*(u64 *)(r10 -40) = 0\n"
		for i, b := range opt {
			s += fmt.Sprintf("*(u8 *)(r10 %d) = %d\n", i-48, b)
		}
		return s + fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -48\nr3 = %d\nr4 = %d\ncall %d\n", len(opt), flags, helper) + save(n) + saveLoad(n+1, "*(u64 *)(r10 -48)")
	}
	load := func(n, flags int) string {
		s := ""
		for i, opt := range [][]byte{
			{2, 0, 0, 0}, {2, 0, 0}, {3, 0, 0, 0}, {8, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {4, 0}, {4, 2}, {99, 0}, {1, 0}, {0, 0}, {254, 4, 0xeb, 0x9f, 0, 0},
			{254, 3, 0xeb}, {253, 6, 1, 2, 3, 4}, {254, 8, 1, 2, 3, 4}, {2},
		} {
			s += option(n+2*i, 142, flags, opt...)
		}
		return s
	}
	reserve := func(n, size, flags int) string {
		return fmt.Sprintf("r1 = r6\nr2 = %d\nr3 = %d\ncall 144\n", size, flags) + save(n)
	}
	// put puts the socket in both maps, by helper, and leaves what it says.
	put := func(n, key, flags int) (s string) {
		for i, helper := range []int{53, 70} {
			s += fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = r6\nr2 = map[%d]\nr3 = r10\nr3 += -4\nr4 = %d\ncall %d\n", key, 1+i, flags, helper) + save(n+i)
		}
		return s
	}
	puts := put(130, 1, 0) + put(132, 1, 1) + put(134, 2, 2) + put(136, 1, 2) + put(138, 9, 0) + put(140, 1, 3) + put(142, 0, 1)
	const synSent, synReceived = 2, 3
	var all []attached
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		ip := netip.MustParseAddr("127.0.0.1")
		if family == unix.AF_INET6 {
			ip = netip.MustParseAddr("::1")
		}
		client, server := netip.AddrPortFrom(ip, clientPort), netip.AddrPortFrom(ip, serverPort)
		for _, c := range []struct {
			what   string
			op     uint32
			port   int
			state  uint32
			args   [4]uint32
			text   string
			header int // the word where the program leaves the packet; -1: it has none
			room   uint32
			syn    bool // the kernel has kept the request
			lone   bool // there is no other end yet
			more   bool // the packet goes on behind its header
			check  func(t *testing.T, e *linux.SockEvent, seen []byte)
		}{
			{what: "connect", op: 3, port: clientPort, state: synSent, header: -1, text: load(0, 0) + load(28, 1) + reserve(60, 4, 0) + option(61, 143, 0, 254, 4, 1, 2) + puts + allow},
			{what: "first timeout", op: 1, port: clientPort, state: synSent, header: -1, text: "r1 = 77\n*(u32 *)(r6 +4) = r1\n" + saveLoad(0, "*(u32 *)(r6 +4)") + allow},
			{what: "first window", op: 2, port: clientPort, state: synSent, header: -1, text: allow},
			{what: "listen", op: 11, port: serverPort, state: linux.TCPListen, header: -1, lone: true, text: puts + "r1 = r6\nr2 = 255\ncall 59\n" + save(0) + saveLoad(1, "*(u32 *)(r6 +84)") + allow},
			{what: "established, client", op: 4, port: clientPort, state: linux.TCPEstablished, header: 60, text: header(60, "a") + load(0, 0) + load(28, 1) + puts + allow},
			{what: "established, server", op: 5, port: serverPort, state: synReceived, header: 60, syn: true, text: header(60, "a") + load(0, 0) + load(28, 1) + reserve(57, 4, 0) + allow},
			{what: "state", op: 10, port: clientPort, state: synSent, header: -1, args: [4]uint32{synSent, linux.TCPEstablished}, text: load(0, 0) + allow},
			{what: "header read", op: 13, port: clientPort, state: linux.TCPEstablished, header: 60, more: true, text: header(60, "a") + load(0, 0) + option(28, 143, 0, 254, 4, 1, 2) + allow},
			{what: "room", op: 14, port: clientPort, state: synSent, header: -1, room: 20, text: reserve(0, 1, 0) + reserve(1, 4, 1) + reserve(2, 21, 0) + reserve(3, 4, 0) +
				reserve(4, 17, 0) + reserve(5, 16, 0) + reserve(6, 2, 0) + load(8, 0) + option(40, 143, 0, 254, 4, 1, 2) + allow},
			{what: "header written", op: 15, port: clientPort, state: synSent, header: 60, room: 12, text: header(60, "a") +
				option(0, 143, 1, 254, 4, 1, 2) + option(2, 143, 0, 254, 3, 1) + option(4, 143, 0, 2, 4, 5, 6) + option(6, 143, 0, 1, 2) + option(8, 143, 0, 99, 5, 1, 2) +
				option(10, 143, 0, 99, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) + option(12, 143, 0, 254, 6, 1, 2, 3, 4) + option(14, 143, 0, 254, 6, 1, 2, 5, 6) +
				option(16, 143, 0, 254, 4, 7, 8) + option(18, 143, 0, 98, 3, 1) + option(20, 143, 0, 98, 2) + load(22, 0) + option(50, 142, 0, 254, 4, 7, 8, 0) + allow},
		} {
			name := fmt.Sprintf("family %d, %s", family, c.what)
			a := attached{name: name, section: "sockops", kernel: oracle.SockOps, attach: oracle.AtSockOps, without: counted, text: c.text,
				extra: []*maps.Spec{{Name: "socks", Type: maps.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 3}, {Name: "hashed", Type: maps.SockHash, KeySize: 4, ValueSize: 4, MaxEntries: 3}}}
			if family == unix.AF_INET6 { // where the kernel has a made-up address, 127.0.0.6
				a.without = append([]string{"remote_ip4", "local_ip4"}, counted...)
			}
			// Connections ask for all events as soon as they can; of these one is
			// looked at, at one end, and the first time only. In the client's first
			// packet there is room for 12 bytes.
			a.only = fmt.Sprintf(`
				r1 = *(u32 *)(r6 +0)
				if r1 == 3 goto ask
				if r1 == 11 goto ask
				goto asked
			ask:
				if r1 == %[1]d goto asked
				r1 = r6
				r2 = 127
				call 59
			asked:
				r1 = *(u32 *)(r6 +0)
				if r1 == %[1]d goto this
				if r1 != 14 goto skip
				r1 = r6
				r2 = 12
				r3 = 0
				call 144
				goto skip
			this:
				r1 = *(u32 *)(r6 +68)
				if r1 != %[2]d goto skip
				r1 = *(u64 *)(r9 +0)
				if r1 != 0 goto skip
			`, c.op, c.port)
			a.act = func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				l := socketBare(t, family, unix.SOCK_STREAM)
				must := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				must(unix.SetsockoptInt(l, unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 1))
				must(unix.Bind(l, sockaddrOf(server)))
				must(unix.Listen(l, 4))
				fd := socketFor(t, family, unix.SOCK_STREAM)
				must(unix.Bind(fd, sockaddrOf(client)))
				must(unix.Connect(fd, sockaddrOf(server)))
				other, _, err := unix.Accept(l)
				must(err)
				defer unix.Close(other)
				_, err = unix.Write(other, []byte("data"))
				must(err)
				must(again(func() error { _, err := unix.Read(fd, make([]byte, 4)); return err }))
				info := linux.SocketInfo{Family: uint32(family), Type: 1, Protocol: 6, State: c.state, Local: client, Remote: server}
				e := &linux.SockEvent{Op: c.op, Args: c.args, Room: c.room}
				if c.op == 14 {
					e.Packet = make([]byte, 20)
					e.Packet[12], e.Packet[13] = 5<<4, 2
				}
				if c.syn {
					b := make([]byte, 128)
					n, err := getsockopt(other, unix.IPPROTO_TCP, unix.TCP_SAVED_SYN, b)
					must(err)
					e.Syn = b[map[int]int{unix.AF_INET: 20, unix.AF_INET6: 40}[family]:n]
				}
				if e.Callbacks = 127; c.op == 3 || c.op == 11 {
					e.Callbacks = 0
				}
				if c.port == serverPort {
					info.Local, info.Remote = server, client
				}
				if c.lone {
					info.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{}), 0)
					if family == unix.AF_INET6 {
						info.Remote = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
					}
				}
				e.Socket = linux.NewSocket(info)
				return e, func(t *testing.T, got uint64, src hook.Source) {
					if got != 1 {
						t.Errorf("%d", got)
					}
				}
			}
			if c.header >= 0 {
				a.learn = func(src hook.Source, seen []byte) {
					e := src.(*linux.SockEvent)
					e.Packet = headerIn(seen, c.header)
					if c.more {
						e.Packet = append(e.Packet, "data"...)
					}
				}
			}
			all = append(all, a)
		}
	}
	checkAttached(t, g, all, helpers.Host{})
}
