package vm_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/vm"
)

// TestKernelListenerCookies compares SYN cookies that listeners are asked for,
// and answers that they are asked to judge, with the kernel's, in a network
// namespace where listeners always use cookies.
func TestKernelListenerCookies(t *testing.T) {
	oracle.Skip(t)
	oracle.Isolate(t, map[string]string{"net/ipv4/tcp_syncookies": "2"})
	var all []listener
	for _, l := range []struct {
		family int
		only   bool
	}{{unix.AF_INET, false}, {unix.AF_INET6, false}, {unix.AF_INET6, true}} {
		all = append(all, listen(t, l.family, l.only))
	}
	const syn, ack, rst, fin = 2, 16, 4, 1
	type ask struct {
		version        byte
		flags          byte
		ipSize, offset int // of the headers, as the program says
		size           int
		helper         int // that is asked after a cookie was made
		change         int // the byte of the TCP header that is changed before
	}
	var asks []ask
	for _, version := range []byte{4, 6, 5} {
		for _, flags := range []byte{syn, syn | ack, ack, rst | syn, fin | syn, ack | rst, ack | fin, 0} {
			asks = append(asks, ask{version, flags, 40, 24, 24, 110, 0}, ask{version, flags, 40, 24, 24, 100, 0})
		}
		for _, ip := range []int{1, 19, 20, 39, 40} {
			asks = append(asks, ask{version, syn, ip, 24, 24, 110, 0}, ask{version, ack, ip, 24, 24, 100, 0})
		}
		for _, size := range []int{1, 19, 20, 23, 24, 28} {
			asks = append(asks, ask{version, syn, 40, 24, size, 110, 0}, ask{version, ack, 40, 24, size, 100, 0}, ask{version, syn, 40, 20, size, 110, 0})
		}
		for _, change := range []int{1, 4, 8, 11, 20} {
			asks = append(asks, ask{version, ack, 40, 24, 24, 100, change})
		}
	}
	compared := map[int32]int{}
	for _, l := range all {
		host := helpers.Host{Platform: &linux.Host{Sockets: linux.Sockets{Lookup: func(helpers.Env, linux.SocketQuery) *linux.Socket { return l.ours }}}}
		for _, a := range asks {
			// The first cookie is for a good request of the listener's own version.
			good := byte(4)
			if l.ours.Info().OnlyIPv6 {
				good = 6
			}
			ip := make([]byte, 40)
			for i := range ip {
				ip[i] = byte(i)
			}
			th := []byte{1, 2, 3, 4, 9, 8, 7, 6, 0, 0, 0, 0, 6 << 4, syn, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4}
			text := "r8 = r1\n"
			for i, b := range append(append(append([]byte(nil), ip...), th...), l.tuple...) {
				text += fmt.Sprintf("*(u8 *)(r10 %d) = %d\n", i-128, b)
			}
			call := func(helper, ipSize, size int) string {
				return fmt.Sprintf("r1 = r6\nr2 = r10\nr2 += -128\nr3 = %d\nr4 = r10\nr4 += -88\nr5 = %d\ncall %d\n", ipSize, size, helper)
			}
			text += fmt.Sprintf("r1 = r8\nr2 = r10\nr2 += -64\nr3 = %d\nr4 = -1\nr5 = 0\ncall 84\nif r0 == 0 goto none\nr6 = r0\n", len(l.tuple)) +
				fmt.Sprintf("*(u8 *)(r10 -128) = %d\n", good<<4) + call(110, 40, 24) +
				// What answers it.
				"r7 = r0\nw7 += 1\nr7 = be32 r7\n*(u32 *)(r10 -80) = r7\n" +
				fmt.Sprintf("*(u8 *)(r10 -128) = %d\n*(u8 *)(r10 -75) = %d\n*(u8 *)(r10 -76) = %d\n", a.version<<4, a.flags, a.offset/4<<4)
			if a.helper == 100 {
				text += "*(u8 *)(r10 -81) = 7\n" // the number after the request's, 6
			}
			if a.change != 0 {
				text += fmt.Sprintf("r1 = *(u8 *)(r10 %[1]d)\nr1 ^= 64\n*(u8 *)(r10 %[1]d) = r1\n", a.change-88)
			}
			text += call(a.helper, a.ipSize, a.size) + "if r0 s< 0 goto +1\nr0 >>= 32\nr9 = r0\nr1 = r6\ncall 86\nr0 = r9\nexit\nnone:\nr0 = 54321\nexit"
			k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, text)})
			if err != nil {
				t.Fatalf("%+v: %v\n%s", a, err, log)
			}
			want, err := k.Run(oracle.RunInput{Data: make([]byte, 64)})
			k.Close()
			if err != nil {
				t.Fatal(err)
			}
			compared[int32(want.Retval)]++
			for _, e := range usable(t) {
				got, err := load(t, linux.SchedCls, text, vm.Options{Engine: e, Host: host}).Program("p").Run(make([]byte, 64))
				if err != nil || uint32(got) != want.Retval {
					t.Errorf("%s, %s: %+v: %d, %v; the kernel %d", l.name, e, a, int32(got), err, int32(want.Retval))
				}
			}
			if l.ours.Refs() != 0 {
				t.Fatalf("%d references are left", l.ours.Refs())
			}
		}
	}
	t.Logf("results: %v", compared)
	for _, want := range []int32{0, 536, 1220, 1440, 1460, -2, -22, -93} {
		if compared[want] == 0 {
			t.Errorf("no call gave %d", want)
		}
	}
	if compared[54321] != 0 {
		t.Errorf("%d listeners were not found", compared[54321])
	}
}

// A listener is a listening socket of the kernel's, and what it looks like here.
type listener struct {
	name  string
	tuple []byte // bpf_sock_tuple that finds it
	ours  *linux.Socket
}

// listen makes one; with only it takes no IPv4.
func listen(t *testing.T, family int, only bool) (l listener) {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	info := linux.SocketInfo{Family: uint32(family), Type: linux.SockStream, Protocol: 6, State: linux.TCPListen, RxQueue: -1, Cookies: true, OnlyIPv6: only}
	var at unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if family == unix.AF_INET6 {
		at = &unix.SockaddrInet6{}
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, map[bool]int{true: 1}[only]); err != nil {
			t.Fatal(err)
		}
	}
	if err = unix.Bind(fd, at); err == nil {
		err = unix.Listen(fd, 8)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err = unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	l.tuple = make([]byte, 36)
	switch a := at.(type) {
	case *unix.SockaddrInet4:
		l.tuple = l.tuple[:12]
		copy(l.tuple, []byte{127, 0, 0, 1, 127, 0, 0, 1, 1, 2})
		binary.BigEndian.PutUint16(l.tuple[10:], uint16(a.Port))
		info.Local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		l.tuple[15], l.tuple[31] = 1, 1
		binary.BigEndian.PutUint16(l.tuple[34:], uint16(a.Port))
		info.Local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	l.name, l.ours = fmt.Sprintf("family %d, IPv6 only %v", family, only), linux.NewSocket(info)
	return l
}
