package helpers

// SpinLock is spin_lock(lock): takes the lock of a map's value. Until
// spin_unlock the program calls nothing that may wait for others: the verifier
// knows, and the checked interpreter looks.
var SpinLock = &Func{
	Name:  "spin_lock",
	Proto: Proto{Args: [5]Arg{{Kind: ArgSpinLock}}, Ret: Ret{Kind: RetVoid}},
	Impl: func(env Env, lock, _, _, _, _ uint64) uint64 {
		env.Lock(lock)
		return 0
	},
}

// SpinUnlock is spin_unlock(lock): gives back what spin_lock took.
var SpinUnlock = &Func{
	Name:  "spin_unlock",
	Proto: Proto{Args: [5]Arg{{Kind: ArgSpinLock}}, Ret: Ret{Kind: RetVoid}},
	Impl: func(env Env, lock, _, _, _, _ uint64) uint64 {
		env.Unlock(lock)
		return 0
	},
}

// UnderLock reports whether programs may call f while they hold a spin lock
// (kernel, Documentation/bpf/kfuncs.rst and kfunc_spin_allowed).
func UnderLock(f *Func) bool {
	switch f.Name {
	case "spin_unlock", "bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy":
		return true
	}
	return false
}
