package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// Helpers on maps. Their arguments are checked against the map's own sizes,
// which is why a key or value needs no size argument.

// MapLookupElem is map_lookup_elem(map, key): the address of key's value, or 0;
// of a map of maps, the map; of a map of sockets, a reference to the socket, which
// acquires itself (linux.Socket); of one of XDP sockets, the socket.
var MapLookupElem = (&Func{
	Name: "map_lookup_elem",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapKey}},
		Ret:          Ret{Kind: RetMapValue, Nullable: true},
		PacketAccess: true,
	},
	Impl: func(env Env, handle, key, _, _, _ uint64) uint64 {
		m, k := mapAndKey(env, handle, key)
		if k == nil {
			return 0
		}
		switch m.Spec().Type {
		case maps.ArrayOfMaps, maps.HashOfMaps:
			if h, ok := m.(maps.MapHolder); ok {
				return env.ShareMap(h.InnerMap(k))
			}
			return 0
		case maps.SockMap, maps.SockHash:
			if h, ok := m.(maps.SocketMap); ok {
				if s, ok := h.SocketElem(k).(interface{ Acquire(Env) uint64 }); ok {
					return s.Acquire(env)
				}
			}
			return 0
		case maps.XSKMap:
			if v := m.LookupElem(env.CPU(), k); v != nil {
				return env.ShareObject(v, m)
			}
			return 0
		}
		return env.Share(m.LookupElem(env.CPU(), k))
	},
}).Inlines(InlineMapLookup)

// MapUpdateElem is map_update_elem(map, key, value, flags). The value of a map of
// sockets is a socket.
var MapUpdateElem = (&Func{
	Name: "map_update_elem",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapKey}, {Kind: ArgMapValue}, {Kind: ArgAnything}},
		Ret:          Ret{Min: -maxErrno},
		PacketAccess: true,
	},
	Impl: func(env Env, handle, key, value, flags, _ uint64) uint64 {
		m, k := mapAndKey(env, handle, key)
		if k == nil {
			return errno.EFAULT.R0()
		}
		switch m.Spec().Type {
		case maps.SockMap, maps.SockHash: // the value is a socket
			h, ok1 := m.(maps.SocketMap)
			s, ok2 := env.Object(value).(maps.Socket)
			if !ok1 || !ok2 {
				return errno.EINVAL.R0()
			}
			return Result(h.UpdateSocketElem(k, s, maps.UpdateFlags(flags)))
		}
		v := env.Bytes(value, int(m.Spec().ValueSize))
		if v == nil {
			return errno.EFAULT.R0()
		}
		return Result(m.UpdateElem(env.CPU(), k, v, maps.UpdateFlags(flags)))
	},
}).Inlines(InlineMapUpdate)

// MapDeleteElem is map_delete_elem(map, key).
var MapDeleteElem = (&Func{
	Name: "map_delete_elem",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapKey}},
		Ret:          Ret{Min: -maxErrno},
		PacketAccess: true,
	},
	Impl: func(env Env, handle, key, _, _, _ uint64) uint64 {
		m, k := mapAndKey(env, handle, key)
		if k == nil {
			return errno.EFAULT.R0()
		}
		return Result(m.DeleteElem(env.CPU(), k))
	},
}).Inlines(InlineMapDelete)

// MapLookupPerCPUElem is map_lookup_percpu_elem(map, key, cpu): the address of
// the value that virtual CPU cpu has for key, or 0.
var MapLookupPerCPUElem = (&Func{
	Name: "map_lookup_percpu_elem",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapKey}, {Kind: ArgAnything}},
		Ret:          Ret{Kind: RetMapValue, Nullable: true},
		PacketAccess: true,
	},
	Impl: func(env Env, handle, key, cpu, _, _ uint64) uint64 {
		m, k := mapAndKey(env, handle, key)
		if k == nil || uint64(uint32(cpu)) >= uint64(maps.NumCPU()) {
			return 0
		}
		switch m.Spec().Type {
		case maps.PerCPUArray, maps.PerCPUHash, maps.LRUPerCPUHash:
			return env.Share(m.LookupElem(int(uint32(cpu)), k))
		}
		return 0
	},
}).Inlines(InlinePerCPULookup)

// ForEachMapElem is for_each_map_elem(map, callback, ctx, flags): calls
// callback(map, key, value, ctx) for each element until it returns 1, and
// returns how many elements it was called for.
var ForEachMapElem = &Func{
	Name: "for_each_map_elem",
	Proto: Proto{
		Args:    [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgFunc}, {Kind: ArgStack, Nullable: true}, {Kind: ArgAnything}},
		Control: Callback,
		Body:    [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapKey}, {Kind: ArgMapValue}, {Kind: ArgStack}},
	},
	Impl: func(env Env, handle, fn, ctx, flags, _ uint64) uint64 {
		m, ok := env.Map(handle).(maps.Ranger)
		if !ok || flags != 0 {
			return errno.EINVAL.R0()
		}
		var n uint64
		share := env.Share
		if e, ok := env.(elementSharer); ok {
			share = e.ShareElement
		}
		m.Range(env.CPU(), func(key, value []byte) bool {
			n++
			stop, err := env.Call(fn, handle, share(key), share(value), ctx, 0)
			return err == nil && stop == 0
		})
		return n
	},
}

// An elementSharer is an Env that need not remember every element of a walk, of
// which there can be millions: the program has no use for those that it has left
// behind.
type elementSharer interface {
	// ShareElement is Share of memory that is soon of no use.
	ShareElement(b []byte) uint64
}

// mapAndKey returns the map that handle means and the key at addr; a nil key
// if either is not there.
func mapAndKey(env Env, handle, addr uint64) (maps.Map, []byte) {
	m := env.Map(handle)
	if m == nil {
		return nil, nil
	}
	return m, env.Bytes(addr, int(m.Spec().KeySize))
}
