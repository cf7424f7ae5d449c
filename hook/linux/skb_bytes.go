package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that read and write the bytes of an skb's packet (net/core/filter.c).
// Packets here are linear: every byte is directly accessible.

// Flags of skb_store_bytes.
const (
	recomputeCsum  = 1 << 0
	invalidateHash = 1 << 1
)

// maxInt is the kernel's INT_MAX.
const maxInt = 1<<31 - 1

var skbLoadBytes = (&helpers.Func{
	Name: "skb_load_bytes",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem, Write: true, Uninit: true}, {Kind: helpers.ArgSize}},
		Ret:  errnoRet,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, off, to, size, _ uint64) uint64 {
		dst := mem(env, to, size)
		return loadBytes(dst, env.Packet().Data(), uint64(uint32(off)))
	}
}).Inlines(helpers.InlineLoadBytes)

// Values of start_header.
const (
	startMAC     = 0
	startNetwork = 1
)

var skbLoadBytesRelative = (&helpers.Func{
	Name: "skb_load_bytes_relative",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem, Write: true, Uninit: true}, {Kind: helpers.ArgSize}, {Kind: helpers.ArgAnything}},
		Ret:  errnoRet,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, off, to, size, start uint64) uint64 {
		dst := mem(env, to, size)
		off = uint64(uint32(off))
		var base int
		switch uint32(start) {
		case startMAC:
			base = macOffset(env)
		case startNetwork:
			base = networkOffset(env)
		default:
			base = -1
		}
		if off > 0xffff || base < 0 {
			helpers.ClearMem(dst)
			return errno.EFAULT.R0()
		}
		return loadBytes(dst, env.Packet().Data(), uint64(base)+off)
	}
})

// loadBytes copies from the packet at off, or, if they are not all there,
// clears dst.
func loadBytes(dst, packet []byte, off uint64) uint64 {
	if off > maxInt || off+uint64(len(dst)) > uint64(len(packet)) {
		helpers.ClearMem(dst)
		return errno.EFAULT.R0()
	}
	helpers.CopyMem(dst, packet[off:off+uint64(len(dst))])
	return 0
}

// macOffset and networkOffset return where a header is in the packet;
// negative: it is not there.
func macOffset(env helpers.Env) int {
	s, ok := env.State().(*State)
	if !ok || s.network != 0 { // change_head makes the packet's start the header
		return 0
	}
	return s.mac
}

func networkOffset(env helpers.Env) int {
	if s, ok := env.State().(*State); ok {
		return s.mac + ethHeader + s.network
	}
	return ethHeader
}

var skbStoreBytes = (&helpers.Func{
	Name: "skb_store_bytes",
	Proto: helpers.Proto{
		Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem}, {Kind: helpers.ArgSize}, {Kind: helpers.ArgAnything}},
		Ret:           errnoRet,
		ChangesPacket: true,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, off, from, size, flags uint64) uint64 {
		return storeBytes(env, uint64(uint32(off)), mem(env, from, size), flags)
	}
}).Inlines(helpers.InlineStoreBytes)

// storeBytes copies src to the packet at off.
func storeBytes(env helpers.Env, off uint64, src []byte, flags uint64) uint64 {
	packet := env.Packet().Data()
	switch {
	case flags&^(recomputeCsum|invalidateHash) != 0:
		return errno.EINVAL.R0()
	case off > maxInt || off+uint64(len(src)) > uint64(len(packet)):
		return errno.EFAULT.R0()
	}
	helpers.CopyMem(packet[off:off+uint64(len(src))], src)
	if flags&invalidateHash != 0 {
		put32(env.Ctx(), skbHash, 0)
		stateOf(env).hashed = false
	}
	return 0
}

var skbPullData = &helpers.Func{
	Name: "skb_pull_data",
	Proto: helpers.Proto{
		Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}},
		Ret:           errnoRet,
		ChangesPacket: true,
	},
	Impl: func(env helpers.Env, _, size, _, _, _ uint64) uint64 {
		if uint64(uint32(size)) > uint64(len(env.Packet().Data())) {
			return errno.ENOMEM.R0()
		}
		return 0
	},
}

// errnoRet is the result of helpers that return 0 or an error.
var errnoRet = helpers.Ret{Min: -4095}
