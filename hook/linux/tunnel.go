package linux

import (
	"encoding/binary"
	"net/netip"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// A Tunnel is what goes with a packet from or to a tunnel device. State.Tunnel
// has it: of a packet that came in before the run, and of one that is to leave
// afterwards, if a program set it.
type Tunnel struct {
	ID       uint32
	Src, Dst netip.Addr // of the outer header
	TOS, TTL uint8
	Label    uint32 // of IPv6
	Flags    uint16 // TUNNEL_*: TunnelKey and so on
	Options  []byte // of Geneve, VXLAN and the like
	set      bool   // by the program
}

// Flags of a Tunnel (include/uapi/linux/if_tunnel.h).
const (
	TunnelCsum         = 0x0001
	TunnelKey          = 0x0004
	TunnelSeq          = 0x0008
	TunnelDontFragment = 0x0100
	TunnelNoCache      = 0x2000
	tunnelOptions      = 0x0800 | 0x1000 | 0x4000 | 0x8000 // Geneve, VXLAN, ERSPAN, GTP
)

// Sizes of struct bpf_tunnel_key, now and before.
const tunnelSize = 44

// Flags of skb_set_tunnel_key and skb_get_tunnel_key.
const (
	tunIPv6         = 1 << 0
	tunZeroCsum     = 1 << 1
	tunDontFragment = 1 << 2
	tunSeqNumber    = 1 << 3
	tunFlags        = 1 << 4 // skb_get_tunnel_key
	tunNoKey        = 1 << 4 // skb_set_tunnel_key
)

// shorter reports whether struct bpf_tunnel_key once had n bytes.
func shorter(n int) bool { return n == 28 || n == 24 || n == 22 || n == 8 }

// skbSetTunnelKey is skb_set_tunnel_key(ctx, key, size, flags).
func skbSetTunnelKey(env helpers.Env, _, from, size, flags, _ uint64) uint64 {
	given := helpers.Mem(env, from, size)
	if flags&^(tunIPv6|tunZeroCsum|tunDontFragment|tunSeqNumber|tunNoKey) != 0 || len(given) != tunnelSize && !shorter(len(given)) {
		return errno.EINVAL.R0()
	}
	var k [tunnelSize]byte
	copy(k[:], given)
	label := binary.NativeEndian.Uint32(k[24:])
	if flags&tunIPv6 == 0 && label != 0 || binary.NativeEndian.Uint16(k[22:]) != 0 {
		return errno.EINVAL.R0()
	}
	t := &Tunnel{ID: binary.NativeEndian.Uint32(k[:]), TOS: k[20], TTL: k[21], Flags: TunnelKey | TunnelCsum | TunnelNoCache, set: true}
	for flag, bits := range map[uint64][2]uint16{tunDontFragment: {TunnelDontFragment}, tunSeqNumber: {TunnelSeq}, tunZeroCsum: {0, TunnelCsum}, tunNoKey: {0, TunnelKey}} {
		if flags&flag != 0 {
			t.Flags = t.Flags&^bits[1] | bits[0]
		}
	}
	if flags&tunIPv6 != 0 {
		t.Dst, t.Src = netip.AddrFrom16([16]byte(k[4:])), netip.AddrFrom16([16]byte(k[28:]))
		t.Label = label & (1<<20 - 1)
	} else {
		t.Dst, t.Src = hostOrder(k[4:]), hostOrder(k[28:])
	}
	stateOf(env).Tunnel = t
	return 0
}

// hostOrder returns the IPv4 address of which b has the number.
func hostOrder(b []byte) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], binary.NativeEndian.Uint32(b))
	return netip.AddrFrom4(a)
}

// putHostOrder writes the number of a, an IPv4 address.
func putHostOrder(b []byte, a netip.Addr) {
	if a.Is4() {
		ip := a.As4()
		binary.NativeEndian.PutUint32(b, binary.BigEndian.Uint32(ip[:]))
	}
}

// skbGetTunnelKey is skb_get_tunnel_key(ctx, key, size, flags): remote is where
// the packet comes from.
func skbGetTunnelKey(env helpers.Env, _, to, size, flags, _ uint64) uint64 {
	dst := helpers.Mem(env, to, size)
	fail := func(e errno.Errno) uint64 {
		helpers.ClearMem(dst)
		return e.R0()
	}
	t := stateOf(env).Tunnel
	if t == nil || flags&^(tunIPv6|tunFlags) != 0 {
		return fail(errno.EINVAL)
	}
	ipv6 := t.Dst.Is6() || t.Src.Is6()
	switch {
	case ipv6 != (flags&tunIPv6 != 0):
		return fail(errno.EPROTO)
	case len(dst) != tunnelSize && (!shorter(len(dst)) || len(dst) == 8 && ipv6):
		return fail(errno.EINVAL)
	}
	var k [tunnelSize]byte
	binary.NativeEndian.PutUint32(k[:], t.ID)
	k[20], k[21] = t.TOS, t.TTL
	if flags&tunFlags != 0 {
		binary.BigEndian.PutUint16(k[22:], t.Flags)
	}
	if ipv6 {
		putAddr(k[4:20], t.Src)
		putAddr(k[28:44], t.Dst)
		binary.NativeEndian.PutUint32(k[24:], t.Label)
	} else {
		putHostOrder(k[4:], t.Src)
		putHostOrder(k[28:], t.Dst)
	}
	helpers.CopyMem(dst, k[:len(dst)])
	return 0
}

// skbSetTunnelOpt is skb_set_tunnel_opt(ctx, options, size), after
// skb_set_tunnel_key.
func skbSetTunnelOpt(env helpers.Env, _, from, size, _, _ uint64) uint64 {
	const most = 255
	t := stateOf(env).Tunnel
	switch {
	case t == nil || !t.set || size%4 != 0:
		return errno.EINVAL.R0()
	case size > most:
		return errno.ENOMEM.R0()
	}
	t.Options = append(t.Options[:0:0], helpers.Mem(env, from, size)...)
	t.Flags |= tunnelOptions
	return 0
}

// skbGetTunnelOpt is skb_get_tunnel_opt(ctx, options, size).
func skbGetTunnelOpt(env helpers.Env, _, to, size, _, _ uint64) uint64 {
	dst := helpers.Mem(env, to, size)
	t := stateOf(env).Tunnel
	helpers.ClearMem(dst)
	switch {
	case t == nil || len(t.Options) == 0 && t.Flags&tunnelOptions == 0:
		return errno.ENOENT.R0()
	case len(dst) < len(t.Options):
		return errno.ENOMEM.R0()
	}
	helpers.CopyMem(dst[:len(t.Options)], t.Options)
	return uint64(len(t.Options))
}

// A Xfrm is a transformation that a packet came through (IPsec).
type Xfrm struct {
	ReqID  uint32
	SPI    uint32
	Remote netip.Addr
}

const xfrmSize = 28

// skbGetXfrmState is skb_get_xfrm_state(ctx, index, *state, size, flags).
func skbGetXfrmState(env helpers.Env, _, index, to, size, flags uint64) uint64 {
	dst := helpers.Mem(env, to, size)
	way := stateOf(env).Xfrm
	if i := uint32(index); uint64(i) < uint64(len(way)) && flags == 0 && len(dst) == xfrmSize {
		var b [xfrmSize]byte
		x := way[i]
		binary.NativeEndian.PutUint32(b[:], x.ReqID)
		binary.BigEndian.PutUint32(b[4:], x.SPI)
		family := uint16(AFInet)
		if x.Remote.Is6() {
			family = AFInet6
		}
		binary.NativeEndian.PutUint16(b[8:], family)
		putAddr(b[12:], x.Remote)
		helpers.CopyMem(dst, b[:])
		return 0
	}
	helpers.ClearMem(dst)
	return errno.EINVAL.R0()
}
