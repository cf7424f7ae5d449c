package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that change an skb's size or what is known of it (net/core/filter.c).

// maxSkb is the largest packet that change_head and change_tail make: four
// pages without struct skb_shared_info (BPF_SKB_MAX_LEN).
const maxSkb = 4*4096 - 320

var skbChangeTail = &helpers.Func{
	Name:  "skb_change_tail",
	Proto: skbResizeProto,
	Impl: func(env helpers.Env, _, size, flags, _, _ uint64) uint64 {
		p := env.Packet()
		n := int(uint32(size))
		least, encapsulated := networkOffset(env), false
		if s, ok := env.State().(*State); ok && s.encapsulated {
			encapsulated = true
			if s.transport > 0 {
				least = s.transport
			}
		}
		switch {
		case flags != 0 || uint32(size) > maxSkb || n < least:
			return errno.EINVAL.R0()
		case encapsulated:
			return errno.ENOTSUPP.R0()
		}
		old := p.Tail - p.Head
		reserve(p, 0, n-old)
		p.Tail = p.Head + n
		if n > old {
			clear(p.Buf[p.Head+old : p.Tail])
		}
		skbChanged(env)
		return 0
	},
}

var skbChangeHead = &helpers.Func{
	Name:  "skb_change_head",
	Proto: skbResizeProto,
	Impl: func(env helpers.Env, _, room, flags, _, _ uint64) uint64 {
		p := env.Packet()
		n := int64(int32(room))
		if flags != 0 || n < 0 || n+int64(p.Tail-p.Head) > maxSkb {
			return errno.EINVAL.R0()
		}
		reserve(p, int(n), 0)
		p.Head -= int(n)
		p.Meta = p.Head
		clear(p.Buf[p.Head : p.Head+int(n)])
		moved(env, int(n))
		if s, ok := env.State().(*State); ok {
			s.network += int(n)
			s.macLen = networkOffset(env)
		}
		skbChanged(env)
		return 0
	},
}

var skbResizeProto = helpers.Proto{
	Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
	Ret:           errnoRet,
	ChangesPacket: true,
}

// skbChanged publishes a packet of another size.
func skbChanged(env helpers.Env) {
	p := env.Packet()
	put32(env.Ctx(), skbLen, uint32(p.Tail-p.Head))
	env.SetPacket()
}

// reserve makes sure that p has head bytes before the metadata and tail bytes
// after the packet, in a new buffer if need be.
func reserve(p *helpers.Packet, head, tail int) {
	head, tail = max(head-p.Meta, 0), max(tail-(len(p.Buf)-p.Tail), 0)
	if head == 0 && tail == 0 {
		return
	}
	buf := make([]byte, head+len(p.Buf)+tail)
	copy(buf[head+p.Meta:], p.Buf[p.Meta:p.Tail])
	p.Buf = buf
	p.Meta += head
	p.Head += head
	p.Tail += head
}

var skbChangeType = &helpers.Func{
	Name: "skb_change_type",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}},
		Ret:  errnoRet,
	},
	Impl: func(env helpers.Env, _, typ, _, _, _ uint64) uint64 {
		if get32(env.Ctx(), skbPktType) > packetOtherHost || uint32(typ) > packetOtherHost {
			return errno.EINVAL.R0()
		}
		put32(env.Ctx(), skbPktType, uint32(typ))
		return 0
	},
}

var setHashInvalid = &helpers.Func{
	Name:  "set_hash_invalid",
	Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}}},
	Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
		put32(env.Ctx(), skbHash, 0)
		stateOf(env).hashed = false
		return 0
	},
}

var setHash = &helpers.Func{
	Name:  "set_hash",
	Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}}},
	Impl: func(env helpers.Env, _, hash, _, _, _ uint64) uint64 {
		put32(env.Ctx(), skbHash, uint32(hash))
		stateOf(env).hashed = true
		return 0
	},
}

// What the packet's socket says of it; a packet has none unless the run is given
// one (State.Socket, or the context's sk).

// overflowUID is what the kernel says of packets without a socket.
const overflowUID = 65534

var (
	getSocketCookie  = runs(declare("get_socket_cookie", integer, args{ctx}), socketCookie(ofSkb))
	getSocketUID     = runs(declare("get_socket_uid", integer, args{ctx}), socketUID)
	getCgroupClassid = runs(declare("get_cgroup_classid", integer, args{ctx}), skbClassID)
	getRouteRealm    = runs(declare("get_route_realm", integer, args{ctx}), routeRealm)
)

// routeRealm is get_route_realm(ctx): of the route that the packet takes.
func routeRealm(env helpers.Env, _, _, _, _, _ uint64) uint64 { return uint64(stateOf(env).Realm) }
