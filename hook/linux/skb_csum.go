package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that repair checksums in an skb's packet (net/core/filter.c). The
// packet's own checksum state is CHECKSUM_NONE, as for a packet that came from
// a device which does not verify.

// Flags of l3_csum_replace and l4_csum_replace.
const (
	hdrFieldMask = 0xf
	pseudoHdr    = 1 << 4
	markMangled0 = 1 << 5
	markEnforce  = 1 << 6
	csumIPv6     = 1 << 7
	csumMangled0 = 0xffff
)

var l3CsumReplace = &helpers.Func{
	Name:  "l3_csum_replace",
	Proto: csumReplaceProto,
	Impl: func(env helpers.Env, _, off, from, to, flags uint64) uint64 {
		if flags&^hdrFieldMask != 0 {
			return errno.EINVAL.R0()
		}
		sum := csumField(env, off)
		if sum == nil {
			return errno.EFAULT.R0()
		}
		v := binary.NativeEndian.Uint16(sum)
		switch flags {
		case 0:
			if from != 0 {
				return errno.EINVAL.R0()
			}
			v = csumByDiff(v, uint32(to))
		case 2:
			v = ^csum16Add(csum16Add(^v, ^uint16(from)), uint16(to))
		case 4:
			v = csumReplace(v, uint32(from), uint32(to))
		default:
			return errno.EINVAL.R0()
		}
		binary.NativeEndian.PutUint16(sum, v)
		return 0
	},
}

var l4CsumReplace = &helpers.Func{
	Name:  "l4_csum_replace",
	Proto: csumReplaceProto,
	Impl: func(env helpers.Env, _, off, from, to, flags uint64) uint64 {
		if flags&^(hdrFieldMask|pseudoHdr|markMangled0|markEnforce|csumIPv6) != 0 {
			return errno.EINVAL.R0()
		}
		sum := csumField(env, off)
		if sum == nil {
			return errno.EFAULT.R0()
		}
		v := binary.NativeEndian.Uint16(sum)
		if flags&markMangled0 != 0 && flags&markEnforce == 0 && v == 0 {
			return 0
		}
		switch flags & hdrFieldMask {
		case 0:
			if from != 0 {
				return errno.EINVAL.R0()
			}
			v = csumByDiff(v, uint32(to))
		case 2:
			v = csumReplace(v, uint32(uint16(from)), uint32(uint16(to)))
		case 4:
			v = csumReplace(v, uint32(from), uint32(to))
		default:
			return errno.EINVAL.R0()
		}
		if flags&markMangled0 != 0 && v == 0 {
			v = csumMangled0
		}
		binary.NativeEndian.PutUint16(sum, v)
		return 0
	},
}

var csumReplaceProto = helpers.Proto{
	Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
	Ret:           errnoRet,
	ChangesPacket: true,
}

// csumField returns the checksum at off of the packet, nil if off is odd or
// outside.
func csumField(env helpers.Env, off uint64) []byte {
	packet := env.Packet().Data()
	off = uint64(uint32(off))
	if off > 0xffff || off&1 != 0 || off+2 > uint64(len(packet)) {
		return nil
	}
	return packet[off : off+2]
}

// csumByDiff adds the difference diff to the checksum sum.
func csumByDiff(sum uint16, diff uint32) uint16 {
	return ^helpers.CsumFold(csumAdd(diff, ^uint32(sum)))
}

// csumReplace takes from out of the checksum sum and puts to in.
func csumReplace(sum uint16, from, to uint32) uint16 {
	return ^helpers.CsumFold(csumAdd(csumAdd(^uint32(sum), ^from), to))
}

// csumAdd and csum16Add add with end-around carry.
func csumAdd(a, b uint32) uint32 {
	s := uint64(a) + uint64(b)
	return uint32(s) + uint32(s>>32)
}

func csum16Add(a, b uint16) uint16 {
	s := uint32(a) + uint32(b)
	return uint16(s) + uint16(s>>16)
}

// csumUpdate adds to the packet's own checksum, which it does not have.
var csumUpdate = &helpers.Func{
	Name: "csum_update",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Min: -4095, Max: 1<<32 - 1},
	},
	Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return errno.ENOTSUPP.R0() },
}
