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
var xdpRedirectMap = (&helpers.Func{
	Name: "redirect_map",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Max: xdpRedirect},
	},
	Impl: func(env helpers.Env, handle, key, flags, _, _ uint64) uint64 {
		m := env.Map(handle)
		if t, ok := m.(maps.TargetMap); ok {
			return redirectTo(env, m, t, redirectFlags(m), uint32(key), flags)
		}
		return 0 // XDP_ABORTED
	},
}).Binds(func(m maps.Map) helpers.Impl {
	t, ok := m.(maps.TargetMap)
	if !ok {
		return nil
	}
	allowed := redirectFlags(m)
	return func(env helpers.Env, _, key, flags, _, _ uint64) uint64 {
		return redirectTo(env, m, t, allowed, uint32(key), flags)
	}
})

// redirectFlags returns the flags that redirect_map takes with m.
func redirectFlags(m maps.Map) uint64 {
	switch m.Spec().Type {
	case maps.DevMap, maps.DevMapHash:
		return actionMask | broadcast | excludeIngress
	}
	return actionMask
}

// redirectTo is redirect_map to m, which is t, too.
func redirectTo(env helpers.Env, m maps.Map, t maps.TargetMap, allowed uint64, key uint32, flags uint64) uint64 {
	s, ok := env.State().(*State)
	if !ok || flags&^allowed != 0 {
		return 0
	}
	r := &s.Redirect
	if flags&broadcast != 0 {
		*r = Redirect{Kind: RedirectMap, Map: m, Index: key, Flags: flags &^ actionMask}
		return xdpRedirect
	}
	target := t.Target(key)
	if target == nil {
		*r = Redirect{}
		return flags & actionMask
	}
	*r = Redirect{Kind: RedirectMap, Map: m, Index: key, Target: target}
	return xdpRedirect
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
