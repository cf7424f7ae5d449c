package linux

import "github.com/skepvm/skep/hook"

// State is what the helpers of one run leave for the host: the outcomes that
// the return value alone does not tell. Types with packets make one per run
// (hook.Type.NewState).
type State struct {
	// Redirect says where the packet is to go. It has a meaning if the
	// program returned XDP_REDIRECT or TC_ACT_REDIRECT, or, of data for a
	// socket, SK_PASS.
	Redirect Redirect
	// Selected is the socket that sk_select_reuseport chose.
	Selected *Socket
	// Clones are the copies that clone_redirect sent, in order.
	Clones []Clone

	// Probe is what a run of a tracing program was given, and what it asks for.
	Probe Probe

	// Socket is the socket that the run is about, where the context does not
	// point to it: of a packet, or one that a cgroup program judges.
	Socket *Socket
	// Assigned is the socket that sk_assign chose, and NoReuseport that it
	// takes the packet itself, not another of its group. sk_assign on packets
	// works if they come in at a device: Ingress.
	Assigned    *Socket
	NoReuseport bool
	Ingress     bool

	Tunnel *Tunnel // of the packet; nil: none
	Xfrm   []Xfrm  // that the packet came through, in order
	Realm  uint32  // of the packet's route (get_route_realm)

	// Syn is the header of a connection's request, if it was kept, HeaderRoom how
	// many bytes of options the next header has room for: of sock_ops programs.
	Syn        []byte
	HeaderRoom uint32

	Message Message // of sk_msg programs
	Sysctl  Sysctl  // of cgroup_sysctl programs
	Retval  int32   // get_retval and set_retval: what the system call returns

	hasHeader bool // the packet of a sock_ops program is a TCP header

	hashed bool // set_hash gave the packet its hash, be it 0

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
