package vm_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// What sockets in the tests below are.
var (
	tcpConnected = linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPEstablished, Cookie: 11}
	tcpListening = linux.SocketInfo{Family: linux.AFInet6, Type: linux.SockStream, Protocol: 6, State: linux.TCPListen, Cookie: 12, Reuseport: 3}
	udpConnected = linux.SocketInfo{Family: linux.AFInet, Type: linux.SockDgram, Protocol: 17, State: linux.TCPEstablished, Cookie: 13, Local: localPort, Reuseport: 4}
	udpBound     = linux.SocketInfo{Family: linux.AFInet, Type: linux.SockDgram, Protocol: 17, State: linux.TCPClose, Cookie: 14, Local: localPort, Reuseport: 5}
	unixStream   = linux.SocketInfo{Family: linux.AFUnix, Type: linux.SockStream, State: linux.TCPEstablished, Cookie: 15}
	vsockStream  = linux.SocketInfo{Family: linux.AFVsock, Type: linux.SockStream, State: linux.TCPEstablished, Cookie: 16}
)

var localPort = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 7)

// TestSocketRedirects: which data goes to which sockets, by the rules of
// bpf_sk_redirect_map and bpf_msg_redirect_map (net/core/sock_map.c), and reaches
// the host's side.
func TestSocketRedirects(t *testing.T) {
	infos := []linux.SocketInfo{tcpConnected, tcpListening, udpConnected, udpBound, unixStream, vsockStream}
	for _, tc := range []struct {
		typ     *hook.Type
		ofMap   maps.Type
		helper  int
		flags   int
		allowed string // by socket
	}{
		{linux.SkSkb, maps.SockMap, 52, 0, "y.y.yy"},
		{linux.SkSkb, maps.SockMap, 52, 1, "y.y.y."},
		{linux.SkSkb, maps.SockMap, 52, 2, "......"},
		{linux.SkSkb, maps.SockHash, 72, 0, "y.y.yy"},
		{linux.SkSkb, maps.SockHash, 72, 1, "y.y.y."},
		{linux.SkMsg, maps.SockMap, 60, 0, "y....."},
		{linux.SkMsg, maps.SockMap, 60, 1, "y.y.y."},
		{linux.SkMsg, maps.SockHash, 71, 0, "y....."},
		{linux.SkMsg, maps.SockHash, 71, 3, "......"},
	} {
		key := "r3 = %d"
		if tc.ofMap == maps.SockHash {
			key = "*(u32 *)(r10 -4) = %d\nr3 = r10\nr3 += -4"
		}
		for _, e := range usable(t) {
			for i, info := range append(infos, linux.SocketInfo{}) {
				text := fmt.Sprintf(key+"\nr2 = map[0]\nr4 = %d\ncall %d\nexit", i, tc.flags, tc.helper)
				c := load(t, tc.typ, text, vm.Options{Engine: e}, &maps.Spec{Name: "m", Type: tc.ofMap, KeySize: 4, ValueSize: 8, MaxEntries: 8})
				to := &inbox{}
				s := linux.NewSocket(info)
				s.Host = to
				want, stored := uint64(0), i < len(infos)
				if stored {
					if err := c.Map("m").(maps.SocketMap).StoreSocket(word(uint32(i)), s, 0); err != nil {
						t.Fatal(err)
					}
					if tc.allowed[i] == 'y' {
						want = 1
					}
				}
				var r linux.Redirect
				got, err := c.Program("p").Do(context.Background(), []byte("data"), vm.RunOptions{Outcome: func(s any) { r = s.(*linux.State).Redirect }})
				if err != nil || got.R0 != want || (r.Kind == linux.RedirectSocket) != (want == 1) || want == 1 && (r.Socket != s || r.Flags != uint64(tc.flags)) {
					t.Errorf("%s, %v, flags %d, %+v, %s: %d, %v, %+v; want %d", tc.typ.Name, tc.ofMap, tc.flags, info, e, got.R0, err, r, want)
				}
				if n, err := linux.Devices(nil).Deliver(&r, 0, []byte("data")); want == 1 && (n != 1 || err != nil || len(to.packets) != 1) {
					t.Errorf("deliver: %d, %v", n, err)
				}
				if s.Close(); stored { // maps no longer have it
					if got, err := c.Program("p").Run([]byte("data")); err != nil || got != 0 {
						t.Errorf("a closed socket: %d, %v", got, err)
					}
				}
				c.Close()
			}
		}
	}
}

// TestSockOpsUpdate: a program adds its socket when it has just connected or begins
// to listen, and at no other time.
func TestSockOpsUpdate(t *testing.T) {
	for _, ofMap := range []maps.Type{maps.SockMap, maps.SockHash} {
		helper := map[maps.Type]int{maps.SockMap: 53, maps.SockHash: 70}[ofMap]
		for _, e := range usable(t) {
			const text = "*(u32 *)(r10 -4) = %d\nr3 = r10\nr3 += -4\nr2 = map[0]\nr4 = %d\ncall %d\nr1 = r0\nr0 = 0\nr1 = -r1\nif r1 != %d goto +1\nr0 = 1\nexit"
			for op := uint64(0); op < 13; op++ {
				for _, tc := range []struct {
					info  *linux.SocketInfo
					key   int
					flags int
					want  errno.Errno
				}{
					{&tcpConnected, 1, 0, 0},
					{&tcpConnected, 1, 2, errno.ENOENT},
					{&tcpConnected, 1, 3, errno.EINVAL},
					{&unixStream, 1, 1, 0},
					{&linux.SocketInfo{Family: linux.AFInet, Type: 3}, 1, 0, errno.EOPNOTSUPP},
					{nil, 1, 0, errno.EOPNOTSUPP},
				} {
					want := tc.want
					if op != 4 && op != 5 && op != 11 {
						want = errno.EOPNOTSUPP
					}
					c := load(t, linux.SockOps, fmt.Sprintf(text, tc.key, tc.flags, helper, want), vm.Options{Engine: e},
						&maps.Spec{Name: "m", Type: ofMap, KeySize: 4, ValueSize: 8, MaxEntries: 4})
					o := vm.RunOptions{Fields: map[string]uint64{"op": op}}
					if tc.info != nil {
						o.Objects = map[string]hook.Object{"sk": linux.NewSocket(*tc.info)}
					}
					if got, err := c.Program("p").Do(context.Background(), nil, o); err != nil || got.R0 != 1 {
						t.Errorf("%v, %s, op %d, %+v: %v, %v; want %v", ofMap, e, op, tc, got.R0, err, want)
					}
					cookie := make([]byte, 8)
					if err := c.Map("m").Lookup(word(uint32(tc.key)), cookie); (err == nil) != (want == 0) {
						t.Errorf("%v, %s, op %d, %+v: %v", ofMap, e, op, tc, err)
					}
					c.Close()
				}
			}
		}
	}
}

// TestSelectReuseport: a socket of the context's group is chosen, by the rules of
// sk_select_reuseport (net/core/filter.c).
func TestSelectReuseport(t *testing.T) {
	sameGroup := udpBound
	sameGroup.Reuseport = udpConnected.Reuseport
	left := udpConnected
	left.Reuseport = 0
	other := tcpListening
	other.Protocol = 17
	for _, tc := range []struct {
		ofMap maps.Type
		put   *linux.SocketInfo
		then  *linux.SocketInfo // what becomes of it
		ctx   *linux.SocketInfo
		want  errno.Errno
	}{
		{maps.ReuseportSockArray, &sameGroup, nil, &udpConnected, 0},
		{maps.ReuseportSockArray, &sameGroup, nil, nil, 0},
		{maps.ReuseportSockArray, nil, nil, &udpConnected, errno.ENOENT},
		{maps.ReuseportSockArray, &sameGroup, &left, &udpConnected, errno.ENOENT},
		{maps.ReuseportSockArray, &udpBound, nil, &udpConnected, errno.EBADFD},
		{maps.ReuseportSockArray, &tcpListening, nil, &udpConnected, errno.EPROTOTYPE},
		{maps.ReuseportSockArray, &tcpListening, &other, &udpConnected, errno.EAFNOSUPPORT},
		{maps.SockMap, &sameGroup, nil, &udpConnected, 0},
		{maps.SockMap, &tcpConnected, nil, &udpConnected, errno.EINVAL},
		{maps.SockHash, &sameGroup, nil, &udpConnected, 0},
		{maps.SockHash, nil, nil, &udpConnected, errno.ENOENT},
	} {
		for _, e := range usable(t) {
			c := load(t, linux.SkReuseport, "*(u32 *)(r10 -4) = 1\nr3 = r10\nr3 += -4\nr2 = map[0]\nr4 = 0\ncall 82\nr0 = -r0\nexit", vm.Options{Engine: e},
				&maps.Spec{Name: "m", Type: tc.ofMap, KeySize: 4, ValueSize: 8, MaxEntries: 4})
			var s *linux.Socket
			if tc.put != nil {
				s = linux.NewSocket(*tc.put)
				if err := c.Map("m").(maps.SocketMap).StoreSocket(word(1), s, 0); err != nil {
					t.Fatal(err)
				}
			}
			if tc.then != nil {
				s.Set(*tc.then)
			}
			var selected *linux.Socket
			o := vm.RunOptions{Outcome: func(s any) { selected = s.(*linux.State).Selected }}
			if tc.ctx != nil {
				o.Objects = map[string]hook.Object{"sk": linux.NewSocket(*tc.ctx)}
			}
			got, err := c.Program("p").Do(context.Background(), make([]byte, 20), o)
			if err != nil || errno.Errno(got.R0) != tc.want || (tc.want == 0) != (selected == s && s != nil) {
				t.Errorf("%v, %+v, %s: %v, %v, selected %v", tc.ofMap, tc, e, errno.Errno(got.R0), err, selected)
			}
			c.Close()
		}
	}
}

// TestSocketStored: what Go code stores, and what it is told.
func TestSocketStored(t *testing.T) {
	m, err := maps.New(&maps.Spec{Name: "m", Type: maps.SockHash, KeySize: 2, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	sm := m.(maps.SocketMap)
	a, b, c := linux.NewSocket(tcpConnected), linux.NewSocket(udpBound), linux.NewSocket(unixStream)
	for i, s := range []*linux.Socket{a, b} {
		if err := sm.StoreSocket([]byte{byte(i), 0}, s, maps.NoExist); err != nil {
			t.Fatal(err)
		}
	}
	third := []byte{9, 9}
	if err := sm.StoreSocket(third, c, 0); !errors.Is(err, maps.ErrFull) {
		t.Errorf("a third of two: %v", err)
	}
	for _, s := range []maps.Socket{nil, (*linux.Socket)(nil)} {
		if err := sm.StoreSocket(third, s, 0); err == nil {
			t.Errorf("%v was stored", s)
		}
	}
	if err := sm.StoreSocket(third[:1], c, 0); !errors.Is(err, maps.ErrInvalid) {
		t.Errorf("a key of one byte: %v", err)
	}
	b.Close() // makes room
	cookie := make([]byte, 8)
	if err := m.Lookup([]byte{1, 0}, cookie); !errors.Is(err, maps.ErrKeyNotExist) {
		t.Errorf("a closed socket: %v", err)
	}
	if err := sm.StoreSocket(third, c, 0); err != nil {
		t.Errorf("after one was closed: %v", err)
	}
	if err := sm.StoreSocket(third, b, 0); err == nil {
		t.Error("a closed socket was stored")
	}
	if err := m.Lookup(third, cookie); err != nil || cookie[0] != 15 {
		t.Errorf("cookie %x, %v", cookie, err)
	}
	if err := m.Close(); err != nil || sm.SocketElem(third) != nil {
		t.Errorf("after Close: %v", err)
	}
}
