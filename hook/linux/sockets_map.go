package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
)

// Helpers on maps of sockets (net/core/sock_map.c, net/core/filter.c). Where
// data is to go they record in State; the host does it.

const (
	skDrop = 0
	skPass = 1
)

var skVerdictRet = helpers.Ret{Min: skDrop, Max: skPass}

// toSocket is a helper (ctx, map, key, flags) that sends data to a socket in a
// map. The key is memory if hash is set, else a number. message: the data is what
// a program of type sk_msg sees.
func toSocket(name string, hash, message bool) *helpers.Func {
	keyArg := anything
	if hash {
		keyArg = key
	}
	return &helpers.Func{
		Name:  name,
		Proto: helpers.Proto{Args: [5]helpers.Arg{ctx, mapPtr, keyArg, anything}, Ret: skVerdictRet},
		Impl: func(env helpers.Env, _, handle, k, flags, _ uint64) uint64 {
			s, _ := socketIn(env, handle, k, hash)
			if flags&^redirectIngress != 0 || s == nil || !s.takes(message, flags) {
				return skDrop
			}
			record(env, Redirect{Kind: RedirectSocket, Map: env.Map(handle), Socket: s, Flags: flags})
			return skPass
		},
	}
}

var (
	skRedirectMap   = toSocket("sk_redirect_map", false, false)
	skRedirectHash  = toSocket("sk_redirect_hash", true, false)
	msgRedirectMap  = toSocket("msg_redirect_map", false, true)
	msgRedirectHash = toSocket("msg_redirect_hash", true, true)
)

// takes is sock_map_redirect_allowed, and what the four helpers ask besides.
func (s *Socket) takes(message bool, flags uint64) bool {
	i := s.Info()
	switch {
	case i.isTCP() && i.State == TCPListen, !i.isTCP() && i.State != TCPEstablished:
		return false
	case i.Family == AFVsock:
		return !message && flags&redirectIngress == 0
	}
	return !message || flags&redirectIngress != 0 || i.isTCP()
}

// socketIn returns the socket at key of the map that handle means. The key is at
// an address if inMemory is set.
func socketIn(env helpers.Env, handle, key uint64, inMemory bool) (*Socket, maps.Map) {
	m := env.Map(handle)
	h, ok := m.(maps.SocketMap)
	if !ok {
		return nil, m
	}
	var number [4]byte
	k := number[:]
	if inMemory {
		k = env.Bytes(key, int(m.Spec().KeySize))
	} else {
		binary.NativeEndian.PutUint32(k, uint32(key))
	}
	s, _ := h.SocketElem(k).(*Socket)
	return s, m
}

// addSocket is a helper (ctx, map, key, flags) that puts the socket of a program of
// type sock_ops in a map, when it has just connected or begins to listen.
func addSocket(name string) *helpers.Func {
	return &helpers.Func{
		Name:  name,
		Proto: helpers.Proto{Args: [5]helpers.Arg{ctx, mapPtr, key, anything}, Ret: errnoRet},
		Impl: func(env helpers.Env, _, handle, addr, flags, _ uint64) uint64 {
			m := env.Map(handle)
			h, ok := m.(maps.SocketMap)
			if !ok {
				return errno.EINVAL.R0()
			}
			s := ctxSocket(env, &sockOpsCtx)
			op, _ := sockOpsCtx.Get(env.Ctx(), "op")
			k := env.Bytes(addr, int(m.Spec().KeySize))
			switch {
			case s == nil, op != opActiveEstablished && op != opPassiveEstablished && op != opTCPListen:
				return errno.EOPNOTSUPP.R0()
			case k == nil:
				return errno.EFAULT.R0()
			}
			return helpers.Result(h.UpdateSocketElem(k, s, maps.UpdateFlags(flags)))
		},
	}
}

// What a sock_ops program is called for (BPF_SOCK_OPS_*_CB).
const (
	opActiveEstablished  = 4
	opPassiveEstablished = 5
	opTCPListen          = 11
)

// ctxSocket returns the socket that field sk of the run's context, which c
// describes, leads to; nil if the run was given none.
func ctxSocket(env helpers.Env, c *hook.Ctx) *Socket {
	return SocketAt(env, binary.NativeEndian.Uint64(env.Ctx()[c.Field("sk").HostOff:]))
}

// skSelectReuseport is sk_select_reuseport(ctx, map, key, flags): chooses the
// socket that is to take the connection or datagram. It has to be of the group
// (SocketInfo.Reuseport) of the context's socket; a run that was given none takes
// any.
var skSelectReuseport = &helpers.Func{
	Name:  "sk_select_reuseport",
	Proto: helpers.Proto{Args: [5]helpers.Arg{ctx, mapPtr, key, anything}, Ret: errnoRet},
	Impl: func(env helpers.Env, _, handle, k, _, _ uint64) uint64 {
		s, m := socketIn(env, handle, k, true)
		if s == nil {
			return errno.ENOENT.R0()
		}
		i := s.Info()
		if i.Reuseport == 0 {
			if m.Spec().Type == maps.ReuseportSockArray {
				return errno.ENOENT.R0() // it left its group
			}
			return errno.EINVAL.R0()
		}
		if of := ctxSocket(env, &reuseportMD); of != nil {
			switch group := of.Info(); {
			case i.Reuseport == group.Reuseport:
			case i.Protocol != group.Protocol:
				return errno.EPROTOTYPE.R0()
			case i.Family != group.Family:
				return errno.EAFNOSUPPORT.R0()
			default:
				return errno.EBADFD.R0()
			}
		}
		if st, ok := env.State().(*State); ok {
			st.Selected = s
		}
		return 0
	},
}
