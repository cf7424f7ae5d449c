package linux

import (
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
)

// State is what the helpers of one run leave for the host: the outcomes that
// the return value alone does not tell. Types with packets make one per run
// (hook.Type.NewState).
type State struct {
	// Redirect says where the packet is to go. It has a meaning if the
	// program returned XDP_REDIRECT or TC_ACT_REDIRECT.
	Redirect Redirect

	// network is how far the network header has moved from the place behind
	// the Ethernet header.
	network int
}

// Reset implements hook.State.
func (s *State) Reset() { *s = State{} }

func newState() hook.State { return &State{} }

// A Redirect is the target that the last call of redirect, redirect_peer,
// redirect_neigh or redirect_map named.
type Redirect struct {
	Kind  RedirectKind
	Index uint32 // RedirectIfindex, RedirectPeer, RedirectNeigh: a device; RedirectMap: a key of Map
	Map   maps.Map
	Flags uint64
}

// A RedirectKind is the helper that a Redirect comes from.
type RedirectKind uint8

const (
	RedirectNone    RedirectKind = iota
	RedirectIfindex              // redirect
	RedirectPeer                 // redirect_peer
	RedirectNeigh                // redirect_neigh
	RedirectMap                  // redirect_map
)
