package linux

import (
	"encoding/binary"
	"net/netip"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Routes are the host's routes and devices.
type Routes struct {
	// Lookup is fib_lookup: fills in the answers of q and returns one of
	// BPF_FIB_LKUP_RET_*, of which 0 is success, or an error.
	Lookup func(env helpers.Env, q *FIBLookup, flags uint32) (result int, err error)
	// MTU is the largest IP packet that a device sends, 0 being the packet's
	// own; ok is false if there is no such device.
	MTU func(env helpers.Env, ifindex uint32) (mtu uint32, ok bool)
}

// A FIBLookup is struct bpf_fib_lookup.
type FIBLookup struct {
	Family, L4Protocol uint8
	SrcPort, DstPort   uint16
	TotLen             uint16     // of the packet; the answer is an MTU
	Ifindex            uint32     // where it comes in; the answer is where it goes out
	FlowInfo           uint32     // IPv4: TOS; the answer is the route's metric
	Src, Dst           netip.Addr // the answers are the source to use, and the next hop
	Table              uint32     // the routing table, if flags say so
	VLANProto, VLANTCI uint16     // an answer
	SrcMAC, DstMAC     [6]byte    // an answer
}

const (
	fibSize  = 64
	fibFlags = 0x3f // BPF_FIB_LOOKUP_*
)

// fibLookup is fib_lookup(ctx, params, size, flags).
func fibLookup(env helpers.Env, _, params, size, flags, _ uint64) uint64 {
	b := helpers.Mem(env, params, size)
	if len(b) < fibSize || uint32(flags)&^fibFlags != 0 {
		return errno.EINVAL.R0()
	}
	b = b[:fibSize]
	var q FIBLookup
	if !q.decode(b) {
		return errno.EAFNOSUPPORT.R0()
	}
	r, err := host(env).Routes.Lookup(env, &q, uint32(flags))
	if err != nil {
		return helpers.Result(err)
	}
	var out [fibSize]byte
	q.encode(out[:])
	helpers.CopyMem(b, out[:])
	return uint64(int64(r))
}

func (q *FIBLookup) decode(b []byte) (ok bool) {
	*q = FIBLookup{
		Family: b[0], L4Protocol: b[1],
		SrcPort: binary.BigEndian.Uint16(b[2:]), DstPort: binary.BigEndian.Uint16(b[4:]),
		TotLen: binary.NativeEndian.Uint16(b[6:]), Ifindex: binary.NativeEndian.Uint32(b[8:]),
		Table: binary.NativeEndian.Uint32(b[48:]),
	}
	switch q.Family {
	case AFInet:
		q.FlowInfo = uint32(b[12])
		q.Src, q.Dst = netip.AddrFrom4([4]byte(b[16:])), netip.AddrFrom4([4]byte(b[32:]))
	case AFInet6:
		q.FlowInfo = binary.BigEndian.Uint32(b[12:])
		q.Src, q.Dst = netip.AddrFrom16([16]byte(b[16:])), netip.AddrFrom16([16]byte(b[32:]))
	default:
		return false
	}
	return true
}

// encode writes the answers, and what was asked for the rest.
func (q *FIBLookup) encode(b []byte) {
	b[0], b[1] = q.Family, q.L4Protocol
	binary.BigEndian.PutUint16(b[2:], q.SrcPort)
	binary.BigEndian.PutUint16(b[4:], q.DstPort)
	binary.NativeEndian.PutUint16(b[6:], q.TotLen)
	binary.NativeEndian.PutUint32(b[8:], q.Ifindex)
	binary.NativeEndian.PutUint32(b[12:], q.FlowInfo)
	putAddr(b[16:32], q.Src)
	putAddr(b[32:48], q.Dst)
	binary.BigEndian.PutUint16(b[48:], q.VLANProto)
	binary.BigEndian.PutUint16(b[50:], q.VLANTCI)
	copy(b[52:], q.SrcMAC[:])
	copy(b[58:], q.DstMAC[:])
}

// putAddr writes a in network order.
func putAddr(b []byte, a netip.Addr) { copy(b, a.AsSlice()) }

const mtuSegments = 1 << 0 // BPF_MTU_CHK_SEGS

// checkMTU is check_mtu(ctx, ifindex, *mtu, difference, flags): 1 if the packet,
// longer by the difference, is too long for the device. The MTU takes the place
// of the length at mtu, which is the packet's at the network layer if it is not 0.
// No packet here is one of several segments.
func checkMTU(allowed uint64) helpers.Impl {
	return func(env helpers.Env, _, ifindex, to, diff, flags uint64) uint64 {
		b := env.Bytes(to, 4)
		asked := binary.NativeEndian.Uint32(b)
		if flags&^allowed != 0 || flags&mtuSegments != 0 && (int32(diff) != 0 || asked != 0) {
			return errno.EINVAL.R0()
		}
		mtu, ok := host(env).Routes.MTU(env, uint32(ifindex))
		if !ok {
			return errno.ENODEV.R0()
		}
		n := int32(len(env.Packet().Data()))
		if asked != 0 {
			n = int32(asked) + ethHeader
		}
		var w [4]byte
		binary.NativeEndian.PutUint32(w[:], mtu)
		helpers.CopyMem(b, w[:])
		if n+int32(diff) > int32(mtu)+ethHeader {
			return 1 // BPF_MTU_CHK_RET_FRAG_NEEDED
		}
		return 0
	}
}

// Needs of several helpers.
var (
	needsRoutes = need("Routes.Lookup", func(h *Host) bool { return h.Routes.Lookup != nil })
	needsMTU    = need("Routes.MTU", func(h *Host) bool { return h.Routes.MTU != nil })
)

// xdpCheckMTU is check_mtu of XDP packets, which knows no flags.
var xdpCheckMTU = asks(declare("check_mtu", integer, args{ctx, anything, u32InOut, anything, anything}, gpl), needsMTU, checkMTU(0))
