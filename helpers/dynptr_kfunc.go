package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// The kfuncs on dynptrs (kernel/bpf/helpers.c, common_btf_ids).

// sliceArgs are those of slices: the buffer, which may be 0, is for memory that
// is not in one piece, which here is none.
func sliceArgs() [5]Arg {
	return [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgMem, Nullable: true, Write: true}, {Kind: ArgConstAllocSize}}
}

// DynptrSlice is bpf_dynptr_slice(ptr, offset, buffer, size): the address of
// size bytes to read, or 0.
var DynptrSlice = slice("bpf_dynptr_slice", false)

// DynptrSliceRdwr is bpf_dynptr_slice_rdwr(ptr, offset, buffer, size): the
// address of size bytes to read and write, or 0. Programs may call it that may
// write to packets.
var DynptrSliceRdwr = slice("bpf_dynptr_slice_rdwr", true)

func slice(name string, write bool) *Func {
	f := &Func{Name: name, Proto: Proto{Args: sliceArgs(), Ret: Ret{Kind: RetMem, Nullable: true, ReadOnly: !write}}}
	return f.WithMem(func(mem MemFunc) Impl {
		return func(env Env, at, off, _, size, _ uint64) uint64 {
			return addrOf(env.Dynptrs().find(at).slice(env, mem, uint32(off), uint32(size), write))
		}
	})
}

// addrOf returns the address of b, which is the run's already, or 0 if there is
// nothing in it.
func addrOf(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return mem.Addr(b)
}

// DynptrAdjust is bpf_dynptr_adjust(ptr, start, end): the dynptr becomes one of
// its bytes from start to before end.
var DynptrAdjust = &Func{
	Name:  "bpf_dynptr_adjust",
	Proto: Proto{Args: [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgAnything}}, Ret: IntRet},
	Impl: func(env Env, at, start, end, _, _ uint64) uint64 {
		p := env.Dynptrs().find(at)
		from, to := uint32(start), uint32(end)
		switch {
		case p == nil || from > to:
			return Int(errno.EINVAL)
		case from > p.size || to > p.size:
			return Int(errno.ERANGE)
		}
		p.off += from
		p.size = to - from
		return 0
	},
}

var boolRet = Ret{Max: 1}

// DynptrIsNull is bpf_dynptr_is_null(ptr).
var DynptrIsNull = &Func{
	Name:  "bpf_dynptr_is_null",
	Proto: Proto{Args: [5]Arg{dynptrArg("any")}, Ret: boolRet},
	Impl: func(env Env, at, _, _, _, _ uint64) uint64 {
		if env.Dynptrs().find(at) == nil {
			return 1
		}
		return 0
	},
}

// DynptrIsRdonly is bpf_dynptr_is_rdonly(ptr).
var DynptrIsRdonly = &Func{
	Name:  "bpf_dynptr_is_rdonly",
	Proto: Proto{Args: [5]Arg{dynptrArg("any")}, Ret: boolRet},
	Impl: func(env Env, at, _, _, _, _ uint64) uint64 {
		if p := env.Dynptrs().find(at); p != nil && p.readOnly {
			return 1
		}
		return 0
	},
}

// DynptrSize is bpf_dynptr_size(ptr).
var DynptrSize = &Func{
	Name:  "bpf_dynptr_size",
	Proto: Proto{Args: [5]Arg{dynptrArg("any")}, Ret: IntRet},
	Impl: func(env Env, at, _, _, _, _ uint64) uint64 {
		p := env.Dynptrs().find(at)
		if p == nil {
			return Int(errno.EINVAL)
		}
		return uint64(p.size)
	},
}

// DynptrClone is bpf_dynptr_clone(ptr, clone): another dynptr of the same bytes.
// Clones of a reservation end together.
var DynptrClone = &Func{
	Name:  "bpf_dynptr_clone",
	Proto: Proto{Args: [5]Arg{dynptrArg("any"), newDynptrArg("clone")}, Ret: IntRet},
	Impl: func(env Env, at, clone, _, _, _ uint64) uint64 {
		all := env.Dynptrs()
		p := all.find(at)
		if p == nil {
			all.drop(clone)
			return Int(errno.EINVAL)
		}
		c := *p
		c.at = clone
		all.set(c)
		return 0
	},
}

// DynptrFromPacket returns the kfunc called name that makes a dynptr of the
// packet that view sees: bpf_dynptr_from_skb and its like. kind is what the
// verifier calls such dynptrs, "skb" or "xdp".
func DynptrFromPacket(name, kind string, view PacketView, readOnly bool) *Func {
	return &Func{
		Name: name,
		Proto: Proto{
			Args: [5]Arg{{Kind: ArgCtx}, {Kind: ArgAnything}, newDynptrArg(kind)},
			Ret:  IntRet,
			GPL:  true,
		},
		Impl: func(env Env, _, flags, at, _, _ uint64) uint64 {
			all := env.Dynptrs()
			if flags != 0 {
				all.drop(at)
				return Int(errno.EINVAL)
			}
			all.set(dynptr{at: at, size: uint32(view.Size(env)), readOnly: readOnly, packet: view})
			return 0
		},
	}
}
