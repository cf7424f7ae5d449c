package linux

import "github.com/skepvm/skep/helpers"

// skc_to_*: a socket as what the kernel makes of it, or 0 if it is no such socket
// (net/core/filter.c). Which it is, SocketInfo says. Of the kernel's struct there is
// nothing here to read; helpers take the pointer for the socket.

// socketIf returns the body of a helper that gives the socket back if is says so.
func socketIf(is func(*SocketInfo) bool) helpers.Impl {
	return func(env helpers.Env, arg, _, _, _, _ uint64) uint64 {
		s := SocketAt(env, arg)
		if s == nil {
			return 0
		}
		if i := s.Info(); !is(&i) {
			return 0
		}
		return env.ShareObject(s.Memory("sock_common"), s)
	}
}

// skcTo declares the cast called name, to the kernel's struct.
func skcTo(name, object string, is func(*SocketInfo) bool) *helpers.Func {
	return runs(declare(name, objectNull(object), args{{Kind: helpers.ArgObject, Object: "sock_common"}}), socketIf(is))
}

func (i *SocketInfo) isInet() bool { return i.Family == AFInet || i.Family == AFInet6 }

var (
	skcToTCP6     = skcTo("skc_to_tcp6_sock", "tcp6_sock", func(i *SocketInfo) bool { return !i.Mini && i.isTCP() && i.Family == AFInet6 })
	skcToTCP      = skcTo("skc_to_tcp_sock", "kernel_tcp_sock", func(i *SocketInfo) bool { return !i.Mini && i.isTCP() })
	skcToTimewait = skcTo("skc_to_tcp_timewait_sock", "tcp_timewait_sock", func(i *SocketInfo) bool { return i.isInet() && i.Protocol == protoTCP && i.State == TCPTimeWait })
	skcToRequest  = skcTo("skc_to_tcp_request_sock", "tcp_request_sock", func(i *SocketInfo) bool { return i.isInet() && i.Protocol == protoTCP && i.State == TCPNewSynRecv })
	skcToUDP6     = skcTo("skc_to_udp6_sock", "udp6_sock", func(i *SocketInfo) bool { return !i.Mini && i.isUDP() && i.Family == AFInet6 })
	skcToUnix     = skcTo("skc_to_unix_sock", "unix_sock", func(i *SocketInfo) bool { return !i.Mini && i.Family == AFUnix })
	skcToMPTCP    = skcTo("skc_to_mptcp_sock", "mptcp_sock", func(i *SocketInfo) bool { return i.MPTCP })
)
