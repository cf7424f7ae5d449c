package helpers

import "github.com/skepvm/skep/errno"

// Kfunc returns the kernel function called name that programs of every type may
// call, or nil: iterators over numbers and bits, dynptrs, sections, exceptions (kernel,
// kernel/bpf/helpers.c, common_btf_ids). One without a body can be verified,
// and is refused at load by name unless its hook offers the function.
func Kfunc(name string) *Func { return kfuncs[name] }

var kfuncs = kfuncsByName(
	IterNumNew, IterNumNext, IterNumDestroy, IterBitsNew, IterBitsNext, IterBitsDestroy,
	DynptrSlice, DynptrSliceRdwr, DynptrAdjust, DynptrIsNull, DynptrIsRdonly, DynptrSize, DynptrClone, DynptrCopy, DynptrMemset,
	section("bpf_rcu_read_lock"), section("bpf_rcu_read_unlock"), section("bpf_preempt_disable"), section("bpf_preempt_enable"),
	&Func{Name: "bpf_throw", Proto: Proto{Args: [5]Arg{{Kind: ArgAnything}}, Ret: Ret{Kind: RetVoid}, Control: Throw}},
)

// section returns a function that begins or ends a section of the program. A
// run has to itself what sections protect: what it can reach stays until it has
// ended, and no other runs on its CPU.
func section(name string) *Func {
	return &Func{
		Name:  name,
		Proto: Proto{Ret: Ret{Kind: RetVoid}},
		Impl:  func(Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 0 },
	}
}

func kfuncsByName(fs ...*Func) map[string]*Func {
	m := make(map[string]*Func, len(fs))
	for _, f := range fs {
		f.Proto.GPL = true // all kfuncs are (kernel, "cannot call kernel function from non-GPL compatible program")
		m[f.Name] = f
	}
	return m
}

// IntRet is the result of a kfunc that returns an int, such as an error number:
// the upper half of R0 is 0, as the kernel's calls leave it.
var IntRet = Ret{Max: 1<<32 - 1}

// Int returns what a kfunc that returns an int and fails with e leaves in R0.
func Int(e errno.Errno) uint64 { return uint64(uint32(e.R0())) }
