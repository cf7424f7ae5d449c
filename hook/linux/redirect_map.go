package linux

import (
	"bytes"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// xdpRedirectMap is redirect_map(map, key, flags): XDP_REDIRECT, or, if there is
// no entry at key, the action in the lower bits of flags
// (__bpf_xdp_redirect_map, include/linux/filter.h).
var xdpRedirectMap = &helpers.Func{
	Name: "redirect_map",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Max: xdpRedirect},
	},
	Impl: func(env helpers.Env, handle, key, flags, _, _ uint64) uint64 {
		m, ok := env.Map(handle).(maps.TargetMap)
		if !ok {
			return 0 // XDP_ABORTED
		}
		allowed := uint64(actionMask)
		typ := env.Map(handle).Spec().Type
		if typ == maps.DevMap || typ == maps.DevMapHash {
			allowed |= broadcast | excludeIngress
		}
		if flags&^allowed != 0 {
			return 0
		}
		r := Redirect{Kind: RedirectMap, Map: env.Map(handle), Index: uint32(key)}
		if flags&broadcast != 0 {
			r.Flags = flags &^ actionMask
		} else if r.Target = m.Target(uint32(key)); r.Target == nil {
			record(env, Redirect{})
			return flags & actionMask
		}
		record(env, r)
		return xdpRedirect
	},
}

// maxClones bounds what one run can make its host keep.
const maxClones = 256

// cloneRedirect is clone_redirect(skb, ifindex, flags): sends a copy of the packet
// as it is now. Whether there is such a device, the host finds out.
var cloneRedirect = &helpers.Func{
	Name: "clone_redirect",
	Proto: helpers.Proto{
		Args:          [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:           helpers.Ret{},
		ChangesPacket: true,
	},
	Impl: func(env helpers.Env, _, ifindex, flags, _, _ uint64) uint64 {
		s, ok := env.State().(*State)
		if !ok || flags&^redirectIngress != 0 || int32(ifindex) <= 0 {
			return errno.EINVAL.R0()
		}
		if len(s.Clones) >= maxClones {
			return errno.ENOMEM.R0() // as if there were no memory for another
		}
		s.Clones = append(s.Clones, Clone{
			Redirect: Redirect{Kind: RedirectIfindex, Index: uint32(ifindex), Flags: flags},
			Packet:   bytes.Clone(env.Packet().Data()),
		})
		return 0
	},
}
