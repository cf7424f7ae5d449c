package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// Helpers that send a packet elsewhere. They record where in State; the host
// does it.

const (
	tcShot      = 2 // TC_ACT_SHOT
	tcRedirect  = 7 // TC_ACT_REDIRECT
	xdpRedirect = 4 // XDP_REDIRECT
)

// Flags of redirect and redirect_map.
const (
	redirectIngress = 1 << 0 // redirect
	actionMask      = 3      // redirect_map: what to return if the key is not in the map
	broadcast       = 1 << 3 // devmap
	excludeIngress  = 1 << 4 // devmap
)

// record stores r in the run's state.
func record(env helpers.Env, r Redirect) {
	if s, ok := env.State().(*State); ok {
		s.Redirect = r
	}
}

var skbRedirect = &helpers.Func{
	Name: "redirect",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Min: tcShot, Max: tcRedirect},
	},
	Impl: func(env helpers.Env, ifindex, flags, _, _, _ uint64) uint64 {
		if flags&^redirectIngress != 0 {
			return tcShot
		}
		record(env, Redirect{Kind: RedirectIfindex, Index: uint32(ifindex), Flags: flags})
		return tcRedirect
	},
}

var skbRedirectPeer = &helpers.Func{
	Name: "redirect_peer",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Min: tcShot, Max: tcRedirect},
	},
	Impl: func(env helpers.Env, ifindex, flags, _, _, _ uint64) uint64 {
		if flags != 0 {
			return tcShot
		}
		record(env, Redirect{Kind: RedirectPeer, Index: uint32(ifindex)})
		return tcRedirect
	},
}

// redirNeighSize is the size of struct bpf_redir_neigh.
const redirNeighSize = 20

var skbRedirectNeigh = &helpers.Func{
	Name: "redirect_neigh",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem, Nullable: true}, {Kind: helpers.ArgSizeOrZero}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Min: tcShot, Max: tcRedirect},
	},
	Impl: func(env helpers.Env, ifindex, _, size, flags, _ uint64) uint64 {
		if size != 0 && size < redirNeighSize || flags != 0 {
			return tcShot
		}
		record(env, Redirect{Kind: RedirectNeigh, Index: uint32(ifindex)})
		return tcRedirect
	},
}

var xdpRedirectTo = &helpers.Func{
	Name: "redirect",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Max: xdpRedirect},
	},
	Impl: func(env helpers.Env, ifindex, flags, _, _, _ uint64) uint64 {
		if flags != 0 {
			return 0 // XDP_ABORTED
		}
		record(env, Redirect{Kind: RedirectIfindex, Index: uint32(ifindex)})
		return xdpRedirect
	},
}

var xdpRedirectMap = &helpers.Func{
	Name: "redirect_map",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Max: xdpRedirect},
	},
	Impl: func(env helpers.Env, handle, key, flags, _, _ uint64) uint64 {
		m := env.Map(handle)
		if m == nil {
			return 0
		}
		allowed := uint64(actionMask)
		switch m.Spec().Type {
		case maps.DevMap, maps.DevMapHash:
			allowed |= broadcast | excludeIngress
		case maps.CPUMap, maps.XSKMap:
		default:
			return 0
		}
		if flags&^allowed != 0 {
			return 0
		}
		var k [4]byte
		binary.NativeEndian.PutUint32(k[:], uint32(key))
		if flags&broadcast == 0 && m.LookupElem(env.CPU(), k[:]) == nil {
			record(env, Redirect{})
			return flags & actionMask
		}
		record(env, Redirect{Kind: RedirectMap, Map: m, Index: uint32(key), Flags: flags &^ actionMask})
		return xdpRedirect
	},
}
