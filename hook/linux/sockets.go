package linux

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// A Socket is a socket of the host's, as programs see it: as struct bpf_sock,
// and as struct bpf_tcp_sock if it is a TCP socket. Programs get it from the
// host's look-ups (sk_lookup_tcp and the like), from maps of sockets, and from
// their context (vm.RunOptions.Objects). What it is besides, the host knows:
// Host is the host's own.
//
// The zero value is not ready; use NewSocket. All methods may be called by any
// number of goroutines at a time.
type Socket struct {
	maps.Lifetime

	// Host is whatever the host wants to find in its callbacks again. It is
	// not changed after the socket was given to a program or a map.
	Host any

	mem  []byte // struct bpf_sock, then struct bpf_tcp_sock
	refs atomic.Int64

	mu   sync.Mutex // of info
	info SocketInfo
}

// A SocketInfo is what programs and maps can know of a socket. Numbers are
// Linux's, on every host.
type SocketInfo struct {
	Family   uint32 // AFInet, AFInet6, AFUnix, …
	Type     uint32 // SockStream, SockDgram, …
	Protocol uint32 // IPPROTO_*
	State    uint32 // TCPEstablished, …; of connected UDP and Unix sockets, too

	Local, Remote netip.AddrPort

	BoundDevIf     uint32 // the device it is bound to, or 0
	Mark, Priority uint32
	RxQueue        int32  // the queue that it receives from, or -1, of which programs load 32 bits (Linux fills all 64 of the register)
	Cookie         uint64 // that get_socket_cookie gives
	UID            uint32 // of the owner
	ClassID        uint32 // of its cgroup (net_cls)
	// Cgroups is the way to the cgroup that it belongs to, of version 2: the id
	// of the root, of its child, and so on.
	Cgroups []uint64

	// Reuseport is the number of the group of sockets that share a port
	// (SO_REUSEPORT), or 0.
	Reuseport uint64
	// Cookies is set of a listener that answers connection requests with SYN
	// cookies: its queue is full, or was not long ago, or it always does.
	Cookies bool
	// OnlyIPv6 is set of an IPv6 socket that takes no IPv4 (IPV6_V6ONLY).
	OnlyIPv6 bool
	// Mini is set of a socket that is no full one: a connection request or a
	// connection in TIME_WAIT. Programs can see it as a sock_common only.
	Mini bool
	// MPTCP is set of a TCP socket that is part of a connection of several paths.
	MPTCP bool
	// TCP is what programs see of a TCP socket; nil: zeros.
	TCP *TCPInfo
}

// A TCPInfo is struct bpf_tcp_sock.
type TCPInfo struct {
	SndCwnd, SrttUs, RttMin, SndSsthresh, RcvNxt, SndNxt, SndUna, MssCache, EcnFlags uint32
	RateDelivered, RateIntervalUs, PacketsOut, RetransOut, TotalRetrans              uint32
	SegsIn, DataSegsIn, SegsOut, DataSegsOut, LostOut, SackedOut                     uint32
	BytesReceived, BytesAcked                                                        uint64
	DsackDups, Delivered, DeliveredCE, IcskRetransmits                               uint32
}

// Address families, types and states of sockets, with Linux's numbers.
const (
	AFUnix  = 1
	AFInet  = 2
	AFInet6 = 10
	AFVsock = 40

	SockStream    = 1
	SockDgram     = 2
	SockSeqpacket = 5

	TCPEstablished = 1
	TCPTimeWait    = 6
	TCPClose       = 7
	TCPListen      = 10
	TCPNewSynRecv  = 12
)

const (
	protoTCP = 6
	protoUDP = 17
)

// NewSocket returns a socket that programs see as info says.
func NewSocket(info SocketInfo) *Socket {
	s := &Socket{mem: make([]byte, sock.Size+tcpSock.Size)}
	s.Set(info)
	return s
}

// Info returns what Set or NewSocket was given last.
func (s *Socket) Info() SocketInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// Set makes programs see the socket as info says; a program that runs meanwhile
// may see a part of it.
func (s *Socket) Set(info SocketInfo) {
	b := make([]byte, len(s.mem))
	info.encode(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info = info
	helpers.CopyMem(s.mem, b)
}

// encode writes info as programs see it.
func (i *SocketInfo) encode(b []byte) {
	rx := uint32(i.RxQueue)
	for name, v := range map[string]uint32{
		"bound_dev_if": i.BoundDevIf, "family": i.Family, "type": i.Type, "protocol": i.Protocol,
		"mark": i.Mark, "priority": i.Priority, "state": i.State, "rx_queue_mapping": rx,
		"src_port": uint32(i.Local.Port()),
	} {
		put32(b, sock.Field(name).Off, v)
	}
	binary.BigEndian.PutUint16(b[sock.Field("dst_port").Off:], i.Remote.Port())
	encodeAddr(b, "src", i.Local.Addr())
	encodeAddr(b, "dst", i.Remote.Addr())
	if i.TCP != nil {
		n, err := binary.Encode(b[sock.Size:], binary.NativeEndian, i.TCP)
		if err != nil || n != int(tcpSock.Size) {
			panic("BUG: TCPInfo is not struct bpf_tcp_sock")
		}
	}
}

// encodeAddr writes the address a, in network order, to the fields that begin
// with side. An IPv6 address that maps one of IPv4 is there as both.
func encodeAddr(b []byte, side string, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	if a.Unmap().Is4() {
		ip := a.Unmap().As4()
		copy(b[sock.Field(side+"_ip4").Off:], ip[:])
	}
	if a.Is6() {
		ip := a.As16()
		copy(b[sock.Field(side+"_ip6[0]").Off:], ip[:])
	}
}

// Memory implements hook.Object: a socket is a sock_common, a sock unless it is
// Mini, and a tcp_sock if it is a full TCP socket.
func (s *Socket) Memory(name string) []byte {
	i := s.Info()
	switch {
	case name == "sock_common", name == "sock" && !i.Mini:
		return s.mem[:sock.Size:sock.Size]
	case name == "tcp_sock" && !i.Mini && i.isTCP():
		return s.mem[sock.Size:]
	}
	return nil
}

func (i *SocketInfo) isTCP() bool {
	return (i.Family == AFInet || i.Family == AFInet6) && i.Type == SockStream && i.Protocol == protoTCP
}

func (i *SocketInfo) isUDP() bool {
	return (i.Family == AFInet || i.Family == AFInet6) && i.Type == SockDgram && i.Protocol == protoUDP
}

// Cookie implements maps.Socket.
func (s *Socket) Cookie() uint64 { return s.Info().Cookie }

// Fits implements maps.Socket: what sock_map_sk_is_suitable and
// sock_map_sk_state_allowed (net/core/sock_map.c), or reuseport_array_update_check
// (kernel/bpf/reuseport_array.c), say of the socket.
func (s *Socket) Fits(t maps.Type) error {
	if s == nil || s.Closed() {
		return errno.EBADF
	}
	i := s.Info()
	if t == maps.ReuseportSockArray {
		switch {
		case i.Protocol != protoTCP && i.Protocol != protoUDP,
			i.Family != AFInet && i.Family != AFInet6,
			i.Type != SockStream && i.Type != SockDgram:
			return errno.ENOTSUPP
		case i.Reuseport == 0:
			return errno.EINVAL
		}
		return nil
	}
	connected := i.State == TCPEstablished
	switch {
	case i.Mini:
		return errno.EINVAL
	case i.isTCP() && (connected || i.State == TCPListen),
		i.isUDP() && i.Local.Port() != 0, // bound
		i.Family == AFUnix && (i.Type == SockDgram || i.Type == SockStream && connected),
		i.Family == AFVsock && (i.Type == SockDgram || connected):
		return nil
	}
	return errno.EOPNOTSUPP
}

// Refs returns how many references to the socket programs hold at this moment.
func (s *Socket) Refs() int { return int(s.refs.Load()) }

// Acquire gives the program of env a reference to s, which it must release; the
// result is the address that the program sees. It is 0 for a nil s.
func (s *Socket) Acquire(env helpers.Env) uint64 {
	if s == nil {
		return 0
	}
	s.refs.Add(1)
	return env.Acquire(s.mem, s)
}

// Discard implements helpers.Releaser.
func (s *Socket) Discard([]byte) { s.refs.Add(-1) }

// ReadOnly implements helpers.ReadOnly.
func (s *Socket) ReadOnly() {}

// SocketAt returns the socket that a program passes to a helper as addr, or nil
// if there is none.
func SocketAt(env helpers.Env, addr uint64) *Socket {
	s, _ := env.Object(addr).(*Socket)
	return s
}

// skRelease is sk_release(sk): ends the reference that the program holds.
var skRelease = &helpers.Func{
	Name: "sk_release",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{released(object("sock_common"))},
		Ret:  errnoRet,
	},
	Impl: func(env helpers.Env, addr, _, _, _, _ uint64) uint64 {
		if b, s, ok := env.Release(addr); ok {
			s.Discard(b)
		}
		return 0
	},
}
