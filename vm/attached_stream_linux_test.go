package vm_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// A stream is a TCP connection over loopback: both ends, and what they are here.
type stream struct {
	client, server         int
	ourClient, ourServer   *linux.Socket
	clientAddr, serverAddr netip.AddrPort
}

func newStream(t *testing.T, family int) (s stream) {
	t.Helper()
	l, at := bound(t, family, unix.SOCK_STREAM)
	if err := unix.Listen(l, 4); err != nil {
		t.Fatal(err)
	}
	s.client = socketFor(t, family, unix.SOCK_STREAM)
	if err := unix.Connect(s.client, sockaddrOf(at)); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.server, _, err = unix.Accept(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.server) })
	if err := unix.SetsockoptTimeval(s.server, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(s.client)
	s.clientAddr, s.serverAddr = addrOf(t, name, err), at
	info := linux.SocketInfo{Family: uint32(family), Type: 1, Protocol: 6, State: linux.TCPEstablished, Local: s.clientAddr, Remote: at, RxQueue: -1}
	s.ourClient = linux.NewSocket(info)
	info.Local, info.Remote = at, s.clientAddr
	s.ourServer = linux.NewSocket(info)
	return s
}

// got returns what there is to read from a socket; wait says whether to wait for it.
func got(fd int, wait bool) string {
	b := make([]byte, 256)
	flags := unix.MSG_DONTWAIT
	if wait {
		flags = 0
	}
	n := 0
	err := again(func() (err error) { n, _, err = unix.Recvfrom(fd, b, flags); return err })
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// TestKernelStreams compares programs on what sockets in a map send and receive
// with the kernel's: what they see, change, drop and send elsewhere.
func TestKernelStreams(t *testing.T) {
	oracle.Skip(t)
	socks := &maps.Spec{Name: "socks", Type: maps.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 4}
	const data = "some bytes of a stream"
	const pass, drop = "r0 = 1\nexit", "r0 = 0\nexit"
	// at0 gets n bytes at data for r7, or goes to no.
	at0 := func(off, n int, no string) string {
		return fmt.Sprintf("r7 = *(u64 *)(r6 +%d)\nr8 = *(u64 *)(r6 +%d)\nr1 = r7\nr1 += %d\nif r1 > r8 goto %s\n", off, off+8, n, no)
	}
	skb0 := func(n int, no string) string { // which is in one piece here, and there when it has been asked for
		return fmt.Sprintf("r1 = r6\nr2 = %[1]d\ncall 39\nr7 = *(u32 *)(r6 +76)\nr8 = *(u32 *)(r6 +80)\nr1 = r7\nr1 += %[1]d\nif r1 > r8 goto %[2]s\n", n, no)
	}
	call := func(n, helper int, args ...int) string {
		s := "r1 = r6\n"
		for i, a := range args {
			s += fmt.Sprintf("r%d = %d\n", i+2, a)
		}
		return s + fmt.Sprintf("call %d\n", helper) + save(n)
	}
	redirect := func(helper, key, flags int) string {
		return fmt.Sprintf("r1 = r6\nr2 = map[1]\nr3 = %d\nr4 = %d\ncall %d\n", key, flags, helper) + save(0) + "exit"
	}
	keyed := func(helper, key, flags int) string {
		return fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = r6\nr2 = map[1]\nr3 = r10\nr3 += -4\nr4 = %d\ncall %d\n", key, flags, helper) + save(0) + "exit"
	}
	// socketsFor is the map for a program: a hash if it asks by key.
	socketsFor := func(what string) []*maps.Spec {
		s := *socks
		if strings.HasSuffix(what, "hash") {
			s.Type = maps.SockHash
		}
		return []*maps.Spec{&s}
	}
	size := "r0 = *(u64 *)(r6 +8)\nr1 = *(u64 *)(r6 +0)\nr0 -= r1\n"
	full := len(data)
	var all []attached
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		hidden := []string{"remote_ip4", "local_ip4"} // a made-up address, 127.0.0.6
		if family == unix.AF_INET {
			hidden = nil
		}
		for what, text := range map[string]string{
			"passed":  at0(0, 4, "no") + saveLoad(0, "*(u32 *)(r7 +0)") + "no:\n" + size + save(1) + readSocket(2, 72, 4, 8, 12, 44, 72) + pass,
			"dropped": drop,
			"written": at0(0, 4, "no") + "*(u32 *)(r7 +0) = 0x64636261\nno:\n" + pass,
			"pulled":  call(0, 63, 3, 9, 0) + size + save(1) + at0(0, 2, "no") + "*(u16 *)(r7 +0) = 0x2121\nno:\n" + pass,
			"pulled, refused": call(0, 63, 3, 3, 0) + call(1, 63, 9, 3, 0) + call(2, 63, 0, full+1, 0) + call(3, 63, full, full+1, 0) + call(4, 63, 0, 4, 1) +
				call(5, 63, 0, full, 0) + size + save(6) + pass,
			"pushed": call(0, 90, 2, 3, 0) + saveLoad(1, "*(u32 *)(r6 +68)") + call(2, 63, 0, full+3, 0) +
				at0(0, 5, "no") + "*(u8 *)(r7 +2) = 42\n*(u8 *)(r7 +3) = 43\n*(u8 *)(r7 +4) = 44\nno:\n" + size + save(3) + pass,
			"pushed at the end": call(0, 90, full, 2, 0) + call(1, 63, 0, full+2, 0) + at0(0, full+2, "no") + fmt.Sprintf("*(u16 *)(r7 +%d) = 0x4242\nno:\n", full) + pass,
			"pushed, refused":   call(0, 90, full+1, 2, 0) + call(1, 90, 0, 2, 1) + call(2, 90, 3, 0, 0) + call(3, 90, 99, 0, 0) + saveLoad(4, "*(u32 *)(r6 +68)") + pass,
			"popped":            call(0, 91, 4, 7, 0) + saveLoad(1, "*(u32 *)(r6 +68)") + pass,
			"popped at the end": call(0, 91, full-4, 4, 0) + saveLoad(1, "*(u32 *)(r6 +68)") + pass,
			"popped, refused":   call(0, 91, full, 1, 0) + call(1, 91, 3, full, 0) + call(2, 91, 0, 1, 1) + call(3, 91, 2, 0, 0) + saveLoad(4, "*(u32 *)(r6 +68)") + pass,
			"applied, corked":   call(0, 61, full) + call(1, 62, 3) + pass,
			"to a socket, hash": keyed(71, 1, 0),
			"into one, hash":    keyed(71, 1, 1),
			"nowhere, hash":     keyed(71, 2, 0),
			"to a socket":       redirect(60, 1, 0),
			"into a socket":     redirect(60, 1, 1),
			"nowhere":           redirect(60, 2, 0),
			"bad flags":         redirect(60, 1, 2),
		} {
			var s, other stream
			a := attached{name: fmt.Sprintf("message, family %d, %s", family, what), section: "sk_msg", kernel: oracle.SkMsg, attach: oracle.AtSkMsg, text: text, without: hidden,
				extra: socketsFor(what), target: func(theirs []*oracle.Map) int { return theirs[1].FD() }}
			a.begin = func(t *testing.T, theirs []*oracle.Map, _ int) {
				s, other = newStream(t, family), newStream(t, family)
				for i, fd := range []int{s.client, other.client} {
					if err := theirs[1].Update(word(uint32(i)), word(uint32(fd)), 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			a.fill = func(t *testing.T, c *vm.Collection) {
				for i, o := range []*linux.Socket{s.ourClient, other.ourClient} {
					if err := c.Map("socks").(maps.SocketMap).StoreSocket(word(uint32(i)), o, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			a.act = func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				_, err := unix.Write(s.client, []byte(data))
				var where, what string
				for i, c := range []struct {
					name string
					fd   int
				}{{"through", s.server}, {"to", other.server}, {"into", other.client}} {
					if x := got(c.fd, i == 0 && err == nil && text[len(text)-len(pass):] == pass); x != "" {
						where, what = c.name, x
					}
				}
				return &linux.SendMessage{Data: []byte(data), Socket: s.ourClient}, func(t *testing.T, r0 uint64, src hook.Source) {
					m := src.(*linux.SendMessage)
					to, have := "", ""
					switch {
					case r0 == 1 && m.Redirect.Kind == linux.RedirectSocket && m.Redirect.Flags == 1:
						to, have = "into", string(m.Data)
					case r0 == 1 && m.Redirect.Kind == linux.RedirectSocket:
						to, have = "to", string(m.Data)
					case r0 == 1:
						to, have = "through", string(m.Data)
					}
					if (r0 == 0) != (errnoOf(err) == unix.EACCES) || to != where || have != what {
						t.Errorf("%d: %q %s; the kernel: %v: %q %s", r0, have, to, err, what, where)
					}
					if to != "" && to != "through" && m.Redirect.Socket != other.ourClient {
						t.Error("to another socket")
					}
				}
			}
			all = append(all, a)
		}
		var notStream []string
		for _, f := range linux.SkSkb.Ctx.Fields {
			switch f.Name {
			case "len", "family", "remote_port", "local_port":
				continue
			case "remote_ip4", "local_ip4":
				if family == unix.AF_INET {
					continue
				}
			case "remote_ip6[0]", "remote_ip6[1]", "remote_ip6[2]", "remote_ip6[3]", "local_ip6[0]", "local_ip6[1]", "local_ip6[2]", "local_ip6[3]":
				continue
			}
			notStream = append(notStream, f.Name) // the path that the packet took
		}
		for what, text := range map[string]string{
			"passed":  skb0(4, "no") + saveLoad(0, "*(u32 *)(r7 +0)") + "no:\n" + pass,
			"dropped": drop,
			"written": skb0(4, "no") + "*(u32 *)(r7 +0) = 0x64636261\nno:\n" + pass,
			"longer":  call(0, 50, 5, 0, 0) + saveLoad(1, "*(u32 *)(r6 +0)") + skb0(5, "no") + saveLoad(2, "*(u32 *)(r7 +0)") + "*(u8 *)(r7 +4) = 33\nno:\n" + pass,
			"shorter": call(0, 50, -5, 0, 0) + saveLoad(1, "*(u32 *)(r6 +0)") + skb0(5, "no") + saveLoad(2, "*(u32 *)(r7 +0)") + "no:\n" + pass,
			"refused": call(0, 50, 4096, 0, 0) + call(1, 50, -4096, 0, 0) + call(2, 50, 1, 1, 0) + call(3, 50, 1, 0, 1) + call(4, 50, -full-1, 0, 0) +
				saveLoad(5, "*(u32 *)(r6 +0)") + pass,
			"to a socket, hash": keyed(72, 1, 0),
			"into one, hash":    keyed(72, 1, 1),
			"nowhere, hash":     keyed(72, 2, 0),
			"to a socket":       redirect(52, 1, 0),
			"into a socket":     redirect(52, 1, 1),
			"nowhere":           redirect(52, 2, 0),
			"bad flags":         redirect(52, 1, 2),
		} {
			var s, other stream
			a := attached{name: fmt.Sprintf("data, family %d, %s", family, what), section: "sk_skb/stream_verdict", kernel: oracle.SkSkb, attach: oracle.AtSkSkbVerdict, text: text,
				without: notStream, extra: socketsFor(what), target: func(theirs []*oracle.Map) int { return theirs[1].FD() }}
			a.begin = func(t *testing.T, theirs []*oracle.Map, _ int) {
				s, other = newStream(t, family), newStream(t, family)
				for i, fd := range []int{s.server, other.server} {
					if err := theirs[1].Update(word(uint32(i)), word(uint32(fd)), 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			a.fill = func(t *testing.T, c *vm.Collection) {
				for i, o := range []*linux.Socket{s.ourServer, other.ourServer} {
					if err := c.Map("socks").(maps.SocketMap).StoreSocket(word(uint32(i)), o, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			a.act = func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				if _, err := unix.Write(s.client, []byte(data)); err != nil {
					t.Fatal(err)
				}
				ends := []struct {
					name string
					fd   int
				}{{"through", s.server}, {"to", other.client}, {"into", other.server}}
				var fds []unix.PollFd
				for _, c := range ends {
					fds = append(fds, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
				}
				wait := 5000
				if text == drop || strings.HasPrefix(what, "nowhere") || what == "bad flags" {
					wait = 50 // nothing comes
				}
				var where, read string
				if err := again(func() error { _, err := unix.Poll(fds, wait); return err }); err != nil {
					t.Fatal(err)
				}
				for _, c := range ends {
					if x := got(c.fd, false); x != "" {
						where, read = c.name, x
					}
				}
				return &linux.Frame{Packet: linux.NewPacket([]byte(data)), Socket: s.ourServer}, func(t *testing.T, r0 uint64, src hook.Source) {
					f := src.(*linux.Frame)
					to, have, r := "", "", f.State.Redirect
					switch {
					case r0 == 1 && r.Kind == linux.RedirectSocket && r.Flags == 1:
						to, have = "into", string(f.Packet.Data())
					case r0 == 1 && r.Kind == linux.RedirectSocket:
						to, have = "to", string(f.Packet.Data())
					case r0 == 1:
						to, have = "through", string(f.Packet.Data())
					}
					if to != where || have != read {
						t.Errorf("%d: %q %s; the kernel: %q %s", r0, have, to, read, where)
					}
					if to != "" && to != "through" && r.Socket != other.ourServer {
						t.Error("to another socket")
					}
				}
			}
			all = append(all, a)
		}
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			oracle.Isolate(t, nil)
			a.check(t, -1, helpers.Host{})
		})
	}
}
