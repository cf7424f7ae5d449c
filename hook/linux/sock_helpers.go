package linux

import (
	"encoding/binary"
	"net/netip"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// Sockets are those of the host that programs look up and change. What a socket
// says of itself (cookie, owner, cgroup) is in its SocketInfo.
type Sockets struct {
	// Lookup is sk_lookup_tcp, sk_lookup_udp and skc_lookup_tcp: the socket that
	// a packet of q would reach; nil: none. Programs that ask for full sockets
	// do not get one that is Mini.
	Lookup func(env helpers.Env, q SocketQuery) *Socket
	// Option is getsockopt: fills value. Programs get its error.
	Option func(env helpers.Env, s *Socket, level, name int, value []byte) error
	// SetOption is setsockopt.
	SetOption func(env helpers.Env, s *Socket, level, name int, value []byte) error
	// Bind is bind: gives a socket that is about to connect its local address;
	// port 0: any.
	Bind func(env helpers.Env, s *Socket, local netip.AddrPort) error
	// NetnsCookie is get_netns_cookie: of the network namespace that s is in, or,
	// for nil, of the host's first.
	NetnsCookie func(env helpers.Env, s *Socket) uint64
	// CookieKeys are the secret of SYN cookies; nil: one that is made up once in a
	// process.
	CookieKeys *CookieKeys
}

// A SocketQuery asks for a socket.
type SocketQuery struct {
	Protocol uint32         // IPPROTO_TCP or IPPROTO_UDP
	Src, Dst netip.AddrPort // of the packet
	Netns    int32          // the id of a network namespace; negative: the program's own
}

// Needs of several helpers.
var (
	needsLookup    = need("Sockets.Lookup", func(h *Host) bool { return h.Sockets.Lookup != nil })
	needsOption    = need("Sockets.Option", func(h *Host) bool { return h.Sockets.Option != nil })
	needsSetOption = need("Sockets.SetOption", func(h *Host) bool { return h.Sockets.SetOption != nil })
	needsBind      = need("Sockets.Bind", func(h *Host) bool { return h.Sockets.Bind != nil })
	needsNetns     = need("Sockets.NetnsCookie", func(h *Host) bool { return h.Sockets.NetnsCookie != nil })
)

// A finder finds the socket that a call is about: env is its run, and arg its
// first argument.
type finder func(env helpers.Env, arg uint64) *Socket

// argument finds the socket that the argument is.
func argument(env helpers.Env, arg uint64) *Socket { return SocketAt(env, arg) }

// inContext finds the socket that field sk of the context c points to, or that
// the run was given (State.Socket).
func inContext(c *hook.Ctx) finder {
	f := c.Field("sk")
	return func(env helpers.Env, _ uint64) *Socket {
		if f != nil && len(env.Ctx()) >= int(f.HostOff)+8 {
			if s := SocketAt(env, binary.NativeEndian.Uint64(env.Ctx()[f.HostOff:])); s != nil {
				return s
			}
		}
		return stateOf(env).Socket
	}
}

// ofSkb finds a packet's socket.
var ofSkb = inContext(&skb)

// socketCookie is get_socket_cookie; 0: there is no socket.
func socketCookie(find finder) helpers.Impl {
	return func(env helpers.Env, arg, _, _, _, _ uint64) uint64 {
		if s := find(env, arg); s != nil {
			return s.Info().Cookie
		}
		return 0
	}
}

// socketUID is get_socket_uid.
func socketUID(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	if s := ofSkb(env, 0); s != nil {
		if i := s.Info(); !i.Mini {
			return uint64(i.UID)
		}
	}
	return overflowUID
}

// socketCgroup returns the body of a helper that gives the id of a socket's
// cgroup, at the level that the second argument says if it is an ancestor's.
func socketCgroup(find finder, ofAncestor bool) helpers.Impl {
	return func(env helpers.Env, arg, level, _, _, _ uint64) uint64 {
		s := find(env, arg)
		if s == nil {
			return 0
		}
		i := s.Info()
		switch {
		case i.Mini:
			return 0
		case !ofAncestor:
			level = uint64(len(i.Cgroups) - 1)
		}
		return ancestor(i.Cgroups, level)
	}
}

// skbClassID is get_cgroup_classid and skb_cgroup_classid of packets.
func skbClassID(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	if s := ofSkb(env, 0); s != nil {
		if i := s.Info(); !i.Mini {
			return uint64(i.ClassID)
		}
	}
	return 0
}

// socketAs returns the body of a helper that gives the socket as another type,
// if it is one.
func socketAs(name string) helpers.Impl {
	return func(env helpers.Env, arg, _, _, _, _ uint64) uint64 {
		s := SocketAt(env, arg)
		if s == nil {
			return 0
		}
		b := s.Memory(name)
		if b == nil {
			return 0
		}
		return env.ShareObject(b, s)
	}
}

// getListenerSock is get_listener_sock(sk): the socket if it listens.
func getListenerSock(env helpers.Env, arg, _, _, _, _ uint64) uint64 {
	s := SocketAt(env, arg)
	if s == nil {
		return 0
	}
	if i := s.Info(); i.Mini || i.State != TCPListen {
		return 0
	}
	return env.ShareObject(s.Memory("sock"), s)
}

// Sizes of struct bpf_sock_tuple.
const (
	tuple4Size = 12
	tuple6Size = 36
)

// skLookup is sk_lookup_tcp(ctx, tuple, size, netns, flags) and the like: mini
// says whether the program takes sockets that are no full ones.
func skLookup(protocol uint32, mini bool) helpers.Impl {
	return func(env helpers.Env, _, tuple, size, netns, flags uint64) uint64 {
		if flags != 0 || int32(netns) >= 0 && netns > maxInt {
			return 0
		}
		q := SocketQuery{Protocol: protocol, Netns: int32(netns)}
		b := helpers.Mem(env, tuple, size)
		switch len(b) {
		case tuple4Size:
			q.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[0:4])), binary.BigEndian.Uint16(b[8:]))
			q.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[10:]))
		case tuple6Size:
			q.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[0:16])), binary.BigEndian.Uint16(b[32:]))
			q.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:32])), binary.BigEndian.Uint16(b[34:]))
		default:
			return 0
		}
		s := host(env).Sockets.Lookup(env, q)
		if s == nil || !mini && s.Info().Mini {
			return 0
		}
		return s.Acquire(env)
	}
}

// skAssign is sk_assign(skb, sk, flags), for packets that come in.
func skAssign(env helpers.Env, _, arg, flags, _, _ uint64) uint64 {
	s := SocketAt(env, arg)
	if s == nil || flags != 0 {
		return errno.EINVAL.R0()
	}
	if !stateOf(env).Ingress {
		return errno.EOPNOTSUPP.R0()
	}
	stateOf(env).Assigned = s
	return 0
}

// Flags of sk_assign in sk_lookup programs.
const (
	skReplace     = 1 << 0
	skNoReuseport = 1 << 1
)

// skLookupAssign is sk_assign(ctx, sk, flags) of sk_lookup programs: the socket
// to deliver to, or, with a null sk, none.
func skLookupAssign(env helpers.Env, _, arg, flags, _, _ uint64) uint64 {
	st := stateOf(env)
	s := SocketAt(env, arg)
	ctx := env.Ctx()
	switch {
	case s != nil && (s.Info().Mini || s.Info().State == TCPEstablished):
		return errno.ESOCKTNOSUPPORT.R0()
	case flags&^(skReplace|skNoReuseport) != 0:
		return errno.EINVAL.R0()
	case s != nil && s.Info().Protocol != get32(ctx, lookupProtocol):
		return errno.EPROTOTYPE.R0()
	case s != nil && s.Info().Family != get32(ctx, lookupFamily) && s.Info().Family == AFInet:
		return errno.EAFNOSUPPORT.R0()
	case st.Assigned != nil && flags&skReplace == 0:
		return errno.EEXIST.R0()
	}
	st.Assigned, st.NoReuseport = s, flags&skNoReuseport != 0
	addr := uint64(0)
	if s != nil {
		addr = env.ShareObject(s.Memory("sock"), s)
	}
	binary.NativeEndian.PutUint64(ctx[lookupSk:], addr)
	return 0
}

// setSockOpt is setsockopt(sk, level, name, value, size).
func setSockOpt(find finder) helpers.Impl {
	return func(env helpers.Env, arg, level, name, value, size uint64) uint64 {
		s := find(env, arg)
		if s == nil || s.Info().Mini {
			return errno.EINVAL.R0()
		}
		return helpers.Result(host(env).Sockets.SetOption(env, s, int(int32(level)), int(int32(name)), helpers.Mem(env, value, size)))
	}
}

// getSockOpt is getsockopt(sk, level, name, value, size): value is zeros if it
// fails.
func getSockOpt(find finder) helpers.Impl {
	return func(env helpers.Env, arg, level, name, value, size uint64) uint64 {
		b := helpers.Mem(env, value, size)
		helpers.ClearMem(b)
		s := find(env, arg)
		if s == nil || s.Info().Mini {
			return errno.EINVAL.R0()
		}
		err := host(env).Sockets.Option(env, s, int(int32(level)), int(int32(name)), b)
		if err != nil {
			helpers.ClearMem(b)
		}
		return helpers.Result(err)
	}
}

// Sizes of addresses: up to the family, struct sockaddr_in, and what there was of
// struct sockaddr_in6 first.
const (
	sockaddrLeast = 2
	sockaddrIn    = 16
	sockaddrIn6   = 24
)

// bindSocket is bind(ctx, addr, size).
func bindSocket(find finder) helpers.Impl {
	return func(env helpers.Env, arg, addr, size, _, _ uint64) uint64 {
		b := helpers.Mem(env, addr, size)
		if len(b) < sockaddrLeast {
			return errno.EINVAL.R0()
		}
		var local netip.Addr
		switch family := binary.NativeEndian.Uint16(b); {
		case family == AFInet && len(b) >= sockaddrIn:
			local = netip.AddrFrom4([4]byte(b[4:8]))
		case family == AFInet6 && len(b) >= sockaddrIn6:
			local = netip.AddrFrom16([16]byte(b[8:24]))
		case family == AFInet || family == AFInet6:
			return errno.EINVAL.R0()
		default:
			return errno.EAFNOSUPPORT.R0()
		}
		s := find(env, arg)
		if s == nil {
			return errno.EINVAL.R0()
		}
		return helpers.Result(host(env).Sockets.Bind(env, s, netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[2:]))))
	}
}

// netnsCookie is get_netns_cookie(ctx), of which the context may be null.
func netnsCookie(find finder) helpers.Impl {
	return func(env helpers.Env, arg, _, _, _, _ uint64) uint64 {
		var s *Socket
		if arg != 0 {
			s = find(env, arg)
		}
		return host(env).Sockets.NetnsCookie(env, s)
	}
}

// allCallbacks are the events that sock_ops_cb_flags_set can ask for.
const allCallbacks = 0x7f

// setCallbacks is sock_ops_cb_flags_set(ctx, flags): the flags that there are not.
func setCallbacks(env helpers.Env, _, flags, _, _, _ uint64) uint64 {
	ctx := env.Ctx()
	if get32(ctx, opsFullsock) == 0 {
		return errno.EINVAL.R0()
	}
	put32(ctx, opsCallbacks, uint32(flags)&allCallbacks)
	return uint64(int64(int32(flags) &^ allCallbacks))
}

// Where fields of contexts are in the host's bytes; init knows.
var lookupSk, lookupFamily, lookupProtocol, opsOp, opsFullsock, opsCallbacks uint32

func init() {
	for name, off := range map[string]*uint32{"sk": &lookupSk, "family": &lookupFamily, "protocol": &lookupProtocol} {
		*off = SkLookup.Ctx.Field(name).HostOff
	}
	for name, off := range map[string]*uint32{"op": &opsOp, "is_fullsock": &opsFullsock, "bpf_sock_ops_cb_flags": &opsCallbacks} {
		*off = SockOps.Ctx.Field(name).HostOff
	}
}
