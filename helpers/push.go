package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// Helpers on maps whose values have no keys: queues, stacks, bloom filters.

// MapPushElem is map_push_elem(map, value, flags): 0, or -E2BIG if the map is
// full and flags is not BPF_EXIST, which drops the oldest value.
var MapPushElem = &Func{
	Name: "map_push_elem",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapValue}, {Kind: ArgAnything}},
		Ret:          Ret{Min: -maxErrno},
		PacketAccess: true,
	},
	Impl: func(env Env, handle, value, flags, _, _ uint64) uint64 {
		m, v := pusherAndValue(env, handle, value)
		if v == nil {
			return errno.EINVAL.R0()
		}
		return Result(m.PushElem(v, maps.UpdateFlags(flags)))
	},
}

// MapPopElem is map_pop_elem(map, value): moves the next value out, or returns
// -ENOENT and clears value.
var MapPopElem = &Func{
	Name: "map_pop_elem",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapValue, Write: true, Uninit: true}},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, handle, value, _, _, _ uint64) uint64 {
		m, v := pusherAndValue(env, handle, value)
		if v == nil {
			return errno.EINVAL.R0()
		}
		return Result(m.PopElem(v))
	},
}

// MapPeekElem is map_peek_elem(map, value): copies the next value. A bloom
// filter reads value, which must be initialised then, and returns -ENOENT if it
// does not hold it.
var MapPeekElem = &Func{
	Name: "map_peek_elem",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMapValue, Write: true, Uninit: true}},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, handle, value, _, _, _ uint64) uint64 {
		m, v := pusherAndValue(env, handle, value)
		if v == nil {
			return errno.EINVAL.R0()
		}
		return Result(m.PeekElem(v))
	},
}

// pusherAndValue returns the map that handle means and the value at addr; a nil
// value if either is not there.
func pusherAndValue(env Env, handle, addr uint64) (maps.Pusher, []byte) {
	m := env.Map(handle)
	p, ok := m.(maps.Pusher)
	if !ok {
		return nil, nil
	}
	return p, env.Bytes(addr, int(m.Spec().ValueSize))
}
