package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// getHashRecalc is get_hash_recalc(ctx): the packet's hash, which is computed if
// there is none. It is a function of addresses, protocol and ports, and never 0.
// Linux's is keyed with a secret of the machine; this one is the same everywhere.
func getHashRecalc(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	ctx := env.Ctx()
	h := get32(ctx, skbHash)
	if h == 0 && !stateOf(env).hashed {
		h = flowHash(env.Packet().Data(), networkOffset(env), get32(ctx, skbProtocol))
		put32(ctx, skbHash, h)
	}
	return uint64(h)
}

// flowHash hashes the flow of a packet whose network header is at off.
func flowHash(packet []byte, off int, protocol uint32) uint32 {
	h := uint32(2166136261) // FNV-1a
	add := func(b []byte) {
		for _, c := range b {
			h = (h ^ uint32(c)) * 16777619
		}
	}
	var proto [2]byte
	binary.NativeEndian.PutUint16(proto[:], uint16(protocol))
	add(proto[:])
	ip := packet[min(max(off, 0), len(packet)):]
	var l4 uint8
	ports := -1
	switch {
	case proto == [2]byte(protoIPv4) && len(ip) >= 20 && ip[0]>>4 == 4:
		l4 = ip[9]
		add(ip[12:20])
		if binary.BigEndian.Uint16(ip[6:])&0x3fff == 0 { // no fragment
			ports = int(ip[0]&15) * 4
		}
	case proto == [2]byte(protoIPv6) && len(ip) >= 40 && ip[0]>>4 == 6:
		l4 = ip[6]
		add(ip[8:40])
		ports = 40
	}
	add([]byte{l4})
	if hasPorts(l4) && ports >= 20 && ports+4 <= len(ip) {
		add(ip[ports : ports+4])
	}
	return max(h, 1)
}

// hasPorts reports whether packets of an IP protocol begin with two ports: TCP,
// UDP, DCCP, SCTP, UDP-Lite.
func hasPorts(l4 uint8) bool { return l4 == 6 || l4 == 17 || l4 == 33 || l4 == 132 || l4 == 136 }

// Values of tstamp_type.
const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockTAI       = 2
)

// skbSetTstamp is skb_set_tstamp(ctx, time, type).
func skbSetTstamp(env helpers.Env, _, time, clock, _, _ uint64) uint64 {
	ctx := env.Ctx()
	var proto [2]byte
	binary.NativeEndian.PutUint16(proto[:], uint16(get32(ctx, skbProtocol)))
	switch {
	case proto != [2]byte(protoIPv4) && proto != [2]byte(protoIPv6):
		return errno.EOPNOTSUPP.R0()
	case uint32(clock) == clockRealtime:
	case (uint32(clock) == clockMonotonic || uint32(clock) == clockTAI) && time != 0:
	default:
		return errno.EINVAL.R0()
	}
	binary.NativeEndian.PutUint64(ctx[skbTstamp:], time)
	ctx[skbTstampType] = uint8(clock)
	return 0
}

var (
	skbTstamp     = skb.Field("tstamp").HostOff
	skbTstampType = skb.Field("tstamp_type").HostOff
)
