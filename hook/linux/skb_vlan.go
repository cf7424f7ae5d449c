package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// VLAN tags. The outermost is kept beside the packet, in the context, as the
// kernel keeps it for the device; those below are in the packet
// (net/core/skbuff.c, skb_vlan_push and skb_vlan_pop).

const vlanHeader = 4 // bytes of a tag in a packet

var (
	proto8021Q  = []byte{0x81, 0x00}
	proto8021AD = []byte{0x88, 0xa8}
)

// isVlan reports whether proto, as the context has it, says that a tag follows.
func isVlan(proto uint32) bool {
	return proto == be16(proto8021Q) || proto == be16(proto8021AD)
}

// be16 returns a field of the packet as fields of the context have it.
func be16(b []byte) uint32 { return uint32(binary.NativeEndian.Uint16(b)) }

// setVlan puts a tag beside the packet.
func setVlan(ctx []byte, proto uint32, tci uint16) {
	put32(ctx, skbVlanPresent, 1)
	put32(ctx, skbVlanProto, proto)
	put32(ctx, skbVlanTCI, uint32(tci))
}

var skbVlanPush = &helpers.Func{
	Name: "skb_vlan_push",
	Proto: helpers.Proto{
		Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:           errnoRet,
		ChangesPacket: true,
	},
	Impl: func(env helpers.Env, _, proto, tci, _, _ uint64) uint64 {
		ctx, p := env.Ctx(), env.Packet()
		if proto = uint64(uint16(proto)); !isVlan(uint32(proto)) {
			proto = uint64(be16(proto8021Q))
		}
		if get32(ctx, skbVlanPresent) != 0 {
			outer := get32(ctx, skbVlanProto)
			if p.Tail-p.Head < 2*6 {
				return errno.EINVAL.R0()
			}
			insert(env, 2*6, vlanHeader)
			tag := p.Data()[2*6:]
			binary.NativeEndian.PutUint16(tag, uint16(outer))
			binary.BigEndian.PutUint16(tag[2:], uint16(get32(ctx, skbVlanTCI)))
			put32(ctx, skbProtocol, outer)
		}
		setVlan(ctx, uint32(proto), uint16(tci))
		skbChanged(env)
		return 0
	},
}

var skbVlanPop = &helpers.Func{
	Name: "skb_vlan_pop",
	Proto: helpers.Proto{
		Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}},
		Ret:           errnoRet,
		ChangesPacket: true,
	},
	Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
		ctx := env.Ctx()
		defer skbChanged(env)
		if get32(ctx, skbVlanPresent) != 0 {
			put32(ctx, skbVlanPresent, 0)
			put32(ctx, skbVlanTCI, 0)
			put32(ctx, skbVlanProto, 0)
		} else if isVlan(get32(ctx, skbProtocol)) {
			if _, ok := popTag(env); !ok {
				return errno.ENOMEM.R0()
			}
		}
		if outer := get32(ctx, skbProtocol); isVlan(outer) { // the next one goes beside the packet
			tci, ok := popTag(env)
			if !ok {
				return errno.ENOMEM.R0()
			}
			setVlan(ctx, outer, tci)
		}
		return 0
	},
}

// popTag takes the first tag out of the packet (__skb_vlan_pop).
func popTag(env helpers.Env) (tci uint16, ok bool) {
	p := env.Packet()
	data := p.Data()
	if len(data) < ethHeader+vlanHeader {
		return 0, false
	}
	tci = binary.BigEndian.Uint16(data[ethHeader:])
	put32(env.Ctx(), skbProtocol, encapsulated(data[ethHeader+2:]))
	remove(env, 2*6, vlanHeader)
	if s, ok := env.State().(*State); ok {
		s.network = max(s.network-vlanHeader, 0)
		s.macLen = networkOffset(env)
	}
	return tci, true
}

// encapsulated returns the protocol of what follows a tag, whose EtherType is at
// the start of b (vlan_set_encap_proto).
func encapsulated(b []byte) uint32 {
	switch {
	case binary.BigEndian.Uint16(b) >= 0x600:
		return be16(b)
	case len(b) >= 4 && b[2] == 0xff && b[3] == 0xff:
		return be16(proto8023)
	}
	return be16(proto8022)
}

// insert makes room of n zeroed bytes at off, or at the end if that is before.
// (The kernel then leaves there whatever its buffer held.)
func insert(env helpers.Env, off, n int) {
	p := env.Packet()
	off = min(off, p.Tail-p.Head)
	reserve(p, n, 0)
	p.Head -= n
	p.Meta = p.Head
	copy(p.Buf[p.Head:], p.Buf[p.Head+n:p.Head+n+off])
	clear(p.Buf[p.Head+off : p.Head+off+n])
	moved(env, n)
}

// moved notes that the packet begins n bytes earlier.
func moved(env helpers.Env, n int) {
	if s, ok := env.State().(*State); ok && s.encapsulated {
		s.transport += n
	}
}

// remove takes n bytes at off away.
func remove(env helpers.Env, off, n int) {
	p := env.Packet()
	copy(p.Buf[p.Head+n:], p.Buf[p.Head:p.Head+off])
	p.Head += n
	p.Meta = p.Head
	moved(env, -n)
}
