package linux

import "github.com/skepvm/skep/helpers"

// Helpers that send a packet elsewhere. They record where in State; the host
// does it.

const (
	tcShot      = 2 // TC_ACT_SHOT
	tcRedirect  = 7 // TC_ACT_REDIRECT
	xdpRedirect = 4 // XDP_REDIRECT
)

// Flags of redirect and redirect_map.
const (
	redirectIngress = 1 << 0 // redirect, clone_redirect, and those to sockets
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
