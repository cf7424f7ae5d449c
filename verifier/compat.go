package verifier

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// Which maps a helper works on (kernel, check_map_func_compatibility, which
// asks from both sides). Maps of the types in plainMaps hold plain values; the
// other types are for the helpers that list them, and for helpers that Linux
// does not have.

var plainMaps = []maps.Type{
	maps.Hash, maps.Array, maps.PerCPUHash, maps.PerCPUArray, maps.LRUHash, maps.LRUPerCPUHash, maps.LPMTrie,
}

var helperMaps = map[string][]maps.Type{
	"map_lookup_elem": append(slices.Clone(plainMaps),
		maps.ArrayOfMaps, maps.HashOfMaps, maps.DevMap, maps.DevMapHash, maps.XSKMap, maps.SockMap, maps.SockHash),
	"map_update_elem":           append(slices.Clone(plainMaps), maps.SockMap, maps.SockHash),
	"map_delete_elem":           append(slices.Clone(plainMaps), maps.SockMap, maps.SockHash),
	"map_push_elem":             {maps.Queue, maps.Stack, maps.BloomFilter},
	"map_pop_elem":              {maps.Queue, maps.Stack},
	"map_peek_elem":             {maps.Queue, maps.Stack, maps.BloomFilter},
	"map_lookup_percpu_elem":    {maps.PerCPUArray, maps.PerCPUHash, maps.LRUPerCPUHash},
	"for_each_map_elem":         {maps.Array, maps.Hash, maps.PerCPUArray, maps.PerCPUHash, maps.LRUHash, maps.LRUPerCPUHash},
	"tail_call":                 {maps.ProgArray},
	"perf_event_output":         {maps.PerfEventArray},
	"perf_event_read":           {maps.PerfEventArray},
	"perf_event_read_value":     {maps.PerfEventArray},
	"skb_output":                {maps.PerfEventArray},
	"xdp_output":                {maps.PerfEventArray},
	"get_stackid":               {maps.StackTrace},
	"skb_under_cgroup":          {maps.CgroupArray},
	"current_task_under_cgroup": {maps.CgroupArray},
	"get_local_storage":         {maps.CgroupStorage, maps.PerCPUCgroupStorage},
	"redirect_map":              {maps.DevMap, maps.DevMapHash, maps.CPUMap, maps.XSKMap},
	"sk_redirect_map":           {maps.SockMap},
	"msg_redirect_map":          {maps.SockMap},
	"sock_map_update":           {maps.SockMap},
	"sk_redirect_hash":          {maps.SockHash},
	"msg_redirect_hash":         {maps.SockHash},
	"sock_hash_update":          {maps.SockHash},
	"sk_select_reuseport":       {maps.ReuseportSockArray, maps.SockMap, maps.SockHash},
	"sk_storage_get":            {maps.SKStorage},
	"sk_storage_delete":         {maps.SKStorage},
	"inode_storage_get":         {maps.InodeStorage},
	"inode_storage_delete":      {maps.InodeStorage},
	"task_storage_get":          {maps.TaskStorage},
	"task_storage_delete":       {maps.TaskStorage},
	"cgrp_storage_get":          {maps.CgrpStorage},
	"cgrp_storage_delete":       {maps.CgrpStorage},
	"ringbuf_output":            {maps.RingBuf},
	"ringbuf_reserve":           {maps.RingBuf},
	"ringbuf_query":             {maps.RingBuf},
	"ringbuf_reserve_dynptr":    {maps.RingBuf},
	"user_ringbuf_drain":        {maps.UserRingBuf},
}

// mapWriters are the helpers that change a map's contents.
var mapWriters = []string{"map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem"}

// mapMatches checks that the map numbered index, argument i, and f belong
// together.
func (m *machine) mapMatches(f *helpers.Func, i int, index int32) error {
	spec := m.sv.spec(index)
	if types, ok := helperMaps[f.Name]; ok && !slices.Contains(types, spec.Type) {
		return m.badArgument(i, "%s does not work on map %s of type %d", f.Name, spec.Name, spec.Type)
	}
	if isSockets(spec) && !m.changesSockets(f) {
		return m.badArgument(i, "%s: %s programs may not change map %s of sockets", f.Name, m.sv.p.Type.Name, spec.Name)
	}
	if slices.Contains(mapWriters, f.Name) && spec.Flags&maps.ReadOnlyProg != 0 {
		return m.fail(ReadOnly, "map %s may not be written by programs", spec.Name)
	}
	return nil
}

// isSockets reports whether programs get references to sockets from the map that
// spec describes, and store sockets in it.
func isSockets(spec *maps.Spec) bool { return spec.Type == maps.SockMap || spec.Type == maps.SockHash }

// socketWriters are the types of programs that may change maps of sockets: in the
// others the socket may be locked (kernel, may_update_sockmap).
var socketWriters = []string{
	"socket_filter", "sched_cls", "sched_act", "xdp", "sk_reuseport", "flow_dissector", "sk_lookup",
}

// changesSockets reports whether the program may call f with a map of sockets.
func (m *machine) changesSockets(f *helpers.Func) bool {
	t := m.sv.p.Type
	switch f.Name {
	case "map_update_elem":
		return slices.Contains(socketWriters, t.Name) || t.Attach == "trace_iter"
	case "map_delete_elem":
		return slices.Contains(socketWriters, t.Name) || t.Attach == "trace_iter" || t.Name == "sock_ops"
	}
	return true
}
