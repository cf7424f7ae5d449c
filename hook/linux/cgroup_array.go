package linux

import (
	"slices"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// Helpers on arrays of cgroups.

// skbUnderCgroup is skb_under_cgroup(skb, map, index): whether the packet's socket
// belongs to the cgroup, or to one below (net/core/filter.c). ENOENT: it has none.
func skbUnderCgroup(env helpers.Env, _, handle, index, _, _ uint64) uint64 {
	s := ofSkb(env, 0)
	if s == nil {
		return errno.ENOENT.R0()
	}
	i := s.Info()
	if i.Mini {
		return errno.ENOENT.R0()
	}
	return underCgroup(env, handle, index, func() []uint64 { return i.Cgroups })
}

// currentTaskUnderCgroup is current_task_under_cgroup(map, index): whether the
// task belongs to the cgroup, or to one below (kernel/trace/bpf_trace.c).
func currentTaskUnderCgroup(env helpers.Env, handle, index, _, _, _ uint64) uint64 {
	return underCgroup(env, handle, index, func() []uint64 { return host(env).Task.Cgroups(env) })
}

// underCgroup returns 1 if the way to a cgroup leads through the one at index of
// the map that handle means. EAGAIN: there is none.
func underCgroup(env helpers.Env, handle, index uint64, way func() []uint64) uint64 {
	m, ok := env.Map(handle).(maps.CgroupMap)
	if !ok {
		return errno.EINVAL.R0()
	}
	id, err := m.Cgroup(uint32(index))
	switch {
	case err != nil:
		return helpers.Result(err)
	case id == 0:
		return errno.EAGAIN.R0()
	case slices.Contains(way(), id):
		return 1
	}
	return 0
}
