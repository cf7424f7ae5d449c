package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Dynptrs of packets. Packets here are in one piece.

// skbView is the packet of an skb (__bpf_skb_load_bytes, __bpf_skb_store_bytes).
type skbView struct{}

func (skbView) Size(env helpers.Env) int { return len(env.Packet().Data()) }

func (skbView) Load(env helpers.Env, off uint32, dst []byte) uint64 {
	return loadBytes(dst, env.Packet().Data(), uint64(off))
}

func (skbView) Store(env helpers.Env, off uint32, src []byte, flags uint64) uint64 {
	return storeBytes(env, uint64(off), src, flags)
}

func (skbView) Slice(env helpers.Env, off, n uint32) []byte {
	return pieceOf(env.Packet().Data(), off, n)
}

// pieceOf returns the n bytes of data at off, or nil.
func pieceOf(data []byte, off, n uint32) []byte {
	end := uint64(off) + uint64(n)
	if end > uint64(len(data)) {
		return nil
	}
	return data[off:end:end]
}

// xdpView is the packet of an xdp_buff (__bpf_xdp_load_bytes,
// __bpf_xdp_store_bytes).
type xdpView struct{}

func (xdpView) Size(env helpers.Env) int { return len(env.Packet().Data()) }

func (v xdpView) Load(env helpers.Env, off uint32, dst []byte) uint64 {
	b, e := v.piece(env, off, uint32(len(dst)))
	if e != 0 {
		return e.R0()
	}
	helpers.CopyMem(dst, b)
	return 0
}

func (v xdpView) Store(env helpers.Env, off uint32, src []byte, flags uint64) uint64 {
	if flags != 0 {
		return errno.EINVAL.R0()
	}
	b, e := v.piece(env, off, uint32(len(src)))
	if e != 0 {
		return e.R0()
	}
	helpers.CopyMem(b, src)
	return 0
}

func (v xdpView) Slice(env helpers.Env, off, n uint32) []byte {
	b, _ := v.piece(env, off, n)
	return b
}

// piece is bpf_xdp_pointer.
func (xdpView) piece(env helpers.Env, off, n uint32) ([]byte, errno.Errno) {
	if off > 0xffff || n > 0xffff {
		return nil, errno.EFAULT
	}
	b := pieceOf(env.Packet().Data(), off, n)
	if b == nil {
		return nil, errno.EINVAL
	}
	return b, 0
}

// Programs that may not write to the packet get dynptrs that cannot, either.
var (
	dynptrFromSkb       = helpers.DynptrFromPacket("bpf_dynptr_from_skb", "skb", skbView{}, false)
	dynptrFromSkbRdonly = helpers.DynptrFromPacket("bpf_dynptr_from_skb", "skb", skbView{}, true)
	dynptrFromXDP       = helpers.DynptrFromPacket("bpf_dynptr_from_xdp", "xdp", xdpView{}, false)
)
