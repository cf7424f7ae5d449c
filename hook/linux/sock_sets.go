package linux

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
)

// socketFuncs returns the helpers that find their socket in the context c.
func socketFuncs(c *hook.Ctx) map[helpers.ID]*helpers.Func {
	find := inContext(c)
	return map[helpers.ID]*helpers.Func{
		46:  runs(declare("get_socket_cookie", integer, args{ctx}), socketCookie(find)),
		49:  asks(declare("setsockopt", integer, args{ctx, anything, anything, mem, size}), needsSetOption, setSockOpt(find)),
		57:  asks(declare("getsockopt", integer, args{ctx, anything, anything, memOut, size}), needsOption, getSockOpt(find)),
		64:  asks(declare("bind", integer, args{ctx, mem, size}), needsBind, bindSocket(find)),
		122: asks(declare("get_netns_cookie", integer, args{nullable(ctx)}), needsNetns, netnsCookie(find)),
	}
}

// Helpers of types whose contexts have a socket.
var (
	sockAddrFuncs   = helpers.NewSet(socketFuncs(&sockAddr), nil)
	cgroupSockFuncs = helpers.NewSet(socketFuncs(&sock), nil)
	sockOpsFuncs    = helpers.NewSet(socketFuncs(&sockOpsCtx), nil)
	skMsgFuncs      = helpers.NewSet(socketFuncs(&skMsg), nil)
	skLookupFuncs   = helpers.NewSet(map[helpers.ID]*helpers.Func{
		124: runs(declare("sk_assign", integer, args{ctx, nullable(object("sock_common")), anything}), skLookupAssign),
	}, nil)
)
