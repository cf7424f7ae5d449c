package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that make or take room between the headers of an skb, to encapsulate
// packets and to translate them (net/core/filter.c).

// Modes and flags of skb_adjust_room (include/uapi/linux/bpf.h).
const (
	roomNet = 0 // behind the network header
	roomMAC = 1 // before it

	roomFixedGSO    = 1 << 0
	roomIPv4        = 1 << 1 // the room is for an IPv4 header, and more
	roomIPv6        = 1 << 2
	roomGRE         = 1 << 3
	roomUDP         = 1 << 4
	roomNoCsumReset = 1 << 5
	roomEthernet    = 1 << 6
	roomToIPv4      = 1 << 7 // what is taken uncovers an IPv4 header
	roomToIPv6      = 1 << 8
	roomL2Shift     = 56 // bytes of link header within the room

	roomFlags = roomFixedGSO | roomIPv4 | roomIPv6 | roomGRE | roomUDP | roomNoCsumReset | roomEthernet |
		roomToIPv4 | roomToIPv6 | 0xff<<roomL2Shift
)

const (
	ipv4Header = 20
	ipv6Header = 40
)

// baseHeader returns the size of the network header without options; ok is
// false if the packet is neither IPv4 nor IPv6.
func baseHeader(proto uint32) (size int, ok bool) {
	switch proto {
	case be16(protoIPv4):
		return ipv4Header, true
	case be16(protoIPv6):
		return ipv6Header, true
	}
	return 0, false
}

var skbRoomProto = helpers.Proto{
	Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
	Ret:           errnoRet,
	ChangesPacket: true,
}

// streamAdjustRoom is skb_adjust_room(ctx, diff, mode, flags) of sk_skb programs
// (sk_skb_adjust_room): bytes of zeros before the data, or as many less of it.
var streamAdjustRoom = &helpers.Func{
	Name:  "skb_adjust_room",
	Proto: skbRoomProto,
	Impl: func(env helpers.Env, _, diff, mode, flags, _ uint64) uint64 {
		p, n := env.Packet(), int(int32(diff))
		switch {
		case flags != 0 || uint32(mode) != 0:
			return errno.EINVAL.R0()
		case n > maxStreamRoom || n < -maxStreamRoom:
			return errno.EFAULT.R0()
		case n < p.Head-p.Tail:
			return errno.ENOMEM.R0()
		}
		if n > 0 {
			reserve(p, n, 0)
			clear(p.Buf[p.Head-n : p.Head])
		}
		p.Head -= n
		p.Meta = p.Head
		skbChanged(env)
		return 0
	},
}

const maxStreamRoom = 0xfff

var skbAdjustRoom = &helpers.Func{
	Name:  "skb_adjust_room",
	Proto: skbRoomProto,
	Impl: func(env helpers.Env, _, diff, mode, flags, _ uint64) uint64 {
		err := adjustRoom(env, int(int32(diff)), uint32(mode), flags)
		skbChanged(env)
		return err.R0()
	},
}

// adjustRoom is bpf_skb_adjust_room.
func adjustRoom(env helpers.Env, diff int, mode uint32, flags uint64) errno.Errno {
	ctx, p := env.Ctx(), env.Packet()
	least, ok := baseHeader(get32(ctx, skbProtocol))
	switch {
	case flags&^roomFlags != 0:
		return errno.EINVAL
	case diff > 0xfff || diff < -0xfff:
		return errno.EFAULT
	case !ok:
		return errno.ENOTSUPP
	}
	off := networkOffset(env)
	switch mode {
	case roomNet:
		off += least
	case roomMAC:
	default:
		return errno.ENOTSUPP
	}
	switch flags & (roomToIPv4 | roomToIPv6) {
	case 0:
	case roomToIPv4:
		least = ipv4Header
	case roomToIPv6:
		least = ipv6Header
	default:
		return errno.EINVAL
	}
	if flags&(roomToIPv4|roomToIPv6) != 0 && diff >= 0 {
		return errno.EINVAL
	}
	size := p.Tail - p.Head
	rest := size - networkOffset(env)
	switch {
	case diff < 0 && (-diff >= rest || rest+diff < least):
		return errno.ENOTSUPP
	case diff >= 0 && size+diff > maxSkb:
		return errno.ENOTSUPP
	}
	err := errno.Errno(0)
	if diff < 0 {
		err = shrink(env, off, -diff, flags)
	} else {
		err = grow(env, off, diff, flags)
	}
	if s, ok := env.State().(*State); ok && err == 0 && flags&roomNoCsumReset == 0 {
		s.checked = 0
	}
	return err
}

// grow is bpf_skb_net_grow.
func grow(env helpers.Env, off, n int, flags uint64) errno.Errno {
	ctx := env.Ctx()
	s, _ := env.State().(*State)
	encap := flags&(roomIPv4|roomIPv6) != 0
	if l2 := int(flags >> roomL2Shift); encap {
		switch {
		case flags&roomIPv4 != 0 && flags&roomIPv6 != 0,
			flags&roomGRE != 0 && flags&roomUDP != 0,
			flags&roomEthernet != 0 && l2 < ethHeader:
			return errno.EINVAL
		case s != nil && s.encapsulated:
			return errno.EALREADY
		case l2 > n:
			return errno.EINVAL
		}
	}
	insert(env, off, n)
	if encap {
		proto, header := protoIPv4, ipv4Header
		if flags&roomIPv6 != 0 {
			proto, header = protoIPv6, ipv6Header
		}
		put32(ctx, skbProtocol, be16(proto))
		if s != nil {
			s.encapsulated = true
			s.transport = networkOffset(env) + header
		}
	}
	return 0
}

// shrink is bpf_skb_net_shrink.
func shrink(env helpers.Env, off, n int, flags uint64) errno.Errno {
	p := env.Packet()
	switch {
	case flags&^(roomFixedGSO|roomToIPv4|roomToIPv6|roomNoCsumReset) != 0:
		return errno.EINVAL
	case off+n > p.Tail-p.Head:
		return errno.ENOMEM
	}
	remove(env, off, n)
	switch {
	case flags&roomToIPv4 != 0:
		put32(env.Ctx(), skbProtocol, be16(protoIPv4))
	case flags&roomToIPv6 != 0:
		put32(env.Ctx(), skbProtocol, be16(protoIPv6))
	}
	return 0
}

var skbChangeProto = &helpers.Func{
	Name:  "skb_change_proto",
	Proto: skbResizeProto,
	Impl: func(env helpers.Env, _, proto, flags, _, _ uint64) uint64 {
		ctx, p := env.Ctx(), env.Packet()
		from, to := get32(ctx, skbProtocol), uint32(uint16(proto))
		v4, v6 := be16(protoIPv4), be16(protoIPv6)
		off := networkOffset(env)
		const diff = ipv6Header - ipv4Header
		switch {
		case flags != 0:
			return errno.EINVAL.R0()
		case from == v4 && to == v6:
			insert(env, off, diff)
		case from == v6 && to == v4:
			if off+diff > p.Tail-p.Head {
				return errno.ENOMEM.R0()
			}
			remove(env, off, diff)
		default:
			return errno.ENOTSUPP.R0()
		}
		put32(ctx, skbProtocol, to)
		put32(ctx, skbHash, 0)
		stateOf(env).hashed = false
		skbChanged(env)
		return 0
	},
}
