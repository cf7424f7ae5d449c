package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers on XDP packets (net/core/filter.c). A packet is one linear buffer.

// Room in the buffer of a packet that NewPacket makes, as the kernel gives it
// to XDP programs: a page, of which 256 bytes are headroom that begins with
// struct xdp_frame (40 bytes) and the end holds struct skb_shared_info (320).
const (
	Headroom  = 256 - 40
	MaxLinear = 4096 - 256 - 320
)

// NewPacket returns a copy of frame in a buffer with the kernel's room before
// and after it.
func NewPacket(frame []byte) *helpers.Packet {
	buf := make([]byte, Headroom+max(len(frame), MaxLinear))
	copy(buf[Headroom:], frame)
	return &helpers.Packet{Buf: buf, Meta: Headroom, Head: Headroom, Tail: Headroom + len(frame)}
}

var xdpResizeProto = helpers.Proto{
	Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}},
	Ret:           errnoRet,
	ChangesPacket: true,
}

var xdpAdjustHead = &helpers.Func{
	Name:  "xdp_adjust_head",
	Proto: xdpResizeProto,
	Impl: func(env helpers.Env, _, delta, _, _, _ uint64) uint64 {
		p := env.Packet()
		d := int(int32(delta))
		meta := p.Head - p.Meta
		if p.Head+d < meta || p.Head+d > p.Tail-ethHeader {
			return errno.EINVAL.R0()
		}
		copy(p.Buf[p.Meta+d:], p.Buf[p.Meta:p.Head])
		p.Head += d
		p.Meta += d
		env.SetPacket()
		return 0
	},
}

// maxMeta is the most metadata that a packet can carry: its size is a byte.
const maxMeta = 255

var xdpAdjustMeta = &helpers.Func{
	Name:  "xdp_adjust_meta",
	Proto: xdpResizeProto,
	Impl: func(env helpers.Env, _, delta, _, _, _ uint64) uint64 {
		p := env.Packet()
		meta := p.Meta + int(int32(delta))
		if meta < 0 || meta > p.Head {
			return errno.EINVAL.R0()
		}
		if size := p.Head - meta; size%4 != 0 || size > maxMeta {
			return errno.EACCES.R0()
		}
		p.Meta = meta
		env.SetPacket()
		return 0
	},
}

var xdpAdjustTail = &helpers.Func{
	Name:  "xdp_adjust_tail",
	Proto: xdpResizeProto,
	Impl: func(env helpers.Env, _, delta, _, _, _ uint64) uint64 {
		p := env.Packet()
		tail := p.Tail + int(int32(delta))
		if tail > len(p.Buf) || tail < p.Head+ethHeader {
			return errno.EINVAL.R0()
		}
		if tail > p.Tail {
			clear(p.Buf[p.Tail:tail])
		}
		p.Tail = tail
		env.SetPacket()
		return 0
	},
}

var xdpGetBuffLen = &helpers.Func{
	Name: "xdp_get_buff_len",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}},
		Ret:  helpers.Ret{Max: 1<<31 - 1},
	},
	Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 { return uint64(len(env.Packet().Data())) },
}

var xdpLoadBytes = (&helpers.Func{
	Name: "xdp_load_bytes",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem, Write: true, Uninit: true, Partial: true}, {Kind: helpers.ArgSize}},
		Ret:  errnoRet,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, off, to, size, _ uint64) uint64 {
		b, err := xdpBytes(env, off, size)
		if err != 0 {
			return err.R0()
		}
		helpers.CopyMem(mem(env, to, size), b)
		return 0
	}
}).Inlines(helpers.InlineLoadNear)

var xdpStoreBytes = (&helpers.Func{
	Name: "xdp_store_bytes",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem}, {Kind: helpers.ArgSize}},
		Ret:  errnoRet,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, off, from, size, _ uint64) uint64 {
		b, err := xdpBytes(env, off, size)
		if err != 0 {
			return err.R0()
		}
		helpers.CopyMem(b, mem(env, from, size))
		return 0
	}
}).Inlines(helpers.InlineStoreNear)

// xdpBytes returns size bytes of the packet at off.
func xdpBytes(env helpers.Env, off, size uint64) ([]byte, errno.Errno) {
	off = uint64(uint32(off))
	packet := env.Packet().Data()
	switch {
	case off > 0xffff || size > 0xffff:
		return nil, errno.EFAULT
	case off+size > uint64(len(packet)):
		return nil, errno.EINVAL
	}
	return packet[off : off+size], 0
}
