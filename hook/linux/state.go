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

	mac     int // offset of the Ethernet header at the start: 0, or -14 if the packet has none
	network int // how far the network header has moved

	macLen int // the length of the link header as it was last taken down; 0: not yet

	// Offset of the transport header, once an outer header was put before it.
	transport int

	encapsulated bool // skb_adjust_room made room for an outer header
	checked      int  // checksums known to be right: see csum_level
}

// Reset implements hook.State.
func (s *State) Reset() { *s = State{mac: s.mac} }

// newState is for packets that begin with an Ethernet header, newNetworkState
// for those that begin at the network header.
func newState() hook.State        { return &State{} }
func newNetworkState() hook.State { return &State{mac: -ethHeader} }

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
