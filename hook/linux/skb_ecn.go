package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// skbECNSetCE is skb_ecn_set_ce(skb): marks a packet of an ECN-capable flow as
// having met congestion, and returns 1 if it is marked now
// (include/net/inet_ecn.h; RFC 3168).
var skbECNSetCE = &helpers.Func{
	Name:  "skb_ecn_set_ce",
	Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}}},
	Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
		proto, off := innerProtocol(env)
		size, ok := baseHeader(proto)
		data := env.Packet().Data()
		if !ok || len(data) < off+size {
			return 0
		}
		const ce = 3
		h := data[off:]
		if size == ipv6Header {
			if h[1]>>4&ce == 0 {
				return 0
			}
			h[1] |= ce << 4
			return 1
		}
		ecn := (h[1] + 1) & ce // not ECT: 1, CE: 0
		if ecn&2 == 0 {
			return uint64(ecn ^ 1)
		}
		// The checksum of a header whose first word grows by 2 or 1.
		sum := uint32(binary.BigEndian.Uint16(h[10:])) + 0xfffb + uint32(ecn)
		binary.BigEndian.PutUint16(h[10:], uint16(sum+sum>>16))
		h[1] |= ce
		return 1
	},
}

// innerProtocol returns the protocol behind the tags in the packet, and where
// the network header is taken to be (skb_protocol with skip_vlan).
func innerProtocol(env helpers.Env) (proto uint32, network int) {
	proto = get32(env.Ctx(), skbProtocol)
	data := env.Packet().Data()
	off := ethHeader
	if s, ok := env.State().(*State); ok && s.macLen > 0 {
		off = max(s.macLen-vlanHeader, 0)
	}
	for depth := 1; isVlan(proto); depth++ {
		if len(data) < off+vlanHeader || depth == maxVlanDepth {
			return 0, 0
		}
		proto = be16(data[off+2:])
		off += vlanHeader
	}
	return proto, networkOffset(env)
}

// maxVlanDepth is VLAN_MAX_DEPTH.
const maxVlanDepth = 8

// Values of csum_level's argument.
const (
	csumLevelQuery = 0
	csumLevelInc   = 1
	csumLevelDec   = 2
	csumLevelReset = 3
)

// maxCsumLevel is SKB_MAX_CSUM_LEVEL.
const maxCsumLevel = 3

// csumLevel is csum_level(skb, op): how many checksums in a row are known to be
// right, less one. A packet begins with none.
var csumLevel = &helpers.Func{
	Name:  "csum_level",
	Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}}},
	Impl: func(env helpers.Env, _, op, _, _, _ uint64) uint64 {
		s, ok := env.State().(*State)
		if !ok {
			return errno.EINVAL.R0()
		}
		switch op {
		case csumLevelQuery:
			if s.checked == 0 {
				return errno.EACCES.R0()
			}
			return uint64(s.checked - 1)
		case csumLevelInc:
			s.checked = min(s.checked+1, maxCsumLevel+1)
		case csumLevelDec:
			s.checked = max(s.checked-1, 0)
		case csumLevelReset:
			s.checked = 0
		default:
			return errno.EINVAL.R0()
		}
		return 0
	},
}
