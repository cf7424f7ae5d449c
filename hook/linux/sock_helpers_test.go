package linux

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/hook"
)

// caller returns a function that calls helper id of typ in env, and one that
// checks a number.
func caller(t *testing.T, typ *hook.Type, env *helpertest.Env) (call func(id helpers.ID, args ...uint64) int64, check func(what string, got, want int64)) {
	return func(id helpers.ID, args ...uint64) int64 {
			t.Helper()
			f := typ.Helpers.Helper(id)
			if f == nil || f.Impl == nil {
				t.Fatalf("%s has no helper %d", typ.Name, id)
			}
			var a [5]uint64
			copy(a[:], args)
			return int64(f.Impl(env, a[0], a[1], a[2], a[3], a[4]))
		}, func(what string, got, want int64) {
			t.Helper()
			if got != want {
				t.Errorf("%s = %d, want %d", what, got, want)
			}
		}
}

var testSocket = SocketInfo{Family: AFInet, Type: SockStream, Protocol: 6, Cookie: 99, UID: 1000, ClassID: 7, Cgroups: []uint64{1, 22, 333}}

// TestPacketSocket checks what helpers on packets say of the packet's socket, and
// of a packet without one.
func TestPacketSocket(t *testing.T) {
	for _, tc := range []struct {
		socket                                     *Socket
		cookie, uid, cgroup, root, level9, classID int64
	}{
		{nil, 0, 65534, 0, 0, 0, 0},
		{NewSocket(testSocket), 99, 1000, 333, 1, 0, 7},
		{NewSocket(SocketInfo{Mini: true, Cookie: 5, UID: 3, Cgroups: []uint64{1}}), 5, 65534, 0, 0, 0, 0},
	} {
		env := runOf(SchedCls, make([]byte, 64))
		env.RunState.(*State).Socket = tc.socket
		call, check := caller(t, SchedCls, env)
		check("get_socket_cookie", call(46), tc.cookie)
		check("get_socket_uid", call(47), tc.uid)
		check("skb_cgroup_id", call(79), tc.cgroup)
		check("skb_ancestor_cgroup_id(0)", call(83, 0, 0), tc.root)
		check("skb_ancestor_cgroup_id(9)", call(83, 0, 9), tc.level9)
		check("skb_cgroup_classid", call(151), tc.classID)
	}
	// A socket that the context points to comes first.
	env := runOf(SchedCls, make([]byte, 64))
	s := NewSocket(testSocket)
	binary.NativeEndian.PutUint64(env.Context[skb.Field("sk").HostOff:], env.ShareObject(s.Memory("sock_common"), s))
	call, check := caller(t, SchedCls, env)
	check("get_socket_cookie", call(46), 99)
}

// TestSkLookupAssign goes through the refusals of bpf_sk_lookup_assign
// (net/core/filter.c), in their order.
func TestSkLookupAssign(t *testing.T) {
	env := &helpertest.Env{Context: make([]byte, SkLookup.Ctx.HostSize), RunState: &State{}}
	st := env.RunState.(*State)
	put32(env.Context, lookupFamily, AFInet)
	put32(env.Context, lookupProtocol, 6)
	address := func(i SocketInfo) uint64 {
		s := NewSocket(i)
		return env.ShareObject(s.Memory("sock_common"), s)
	}
	listens, established, udp, v6 := testSocket, testSocket, testSocket, testSocket
	listens.State, established.State, udp.Protocol, v6.Family = TCPListen, TCPEstablished, 17, AFInet6
	a := address(listens)
	call, check := caller(t, SkLookup, env)
	check("established", call(124, 0, address(established), 0), -int64(errno.ESOCKTNOSUPPORT))
	check("flags", call(124, 0, a, 4), -int64(errno.EINVAL))
	check("UDP", call(124, 0, address(udp), 0), -int64(errno.EPROTOTYPE))
	check("first", call(124, 0, a, 0), 0)
	check("second", call(124, 0, a, 0), -int64(errno.EEXIST))
	check("replaced by IPv6", call(124, 0, address(v6), skReplace|skNoReuseport), 0)
	if st.Assigned == nil || st.Assigned.Info().Family != AFInet6 || !st.NoReuseport {
		t.Errorf("assigned %v, %v", st.Assigned, st.NoReuseport)
	}
	if SocketAt(env, binary.NativeEndian.Uint64(env.Context[lookupSk:])) != st.Assigned {
		t.Error("the context does not lead to the socket")
	}
	check("none", call(124, 0, 0, skReplace), 0)
	if st.Assigned != nil || binary.NativeEndian.Uint64(env.Context[lookupSk:]) != 0 {
		t.Errorf("assigned %v", st.Assigned)
	}
	put32(env.Context, lookupFamily, AFInet6)
	check("an IPv4 socket for IPv6", call(124, 0, a, 0), -int64(errno.EAFNOSUPPORT))
}

// TestSkAssign: packets that come in can be given a socket, others cannot.
func TestSkAssign(t *testing.T) {
	env := runOf(SchedCls, make([]byte, 64))
	s := NewSocket(testSocket)
	a := env.ShareObject(s.Memory("sock_common"), s)
	call, check := caller(t, SchedCls, env)
	check("egress", call(124, 0, a, 0), -int64(errno.EOPNOTSUPP))
	env.RunState.(*State).Ingress = true
	check("flags", call(124, 0, a, 1), -int64(errno.EINVAL))
	check("no socket", call(124, 0, 0, 0), -int64(errno.EINVAL))
	check("ingress", call(124, 0, a, 0), 0)
	if env.RunState.(*State).Assigned != s {
		t.Error("not assigned")
	}
}

// TestSockOptions checks options and bind in the forms that take the context.
func TestSockOptions(t *testing.T) {
	s := NewSocket(testSocket)
	var stored []byte
	var bound netip.AddrPort
	env := asked(&Host{Sockets: Sockets{
		Option: func(_ helpers.Env, _ *Socket, level, name int, v []byte) error {
			if level != 1 || name != -2 {
				return errno.EOPNOTSUPP
			}
			copy(v, "abcdefgh")
			return nil
		},
		SetOption: func(_ helpers.Env, _ *Socket, _, _ int, v []byte) error { stored = bytes.Clone(v); return nil },
		Bind:      func(_ helpers.Env, _ *Socket, a netip.AddrPort) error { bound = a; return nil },
		NetnsCookie: func(_ helpers.Env, s *Socket) uint64 {
			if s == nil {
				return 1
			}
			return 2
		},
	}})
	buf := bytes.Repeat([]byte{0xaa}, 40)
	at := env.Put(buf)
	call, check := caller(t, CgroupSockAddr, env)
	check("getsockopt without a socket", call(57, 1, 1, 1<<64-2, at, 8), -int64(errno.EINVAL))
	check("zeros", int64(binary.NativeEndian.Uint64(buf)), 0)
	env.RunState.(*State).Socket = s
	check("getsockopt", call(57, 1, 1, 1<<64-2, at, 8), 0)
	if string(buf[:9]) != "abcdefgh\xaa" {
		t.Errorf("option %q", buf[:9])
	}
	check("setsockopt", call(49, 1, 1, 2, at, 3), 0)
	if string(stored) != "abc" {
		t.Errorf("stored %q", stored)
	}
	check("getsockopt, another", call(57, 1, 2, 2, at, 8), -int64(errno.EOPNOTSUPP))
	check("zeros", int64(binary.NativeEndian.Uint64(buf)), 0)
	check("get_netns_cookie(ctx)", call(122, 1), 2)
	check("get_netns_cookie(0)", call(122, 0), 1)
	for _, tc := range []struct {
		family uint16
		size   uint64
		want   errno.Errno
		addr   string
	}{
		{AFInet, 1, errno.EINVAL, ""}, {AFInet, 15, errno.EINVAL, ""}, {AFInet, 16, 0, "10.0.0.1:258"},
		{AFInet6, 23, errno.EINVAL, ""}, {AFInet6, 24, 0, "[a00:1::]:258"}, {AFUnix, 24, errno.EAFNOSUPPORT, ""},
	} {
		clear(buf)
		binary.NativeEndian.PutUint16(buf, tc.family)
		copy(buf[2:], []byte{1, 2, 10, 0, 0, 1})
		if tc.family == AFInet6 {
			copy(buf[8:], []byte{10, 0, 0, 1})
		}
		check("bind", call(64, 1, at, tc.size), -int64(tc.want))
		if tc.want == 0 && bound.String() != tc.addr {
			t.Errorf("bound to %v, want %s", bound, tc.addr)
		}
	}
}

// TestSockOpsCallbacks is about flags that there are not.
func TestSockOpsCallbacks(t *testing.T) {
	env := &helpertest.Env{Context: make([]byte, SockOps.Ctx.HostSize), RunState: &State{}}
	call, check := caller(t, SockOps, env)
	check("no full socket", call(59, 0, 1), -int64(errno.EINVAL))
	put32(env.Context, opsFullsock, 1)
	check("known flags", call(59, 0, 0x7f), 0)
	check("an unknown flag", call(59, 0, 0x81), 0x80)
	check("stored", int64(get32(env.Context, opsCallbacks)), 1)
}

// TestSysctl follows bpf_sysctl_* in kernel/bpf/cgroup.c.
func TestSysctl(t *testing.T) {
	env := &helpertest.Env{Context: make([]byte, CgroupSysctl.Ctx.HostSize), RunState: &State{}}
	st := env.RunState.(*State)
	st.Sysctl = Sysctl{Name: "net/ipv4/ip_forward", Current: []byte("0\n")}
	buf := bytes.Repeat([]byte{0xaa}, 32)
	at := env.Put(buf)
	call, check := caller(t, CgroupSysctl, env)
	text := func(what, want string) {
		t.Helper()
		if got := string(buf[:len(want)]); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("name", call(101, 0, at, 32, 0), 19)
	text("name", "net/ipv4/ip_forward\x00\xaa")
	check("base name", call(101, 0, at, 32, 1), 10)
	text("base name", "ip_forward\x00")
	check("short", call(101, 0, at, 5, 0), -int64(errno.E2BIG))
	text("short", "net/\x00")
	check("unknown flags", call(101, 0, at, 32, 2), 19) // nobody looks at them
	check("current", call(102, 0, at, 4), 2)
	text("current", "0\n\x00\x00")
	check("current, exact", call(102, 0, at, 2), -int64(errno.E2BIG))
	text("current, exact", "0\x00")
	check("new of a read", call(103, 0, at, 2), -int64(errno.EINVAL))
	check("set of a read", call(104, 0, at, 2), -int64(errno.EINVAL))
	st.Sysctl.Write, st.Sysctl.New = true, []byte("600\n")
	check("new", call(103, 0, at, 8), 4)
	text("new", "600\n\x00")
	copy(buf, "1\n")
	check("set", call(104, 0, at, 2), 0)
	if string(st.Sysctl.New) != "1\n" || !st.Sysctl.Updated {
		t.Errorf("%+v", st.Sysctl)
	}
	check("set_retval", call(187, 1<<64-1), 0)
	check("get_retval", call(186), -1)
}

// TestMessage takes a message apart and puts it together.
func TestMessage(t *testing.T) {
	env := &helpertest.Env{Context: make([]byte, SkMsg.Ctx.HostSize), RunState: &State{}, Pkt: &helpers.Packet{Buf: []byte("0123456789"), Tail: 10}}
	call, check := caller(t, SkMsg, env)
	data := func(want string) {
		t.Helper()
		if got := string(env.Pkt.Data()); got != want {
			t.Errorf("data %q, want %q", got, want)
		}
	}
	check("apply", call(61, 0, 5), 0)
	check("cork", call(62, 0, 6), 0)
	if m := env.RunState.(*State).Message; m.Apply != 5 || m.Cork != 6 {
		t.Errorf("%+v", m)
	}
	check("pull", call(63, 0, 2, 6, 0), 0)
	data("2345")
	check("pull more", call(63, 0, 1, 10, 0), 0)
	data("123456789")
	check("pull too much", call(63, 0, 1, 11, 0), -int64(errno.EINVAL))
	check("pull nothing", call(63, 0, 3, 3, 0), -int64(errno.EINVAL))
	check("pull, flags", call(63, 0, 1, 2, 1), -int64(errno.EINVAL))
	check("push", call(90, 0, 3, 2, 0), 0)
	data("012\x00\x003456789")
	check("push at the end", call(90, 0, 12, 1, 0), 0)
	check("push behind it", call(90, 0, 14, 1, 0), -int64(errno.EINVAL))
	check("push nothing", call(90, 0, 99, 0, 0), 0)
	check("push far too much", call(90, 0, 0, 1<<31, 0), -int64(errno.ENOMEM))
	data("012\x00\x003456789\x00")
	check("pull", call(63, 0, 5, 7, 0), 0)
	check("pop", call(91, 0, 3, 2, 0), 0)
	data("0123456789\x00")
	check("pop the end", call(91, 0, 10, 1, 0), 0)
	check("pop behind it", call(91, 0, 10, 1, 0), -int64(errno.EINVAL))
	check("pop too much", call(91, 0, 9, 2, 0), -int64(errno.EINVAL))
	data("0123456789")
	check("size", int64(get32(env.Context, msgSize)), 10)
}

// TestFIBLookup: what a host is asked, and what it answers.
func TestFIBLookup(t *testing.T) {
	env := asked(&Host{Routes: Routes{Lookup: func(_ helpers.Env, q *FIBLookup, flags uint32) (int, error) {
		if q.Src.String() != "10.0.0.1" || q.Dst.String() != "192.0.2.9" || q.SrcPort != 0x102 || q.Ifindex != 5 || q.TotLen != 1500 || flags != 2 {
			return 0, errno.EIO
		}
		q.Ifindex, q.Dst, q.DstMAC, q.SrcMAC = 6, netip.MustParseAddr("10.9.9.9"), [6]byte{1, 2, 3, 4, 5, 6}, [6]byte{7}
		return 7, nil
	}}})
	p := make([]byte, 64)
	p[0], p[2], p[3] = AFInet, 1, 2
	binary.NativeEndian.PutUint16(p[6:], 1500)
	put32(p, 8, 5)
	copy(p[16:], []byte{10, 0, 0, 1})
	copy(p[32:], []byte{192, 0, 2, 9})
	at := env.Put(p)
	call, check := caller(t, XDP, env)
	check("flags", call(69, 0, at, 64, 1), -int64(errno.EIO))
	check("no neighbour", call(69, 0, at, 64, 2), 7)
	if get32(p, 8) != 6 || !bytes.Equal(p[32:36], []byte{10, 9, 9, 9}) || !bytes.Equal(p[52:64], []byte{7, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("answer %x", p)
	}
}

// TestHashRecalc: equal for packets of a flow, different for others, and what the
// context says afterwards.
func TestHashRecalc(t *testing.T) {
	frame := func(srcPort, payload byte, fragment bool) []byte {
		f := make([]byte, 80)
		copy(f[12:], []byte{8, 0, 0x45})
		f[23] = 17
		copy(f[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2, srcPort})
		f[60] = payload
		if fragment {
			f[20] = 0x20
		}
		return f
	}
	hash := func(f []byte) int64 {
		env := runOf(SchedCls, f)
		call, check := caller(t, SchedCls, env)
		h := call(34)
		check("the context's hash", int64(get32(env.Context, skbHash)), h)
		check("again", call(34), h)
		call(41)
		check("computed again", call(34), h)
		return h
	}
	a, same, other := hash(frame(1, 1, false)), hash(frame(1, 2, false)), hash(frame(2, 1, false))
	if a == 0 || a != same || a == other {
		t.Errorf("hashes %#x, %#x of the same flow, %#x of another", a, same, other)
	}
	if hash(frame(1, 0, true)) != hash(frame(2, 0, true)) {
		t.Error("fragments have ports")
	}
	hash(make([]byte, 14))
}

// TestXfrm reads the transformations that a packet came through.
func TestXfrm(t *testing.T) {
	env := runOf(SchedCls, make([]byte, 64))
	env.RunState.(*State).Xfrm = []Xfrm{{ReqID: 1, SPI: 0x01020304, Remote: netip.MustParseAddr("10.0.0.7")}}
	b := make([]byte, 28)
	at := env.Put(b)
	call, check := caller(t, SchedCls, env)
	check("the first", call(66, 0, 0, at, 28, 0), 0)
	if want := "\x01\x00\x00\x00\x01\x02\x03\x04\x02\x00\x00\x00\x0a\x00\x00\x07"; string(b[:16]) != want {
		t.Errorf("%x", b)
	}
	check("the second", call(66, 0, 1, at, 28, 0), -int64(errno.EINVAL))
	check("zeros", int64(binary.NativeEndian.Uint64(b)), 0)
}
