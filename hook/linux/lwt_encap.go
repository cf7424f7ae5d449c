package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Headers that programs of routes put before packets (net/core/lwt_bpf.c).

const (
	encapIP     = 2 // BPF_LWT_ENCAP_IP; the other modes are of segment routing
	maxEncap    = 256
	ipCsum      = 10 // offset of an IPv4 header's checksum
	ihlOfAnIPv4 = 5  // words
)

// lwtPushEncap is lwt_push_encap(ctx, type, header, size): puts an IP header, and
// whatever follows it in the same bytes, before the packet. The checksum of an IPv4
// header is computed if it is 0. The modes of segment routing look up routes; they
// fail with EINVAL, as in a kernel that is built without it.
func lwtPushEncap(env helpers.Env, _, mode, header, size, _ uint64) uint64 {
	n := int(uint32(size))
	if uint32(mode) != encapIP || n < ipv4Header || n > maxEncap {
		return errno.EINVAL.R0()
	}
	from := env.Bytes(header, n)
	if from == nil {
		return errno.EFAULT.R0()
	}
	var b [maxEncap]byte // the header may lie in the packet, and other runs may write it
	helpers.CopyMem(b[:n], from)
	proto, words := protoIPv4, int(b[0]&15)
	switch v := b[0] >> 4; {
	case v == 4 && n >= 4*words:
	case v == 6 && n >= ipv6Header:
		proto = protoIPv6
	default:
		return errno.EINVAL.R0()
	}
	p, s := env.Packet(), stateOf(env)
	if p.Tail-p.Head+n > maxSkb {
		return errno.ENOMEM.R0()
	}
	if b[0]>>4 == 4 && b[ipCsum] == 0 && b[ipCsum+1] == 0 {
		binary.LittleEndian.PutUint16(b[ipCsum:], headerSum(b[:n], words))
	}
	reserve(p, n, 0)
	p.Head -= n
	p.Meta = p.Head
	copy(p.Buf[p.Head:], b[:n])
	ctx := env.Ctx()
	put32(ctx, skbProtocol, be16(proto))
	put32(ctx, skbHash, 0)
	s.hashed, s.network, s.encapsulated = false, 0, true
	skbChanged(env)
	if get32(ctx, skbGSOSize) != 0 {
		return errno.ENOTSUPP.R0() // of what kind the segments are is not known here
	}
	return 0
}

// headerSum returns the checksum of the IPv4 header b of so many words, as it is in
// memory on a little-endian machine. A header that claims to be shorter than any is
// summed as far as the first two bytes (arch/x86, ip_fast_csum).
func headerSum(b []byte, words int) uint16 {
	if words < ihlOfAnIPv4 {
		return binary.LittleEndian.Uint16(b)
	}
	sum := uint32(0)
	for i := 0; i < 4*words; i += 2 {
		sum += uint32(binary.LittleEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
