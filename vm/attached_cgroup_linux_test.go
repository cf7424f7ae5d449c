package vm_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
)

// TestKernelSockAddr compares programs that judge and change addresses with the
// kernel's: at bind, connect, sendmsg, recvmsg, getpeername and getsockname.
func TestKernelSockAddr(t *testing.T) {
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-addr")
	defer g.Close()
	const sk = 64
	families := map[string]int{"4": unix.AF_INET, "6": unix.AF_INET6}
	attach := map[string]uint32{"bind4": oracle.AtBind4, "bind6": oracle.AtBind6, "connect4": oracle.AtConnect4, "connect6": oracle.AtConnect6,
		"sendmsg4": oracle.AtSendmsg4, "sendmsg6": oracle.AtSendmsg6, "recvmsg4": oracle.AtRecvmsg4, "recvmsg6": oracle.AtRecvmsg6,
		"getpeername4": oracle.AtGetpeername4, "getpeername6": oracle.AtGetpeername6, "getsockname4": oracle.AtGetsockname4, "getsockname6": oracle.AtGetsockname6}
	// address stores one in user_ip4 or user_ip6, port one in user_port.
	address := func(six bool, a string) string {
		b := netip.MustParseAddr(a).AsSlice()
		off, s := 4, ""
		if six {
			off = 8
		}
		for i := 0; i < len(b); i += 4 {
			s += fmt.Sprintf("r1 = %#x ll\n*(u32 *)(r6 +%d) = r1\n", uint32(b[i])|uint32(b[i+1])<<8|uint32(b[i+2])<<16|uint32(b[i+3])<<24, off+i)
		}
		return s
	}
	port := func(p uint16) string { return fmt.Sprintf("r1 = %d\n*(u32 *)(r6 +24) = r1\n", p>>8|p<<8) }
	const allow, refuse, fails = "r0 = 1\nexit", "r0 = 0\nexit", "r1 = -111\ncall 187\nr0 = 0\nexit"
	var all []attached
	for v, family := range families {
		six := v == "6"
		loop, other := "127.0.0.1", "127.0.0.9"
		if six {
			loop, other = "::1", "::1"
		}
		at := func(ip string, p uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(ip), p) }
		add := func(call, what, text string, act func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source))) {
			all = append(all, attached{name: call + v + " " + what, section: "cgroup/" + call + v, kernel: oracle.CgroupSockAddr, attach: attach[call+v], text: text, act: act})
		}
		// us is the source of a call with socket fd about addr.
		us := func(fd int, typ, proto uint32, addr netip.AddrPort, local, remote netip.AddrPort, state uint32) *linux.SockAddr {
			return &linux.SockAddr{Addr: addr, Type: typ, Protocol: proto, Socket: linux.NewSocket(linux.SocketInfo{Family: uint32(family),
				Type: typ, Protocol: proto, State: state, Local: local, Remote: remote, RxQueue: -1, Mark: 0, Cookie: cookieOf(t, fd)})}
		}
		seen := readSocket(0, sk, 4, 8, 12, 16, 20, 44, 72)
		for what, end := range map[string]string{"allowed": allow, "refused": refuse, "fails": fails, "moved": address(six, other) + port(40123) + allow} {
			add("bind", what, seen+"r1 = r6\ncall 46\nr0 = 0\n"+end, func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				fd := socketFor(t, family, unix.SOCK_STREAM)
				err := unix.Bind(fd, sockaddrOf(at(loop, 40001)))
				name, e := unix.Getsockname(fd)
				local := addrOf(t, name, e)
				return us(fd, 1, 6, at(loop, 40001), netip.AddrPort{}, netip.AddrPort{}, linux.TCPClose), func(t *testing.T, got uint64, src hook.Source) {
					a := src.(*linux.SockAddr)
					if !same(linux.Judged(got, a.Retval), err) || err == nil && a.Addr != local {
						t.Errorf("%d, %+v; the kernel: %v, %v", got, a, err, local)
					}
				}
			})
			add("connect", what, seen+end, func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				// The programs of another test do not run here: nobody listens but these.
				for _, p := range []netip.AddrPort{at(loop, 40002), at(other, 40123)} {
					l := socketFor(t, family, unix.SOCK_STREAM)
					if err := unix.Bind(l, sockaddrOf(p)); err != nil {
						t.Fatal(err)
					}
					if err := unix.Listen(l, 4); err != nil {
						t.Fatal(err)
					}
				}
				fd := socketFor(t, family, unix.SOCK_STREAM)
				err := unix.Connect(fd, sockaddrOf(at(loop, 40002)))
				var remote netip.AddrPort
				if err == nil {
					name, e := unix.Getpeername(fd)
					remote = addrOf(t, name, e)
				}
				return us(fd, 1, 6, at(loop, 40002), netip.AddrPort{}, netip.AddrPort{}, linux.TCPClose), func(t *testing.T, got uint64, src hook.Source) {
					a := src.(*linux.SockAddr)
					if !same(linux.Judged(got, a.Retval), err) || err == nil && a.Addr != remote {
						t.Errorf("%d, %+v; the kernel: %v, %v", got, a, err, remote)
					}
				}
			})
			add("sendmsg", what, seen+end, func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				first, to := bound(t, family, unix.SOCK_DGRAM)
				second := socketFor(t, family, unix.SOCK_DGRAM)
				if err := unix.Bind(second, sockaddrOf(at(other, 40123))); err != nil {
					t.Fatal(err)
				}
				fd, local := bound(t, family, unix.SOCK_DGRAM) // which it would be before the program runs
				err := unix.Sendto(fd, []byte("x"), 0, sockaddrOf(to))
				reached := netip.AddrPort{}
				if err == nil {
					for i, s := range []int{first, second} {
						if _, _, e := unix.Recvfrom(s, make([]byte, 4), unix.MSG_DONTWAIT); e == nil {
							reached = []netip.AddrPort{to, at(other, 40123)}[i]
						}
					}
				}
				src := us(fd, 2, 17, to, local, netip.AddrPort{}, linux.TCPClose)
				src.Source = local.Addr()
				return src, func(t *testing.T, got uint64, src hook.Source) {
					a := src.(*linux.SockAddr)
					if !same(linux.Judged(got, a.Retval), err) || err == nil && a.Addr != reached {
						t.Errorf("%d, %+v; the kernel: %v, %v", got, a, err, reached)
					}
				}
			})
		}
		for what, change := range map[string]string{"seen": "", "moved": address(six, other) + port(4242)} {
			add("recvmsg", what, seen+change+allow, func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				fd, to := bound(t, family, unix.SOCK_DGRAM)
				from, sender := bound(t, family, unix.SOCK_DGRAM)
				if err := unix.Sendto(from, []byte("x"), 0, sockaddrOf(to)); err != nil {
					t.Fatal(err)
				}
				var name unix.Sockaddr
				err := again(func() (err error) { _, name, err = unix.Recvfrom(fd, make([]byte, 4), 0); return err })
				shown := addrOf(t, name, err)
				return us(fd, 2, 17, sender, to, netip.AddrPort{}, linux.TCPClose), func(t *testing.T, got uint64, src hook.Source) {
					if a := src.(*linux.SockAddr); a.Addr != shown || got != 1 {
						t.Errorf("%d, %v; the kernel shows %v", got, a.Addr, shown)
					}
				}
			})
			for call, ask := range map[string]func(int) (unix.Sockaddr, error){"getsockname": unix.Getsockname, "getpeername": unix.Getpeername} {
				add(call, what, seen+change+allow, func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
					// Names of sockets are asked for without package unix, whose bound asks, too.
					fd, peer := socketFor(t, family, unix.SOCK_DGRAM), socketFor(t, family, unix.SOCK_DGRAM)
					local, remote := at(loop, 40555), at(loop, 40556)
					if err := unix.Bind(fd, sockaddrOf(local)); err != nil {
						t.Fatal(err)
					}
					if err := unix.Bind(peer, sockaddrOf(remote)); err != nil {
						t.Fatal(err)
					}
					if err := unix.Connect(fd, sockaddrOf(remote)); err != nil {
						t.Fatal(err)
					}
					name, err := ask(fd)
					shown := addrOf(t, name, err)
					about := local
					if call == "getpeername" {
						about = remote
					}
					return us(fd, 2, 17, about, local, remote, linux.TCPEstablished), func(t *testing.T, got uint64, src hook.Source) {
						if a := src.(*linux.SockAddr); a.Addr != shown || got != 1 {
							t.Errorf("%d, %v; the kernel shows %v", got, a.Addr, shown)
						}
					}
				})
			}
		}
	}
	checkAttached(t, g, all, helpers.Host{})
}

// cookieOf returns the number that the kernel has given a socket.
func cookieOf(t *testing.T, fd int) uint64 {
	t.Helper()
	v, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestKernelSockCreate compares programs that judge new sockets, bindings and the
// end of sockets with the kernel's.
func TestKernelSockCreate(t *testing.T) {
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-sock")
	defer g.Close()
	const change = "r1 = 77\n*(u32 *)(r6 +16) = r1\nr1 = 5\n*(u32 *)(r6 +20) = r1\nr1 = 1\n*(u32 *)(r6 +0) = r1\n"
	var all []attached
	for _, kind := range []struct{ family, typ, protocol int }{
		{unix.AF_INET, unix.SOCK_STREAM, 6}, {unix.AF_INET, unix.SOCK_DGRAM, 17}, {unix.AF_INET6, unix.SOCK_STREAM, 6}, {unix.AF_INET6, unix.SOCK_DGRAM, 17},
		{unix.AF_INET, unix.SOCK_RAW, 1},
	} {
		info := linux.SocketInfo{Family: uint32(kind.family), Type: uint32(kind.typ), Protocol: uint32(kind.protocol), State: linux.TCPClose, RxQueue: -1}
		name := fmt.Sprintf("family %d, type %d", kind.family, kind.typ)
		for what, end := range map[string]string{"allowed": change + "r0 = 1\nexit", "refused": "r0 = 0\nexit", "fails": "r1 = -97\ncall 187\ncall 186\n" + save(0) + "r0 = 0\nexit"} {
			all = append(all, attached{name: "create " + name + " " + what, section: "cgroup/sock_create", kernel: oracle.CgroupSock, attach: oracle.AtSockCreate, text: end,
				act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
					fd, err := unix.Socket(kind.family, kind.typ, kind.protocol)
					var mark, priority, device int
					if err == nil {
						defer unix.Close(fd)
						mark, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
						priority, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY)
						device, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
					}
					return &linux.SockCreate{Socket: linux.NewSocket(info)}, func(t *testing.T, got uint64, src hook.Source) {
						s := src.(*linux.SockCreate)
						if e := linux.Judged(got, s.Retval); !same(e, err) {
							t.Errorf("%v; the kernel: %v", e, err)
						}
						if i := s.Socket.Info(); err == nil && (int(i.Mark) != mark || int(i.Priority) != priority || int(i.BoundDevIf) != device) {
							t.Errorf("%+v; the kernel's: mark %d, priority %d, device %d", i, mark, priority, device)
						}
					}
				}})
		}
		if kind.typ == unix.SOCK_RAW {
			continue
		}
		v, at := "4", uint32(oracle.AtPostBind4)
		if kind.family == unix.AF_INET6 {
			v, at = "6", oracle.AtPostBind6
		}
		for what, end := range map[string]string{"allowed": "r0 = 1\nexit", "refused": "r0 = 0\nexit"} {
			all = append(all, attached{name: "bind " + name + " " + what, section: "cgroup/post_bind" + v, kernel: oracle.CgroupSock, attach: at, text: end,
				act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
					fd := socketFor(t, kind.family, kind.typ)
					a := netip.MustParseAddrPort("127.0.0.1:40777")
					if v == "6" {
						a = netip.MustParseAddrPort("[::1]:40777")
					}
					err := unix.Bind(fd, sockaddrOf(a))
					i := info
					i.Local = a
					return &linux.SockCreate{Socket: linux.NewSocket(i)}, func(t *testing.T, got uint64, src hook.Source) {
						if e := linux.Judged(got, src.(*linux.SockCreate).Retval); !same(e, err) {
							t.Errorf("%v; the kernel: %v", e, err)
						}
					}
				}})
		}
	}
	all = append(all, attached{name: "release", section: "cgroup/sock_release", kernel: oracle.CgroupSock, attach: oracle.AtSockRelease, text: "r0 = 1\nexit",
		act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
			return &linux.SockCreate{Socket: linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockDgram, Protocol: 17, State: linux.TCPClose, RxQueue: -1})},
				func(*testing.T, uint64, hook.Source) {}
		}})
	checkAttached(t, g, all, helpers.Host{})
}

// TestKernelSockopt compares programs that judge and change options of sockets with
// the kernel's.
func TestKernelSockopt(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("of 32-bit processes on a 64-bit host the kernel does not ask these programs (net/socket.c, do_sock_setsockopt)")
	}
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-opt")
	defer g.Close()
	// size leaves how long the value is, and, if it has 4 bytes, these.
	size := "r7 = *(u64 *)(r6 +8)\nr8 = *(u64 *)(r6 +16)\nr0 = r8\nr0 -= r7\n" + save(0) +
		"r1 = r7\nr1 += 4\nif r1 > r8 goto short\nr0 = *(u32 *)(r7 +0)\n" + save(1) + "short:\n"
	write := func(v int) string {
		return fmt.Sprintf("r1 = r7\nr1 += 4\nif r1 > r8 goto no\nr1 = %d\n*(u32 *)(r7 +0) = r1\nno:\n", v)
	}
	length := func(n int) string { return fmt.Sprintf("r1 = %d\n*(u32 *)(r6 +32) = r1\n", n) }
	retval := func(n int) string { return fmt.Sprintf("r1 = %d\n*(u32 *)(r6 +36) = r1\n", n) }
	const allow, refuse = "r0 = 1\nexit", "r0 = 0\nexit"
	const none = 0x7abc // an option that there is not
	var all []attached
	for _, c := range []struct {
		what        string
		level, name int
		value       []byte
		text        string
	}{
		{"seen", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), allow},
		{"refused", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), refuse},
		{"failed", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), "r1 = -95\ncall 187\nr0 = 0\nexit"},
		{"changed", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), write(6) + allow},
		{"another", unix.SOL_SOCKET, unix.SO_MARK, word(3), fmt.Sprintf("r1 = %d\n*(u32 *)(r6 +28) = r1\n", unix.SO_PRIORITY) + write(4) + allow},
		{"consumed", none, none, word(9), length(-1) + allow},
		{"none", none, none, word(9), allow},
		{"longer than it may", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), length(17) + allow},
		{"longer", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), write(5) + length(16) + allow},
		{"shorter", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), length(2) + allow},
		{"cut", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), write(6) + length(0) + allow},
		{"negative", unix.SOL_SOCKET, unix.SO_PRIORITY, word(3), length(-2) + allow},
		{"short", unix.SOL_SOCKET, unix.SO_PRIORITY, []byte{1}, allow},
		{"empty", unix.SOL_SOCKET, unix.SO_PRIORITY, nil, allow},
		{"long", unix.SOL_SOCKET, unix.SO_PRIORITY, append(word(2), make([]byte, 96)...), write(1) + allow},
		{"very long", unix.SOL_SOCKET, unix.SO_PRIORITY, append(word(2), make([]byte, 5000)...), allow},
		{"very long, left", unix.SOL_SOCKET, unix.SO_PRIORITY, append(word(2), make([]byte, 5000)...), write(1) + length(0) + allow},
		{"name", unix.IPPROTO_TCP, unix.TCP_CONGESTION, []byte("reno"), allow},
	} {
		all = append(all, attached{name: "set, " + c.what, section: "cgroup/setsockopt", kernel: oracle.CgroupSockopt, attach: oracle.AtSetsockopt, text: size + c.text,
			act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				fd := socketBare(t, unix.AF_INET, unix.SOCK_STREAM)
				err := setsockopt(fd, c.level, c.name, c.value)
				return &linux.Sockopt{Level: int32(c.level), Name: int32(c.name), Value: c.value, Socket: linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: 1, Protocol: 6})},
					func(t *testing.T, got uint64, src hook.Source) {
						// What the host does then shows on another socket.
						o := src.(*linux.Sockopt)
						value, done, e := o.Set(got)
						other := socketBare(t, unix.AF_INET, unix.SOCK_STREAM)
						if e == nil && !done {
							e = setsockopt(other, int(o.Level), int(o.Name), value)
						}
						if !same(e, err) {
							t.Errorf("%v, %+v; the kernel: %v", e, o, err)
						}
						for _, option := range []int{unix.SO_PRIORITY, unix.SO_MARK} {
							x, _ := unix.GetsockoptInt(other, unix.SOL_SOCKET, option)
							y, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
							if x != y {
								t.Errorf("option %d becomes %d, in the kernel %d", option, x, y)
							}
						}
					}
			}})
	}
	for _, c := range []struct {
		what        string
		level, name int
		size        int
		text        string
	}{
		{"seen", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, allow},
		{"refused", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, refuse},
		{"failed", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, retval(-95) + refuse},
		{"failed, allowed", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, retval(-95) + allow},
		{"changed", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, write(6) + allow},
		{"none", none, none, 8, allow},
		{"made up", none, none, 8, retval(0) + write(9) + length(4) + allow},
		{"made up, all", none, none, 8, retval(0) + write(9) + allow},
		{"larger", unix.SOL_SOCKET, unix.SO_PRIORITY, 64, write(7) + length(64) + allow},
		{"too large", unix.SOL_SOCKET, unix.SO_PRIORITY, 64, length(65) + allow},
		{"negative", unix.SOL_SOCKET, unix.SO_PRIORITY, 64, length(-1) + allow},
		{"shorter", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, length(2) + allow},
		{"left", unix.SOL_SOCKET, unix.SO_PRIORITY, 4, write(6) + length(0) + allow},
		{"short", unix.SOL_SOCKET, unix.SO_PRIORITY, 2, allow},
		{"large", unix.SOL_SOCKET, unix.SO_PRIORITY, 5000, allow},
		{"large, all", none, none, 5000, retval(0) + allow},
		{"name", unix.IPPROTO_TCP, unix.TCP_CONGESTION, 16, allow},
	} {
		all = append(all, attached{name: "get, " + c.what, section: "cgroup/getsockopt", kernel: oracle.CgroupSockopt, attach: oracle.AtGetsockopt, text: size + c.text,
			act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				fd := socketBare(t, unix.AF_INET, unix.SOCK_STREAM)
				want := make([]byte, c.size)
				size, err := getsockopt(fd, c.level, c.name, want)
				want = want[:max(0, min(size, len(want)))]
				// What there was before the program ran, another socket says.
				before := make([]byte, c.size)
				src := &linux.Sockopt{Level: int32(c.level), Name: int32(c.name), Value: before, Socket: linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: 1, Protocol: 6})}
				if err := g.Leave(); err != nil {
					t.Fatal(err)
				}
				n, e := getsockopt(socketBare(t, unix.AF_INET, unix.SOCK_STREAM), c.level, c.name, before)
				if src.Len = int32(n); e != nil {
					src.Len, src.Retval = int32(c.size), -int32(errnoOf(e))
				}
				if err := g.Enter(); err != nil {
					t.Fatal(err)
				}
				return src, func(t *testing.T, got uint64, src hook.Source) {
					value, e := src.(*linux.Sockopt).Get(got)
					if !same(e, err) || e == nil && string(value) != string(want) {
						t.Errorf("%.40x, %v; the kernel: %.40x, %v", value, e, want, err)
					}
				}
			}})
	}
	checkAttached(t, g, all, helpers.Host{})
}

// TestKernelSysctl compares programs that judge and change accesses to a file of
// /proc/sys with the kernel's.
func TestKernelSysctl(t *testing.T) {
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-sysctl")
	defer g.Close()
	const name, path = "net/ipv4/ip_default_ttl", "/proc/sys/net/ipv4/ip_default_ttl"
	// ask calls helper with the last size bytes of the stack, and leaves R0 and all
	// 48 in words from n on.
	ask := func(n, helper, size int, flags string) string {
		s, fill := "", -1
		if helper == 101 {
			fill = 0 // the kernel clears some of what is behind the name
		}
		for off := -48; off < 0; off += 8 {
			s += fmt.Sprintf("*(u64 *)(r10 %d) = %d\n", off, fill)
		}
		s += fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -48\nr3 = %d\n%scall %d\n", size, flags, helper) + save(n)
		for i := range 6 {
			s += saveLoad(n+1+i, fmt.Sprintf("*(u64 *)(r10 %d)", 8*i-48))
		}
		return s
	}
	set := func(n int, value string) string {
		s := ""
		for i := range len(value) {
			s += fmt.Sprintf("*(u8 *)(r10 %d) = %d\n", i-16, value[i])
		}
		return s + fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -16\nr3 = %d\ncall 104\n", len(value)) + save(n)
	}
	const allow, refuse = "r0 = 1\nexit", "r0 = 0\nexit"
	var all []attached
	for what, c := range map[string]struct {
		text  string
		write string // "": a read
	}{
		"read":          {allow, ""},
		"read, refused": {refuse, ""},
		"read, failed":  {"r1 = -61\ncall 187\ncall 186\n" + save(0) + refuse, ""},
		"names":         {ask(0, 101, 48, "r4 = 0\n") + ask(7, 101, 48, "r4 = 1\n") + ask(14, 101, 24, "r4 = 0\n") + ask(21, 101, 23, "r4 = 0\n") + ask(28, 101, 1, "r4 = 0\n") + ask(35, 101, 15, "r4 = 1\n") + ask(42, 101, 48, "r4 = 2\n") + allow, ""},
		"values, read":  {ask(0, 102, 48, "") + ask(7, 102, 3, "") + ask(14, 102, 2, "") + ask(21, 103, 48, "") + ask(28, 103, 1, "") + set(35, "9") + allow, ""},
		"values, write": {ask(0, 102, 48, "") + ask(7, 102, 1, "") + ask(14, 103, 48, "") + ask(21, 103, 3, "") + ask(28, 103, 2, "") + ask(35, 103, 1, "") + allow, "99"},
		"write":         {allow, "77\n"},
		"write, refused": {
			refuse, "78"},
		"replaced":        {set(0, "55") + ask(1, 103, 48, "") + allow, "66"},
		"replaced, twice": {set(0, "55") + set(1, "144") + ask(2, 103, 48, "") + allow, "66"},
		"replaced, bad":   {set(0, "many") + allow, "66"},
		"moved":           {"r1 = 1\n*(u32 *)(r6 +4) = r1\nr0 = *(u32 *)(r6 +4)\n" + save(0) + allow, ""},
		"moved, write":    {"r1 = 3\n*(u32 *)(r6 +4) = r1\n" + allow, "77"},
	} {
		all = append(all, attached{name: what, section: "cgroup/sysctl", kernel: oracle.CgroupSysctl, attach: oracle.AtSysctl, text: c.text,
			act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
				access := func(write string) (string, error) {
					mode := unix.O_RDONLY
					if write != "" {
						mode = unix.O_WRONLY
					}
					fd, err := unix.Open(path, mode|unix.O_CLOEXEC, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer unix.Close(fd)
					b := make([]byte, 64)
					var n int
					if write != "" {
						_, err = unix.Write(fd, []byte(write))
						return "", err
					}
					n, err = unix.Read(fd, b)
					return string(b[:max(n, 0)]), err
				}
				// outside the cgroup there is no program.
				outside := func(write string) (text string, err error) {
					if err := g.Leave(); err != nil {
						t.Fatal(err)
					}
					text, err = access(write)
					if e := g.Enter(); e != nil {
						t.Fatal(e)
					}
					return text, err
				}
				before, err := outside("")
				if err != nil {
					t.Fatal(err)
				}
				shown, err := access(c.write)
				after, e := outside("")
				if e != nil {
					t.Fatal(e)
				}
				src := &linux.Sysctl{Name: name, Current: []byte(before), New: []byte(c.write), Write: c.write != ""}
				return src, func(t *testing.T, got uint64, src hook.Source) {
					s := src.(*linux.Sysctl)
					ours := linux.Judged(got, s.Retval)
					if ours == nil && s.Write && s.Pos == 0 { // what the host does then
						if _, e := outside(before); e != nil {
							t.Fatal(e)
						}
						if _, e := outside(string(s.New)); e != nil {
							ours = e
						}
						now, e := outside("")
						if e != nil || now != after {
							t.Errorf("it becomes %q, %v, in the kernel %q", now, e, after)
						}
					}
					if !same(ours, err) {
						t.Errorf("%v; the kernel: %v", ours, err)
					}
					if !s.Write && ours == nil && shown != before[min(int(s.Pos), len(before)):] && (s.Pos == 0 || shown != "") {
						t.Errorf("position %d; the kernel reads %q", s.Pos, shown)
					}
				}
			}})
	}
	checkAttached(t, g, all, helpers.Host{})
}

// TestKernelDevice compares programs that judge accesses to device files with the
// kernel's.
func TestKernelDevice(t *testing.T) {
	oracle.Skip(t)
	g := oracle.NewCgroup(t, "skep-dev")
	defer g.Close()
	node := filepath.Join(t.TempDir(), "node")
	var all []attached
	for _, c := range []struct {
		what   string
		access linux.DeviceAccess
		device linux.Device
		do     func() error
	}{
		{"read", linux.DeviceRead, linux.Device{Type: linux.CharDevice, Major: 1, Minor: 3}, func() error { return openOnce("/dev/null", unix.O_RDONLY) }},
		{"write", linux.DeviceWrite, linux.Device{Type: linux.CharDevice, Major: 1, Minor: 5}, func() error { return openOnce("/dev/zero", unix.O_WRONLY) }},
		{"both", linux.DeviceRead | linux.DeviceWrite, linux.Device{Type: linux.CharDevice, Major: 1, Minor: 9}, func() error { return openOnce("/dev/urandom", unix.O_RDWR) }},
		{"character node", linux.DeviceMknod, linux.Device{Type: linux.CharDevice, Major: 77, Minor: 300}, func() error { return unix.Mknod(node, unix.S_IFCHR, int(unix.Mkdev(77, 300))) }},
		{"block node", linux.DeviceMknod, linux.Device{Type: linux.BlockDevice, Major: 9, Minor: 1 << 19}, func() error { return unix.Mknod(node, unix.S_IFBLK, int(unix.Mkdev(9, 1<<19))) }},
	} {
		for what, text := range map[string]string{"allowed": "r0 = 1\nexit", "refused": "r0 = 0\nexit", "failed": "call 186\n" + save(0) + "r1 = -6\ncall 187\nr0 = 0\nexit"} {
			all = append(all, attached{name: c.what + " " + what, section: "cgroup/dev", kernel: oracle.CgroupDevice, attach: oracle.AtDevice, text: text,
				act: func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
					err := c.do()
					os.Remove(node)
					d := c.device
					d.Access = c.access
					return &d, func(t *testing.T, got uint64, src hook.Source) {
						e := linux.Judged(got, src.(*linux.Device).Retval)
						if (e == nil) != (err == nil) || e != nil && !same(e, err) {
							t.Errorf("%v; the kernel: %v", e, err)
						}
					}
				}})
		}
	}
	checkAttached(t, g, all, helpers.Host{})
}

func openOnce(path string, mode int) error {
	fd, err := unix.Open(path, mode|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
