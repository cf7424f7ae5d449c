package linux

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers/helpertest"
)

// TestTCPInfo: the Go struct has the fields of struct bpf_tcp_sock, in their
// places.
func TestTCPInfo(t *testing.T) {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "") }
	typ := reflect.TypeFor[TCPInfo]()
	if typ.NumField() != len(tcpSock.Fields) {
		t.Fatalf("%d fields, not %d", typ.NumField(), len(tcpSock.Fields))
	}
	for i := range typ.NumField() {
		f, want := typ.Field(i), tcpSock.Fields[i]
		if plain(f.Name) != plain(want.Name) {
			t.Errorf("field %d is %s, not %s", i, f.Name, want.Name)
		}
		var info TCPInfo
		reflect.ValueOf(&info).Elem().Field(i).SetUint(1<<(8*want.Size-1) | 5)
		s := NewSocket(SocketInfo{Family: AFInet, Type: SockStream, Protocol: protoTCP, TCP: &info})
		for off, b := range s.Memory("tcp_sock") {
			inside := uint32(off) >= want.Off && uint32(off) < want.Off+want.Size
			if b != 0 && !inside {
				t.Errorf("%s: byte %d is %#x", want.Name, off, b)
			}
		}
		if v, ok := tcpSock.Get(hostOf(s.Memory("tcp_sock")), want.Name); !ok || v != 1<<(8*want.Size-1)|5 {
			t.Errorf("%s is %#x", want.Name, v)
		}
	}
}

// hostOf returns a tcp_sock's bytes in the host's layout.
func hostOf(b []byte) []byte {
	host := make([]byte, tcpSock.HostSize)
	for _, f := range tcpSock.Fields {
		copy(host[f.HostOff:][:f.HostSize], b[f.Off:])
	}
	return host
}

// TestSocketKinds: what a socket can be passed for.
func TestSocketKinds(t *testing.T) {
	for _, tc := range []struct {
		info SocketInfo
		want string
	}{
		{SocketInfo{Family: AFInet6, Type: SockStream, Protocol: protoTCP}, "sock_common sock tcp_sock"},
		{SocketInfo{Family: AFInet6, Type: SockStream, Protocol: 132}, "sock_common sock"},
		{SocketInfo{Family: AFUnix, Type: SockStream}, "sock_common sock"},
		{SocketInfo{Family: AFInet, Type: SockDgram, Protocol: protoUDP}, "sock_common sock"},
		{SocketInfo{Family: AFInet, Type: SockStream, Protocol: protoTCP, Mini: true}, "sock_common"},
	} {
		s := NewSocket(tc.info)
		var got []string
		for _, name := range []string{"sock_common", "sock", "tcp_sock", "task_struct"} {
			if s.Memory(name) != nil {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%+v: %v, want %s", tc.info, got, tc.want)
		}
	}
}

// TestSocketAddresses: addresses are in network order, the local port in the
// host's, and an IPv6 socket's IPv4 address is there as both.
func TestSocketAddresses(t *testing.T) {
	s := NewSocket(SocketInfo{Local: netip.MustParseAddrPort("[::ffff:1.2.3.4]:258"), Remote: netip.MustParseAddrPort("[2001:db8::9]:772"), RxQueue: -1})
	b := s.Memory("sock")
	for name, want := range map[string]string{
		"src_ip4": "\x01\x02\x03\x04", "src_ip6[3]": "\x01\x02\x03\x04", "src_ip6[2]": "\x00\x00\xff\xff",
		"dst_ip4": "\x00\x00\x00\x00", "dst_ip6[0]": "\x20\x01\x0d\xb8", "dst_ip6[3]": "\x00\x00\x00\x09",
		"dst_port": "\x03\x04\x00\x00", "rx_queue_mapping": "\xff\xff\xff\xff",
	} {
		if f := sock.Field(name); string(b[f.Off:f.Off+4]) != want {
			t.Errorf("%s is %x, want %x", name, b[f.Off:f.Off+4], want)
		}
	}
	if got := get32(b, sock.Field("src_port").Off); got != 258 {
		t.Errorf("src_port is %d", got)
	}
	s.Set(SocketInfo{Family: AFUnix})
	if s.Info().Family != AFUnix || get32(b, sock.Field("family").Off) != AFUnix || get32(b, sock.Field("src_port").Off) != 0 {
		t.Error("Set left what was there before")
	}
}

// TestSocketAt: a helper finds the socket behind any address in it, while the
// program holds it.
func TestSocketAt(t *testing.T) {
	var env helpertest.Env
	s := NewSocket(SocketInfo{Family: AFInet, Type: SockStream, Protocol: protoTCP})
	addr := s.Acquire(&env)
	if SocketAt(&env, addr) != s || SocketAt(&env, addr+uint64(sock.Size)) != s || SocketAt(&env, addr-1) != nil || SocketAt(&env, 0) != nil {
		t.Error("the socket is not found where it is, or where it is not")
	}
	if (*Socket)(nil).Acquire(&env) != 0 || s.Refs() != 1 {
		t.Errorf("%d references", s.Refs())
	}
	if got := skRelease.Impl(&env, addr+uint64(sock.Size), 0, 0, 0, 0); got != 0 || s.Refs() != 0 || env.Borrowed() != 0 || SocketAt(&env, addr) != nil {
		t.Errorf("release gives %d and leaves %d references", got, s.Refs())
	}
}
