package linux

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/maps"
)

// A Redirect is the target that the last call of redirect, redirect_peer,
// redirect_neigh, redirect_map, or of one of those to a socket, named.
type Redirect struct {
	Kind  RedirectKind
	Index uint32 // RedirectIfindex, RedirectPeer, RedirectNeigh: a device; RedirectMap: a key of Map
	Map   maps.Map
	// Target is Map's entry at Index when the program looked, nil with
	// BPF_F_BROADCAST.
	Target *maps.Target
	Socket *Socket // RedirectSocket
	Flags  uint64  // BPF_F_INGRESS (1); RedirectMap: BPF_F_BROADCAST (8), BPF_F_EXCLUDE_INGRESS (16)
}

// A RedirectKind is the helper that a Redirect comes from.
type RedirectKind uint8

const (
	RedirectNone    RedirectKind = iota
	RedirectIfindex              // redirect
	RedirectPeer                 // redirect_peer
	RedirectNeigh                // redirect_neigh
	RedirectMap                  // redirect_map
	RedirectSocket               // sk_redirect_map, sk_redirect_hash, msg_redirect_map, msg_redirect_hash
)

// A Clone is a copy of the packet that went its own way (clone_redirect).
type Clone struct {
	Redirect
	Packet []byte
}

// Targets returns the entries of Map that the packet goes to; none if r is not
// of RedirectMap. ingress is the number of the device that the packet came from:
// BPF_F_EXCLUDE_INGRESS leaves out entries for it.
func (r *Redirect) Targets(ingress uint32) []*maps.Target {
	if r.Kind != RedirectMap {
		return nil
	}
	if r.Flags&broadcast == 0 {
		if r.Target == nil {
			return nil
		}
		return []*maps.Target{r.Target}
	}
	m, ok := r.Map.(maps.TargetMap)
	if !ok {
		return nil
	}
	var all []*maps.Target
	m.Targets(func(_ uint32, t *maps.Target) bool {
		if r.Flags&excludeIngress == 0 || t.Index != ingress {
			all = append(all, t)
		}
		return true
	})
	return all
}

// A Receiver takes packets that programs send somewhere: a network device, the
// queue of a CPU, a socket. It must not keep packet.
type Receiver interface {
	Receive(packet []byte) error
}

// Devices are a host's network devices, by number. Maps of devices know them by
// Resolve (maps.TargetMap).
type Devices map[uint32]Receiver

// Resolve returns device index, for maps.TargetMap.Resolve.
func (d Devices) Resolve(index uint32) (to any, ok bool) {
	to, ok = d[index]
	return to, ok
}

// ErrNowhere is the error of Deliver if nothing takes the packet.
var ErrNowhere = errors.New("the packet has nowhere to go")

// Deliver gives packet to each Receiver that r names: devices of d, what an entry
// of a map has as its To, or device Index of d if that is nil, and what a socket
// has as its Host. It returns how many took it, and the errors of those that did
// not. ingress is the number of the device that the packet came from. Programs of
// map entries are left to the caller (maps.Target.Program).
func (d Devices) Deliver(r *Redirect, ingress uint32, packet []byte) (n int, err error) {
	var errs []error
	give := func(to any, name string, index uint32) {
		receiver, ok := to.(Receiver)
		err := ErrNowhere
		if ok {
			err = receiver.Receive(packet)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %d: %w", name, index, err))
			return
		}
		n++
	}
	switch r.Kind {
	case RedirectIfindex, RedirectPeer, RedirectNeigh:
		give(d[r.Index], "device", r.Index)
	case RedirectMap:
		devices := r.Map.Spec().Type == maps.DevMap || r.Map.Spec().Type == maps.DevMapHash
		for _, t := range r.Targets(ingress) {
			to := t.To
			if to == nil && devices {
				to = d[t.Index]
			}
			give(to, r.Map.Spec().Type.String()+" entry for", t.Index)
		}
	case RedirectSocket:
		give(r.Socket.Host, "socket with cookie", uint32(r.Socket.Info().Cookie))
	}
	if n == 0 && errs == nil {
		return 0, ErrNowhere
	}
	return n, errors.Join(errs...)
}
