package helpers

// Kfunc returns the contract of the kernel function called name that programs
// of every type may call and that the verifier knows, or nil: number
// iterators, sections, exceptions (kernel, kernel/bpf/helpers.c,
// common_btf_ids). They have no body: a program that calls one verifies, and
// is refused at load by name unless its hook offers the function.
func Kfunc(name string) *Func { return kfuncs[name] }

var iterNum = Arg{Kind: ArgIter, Object: "bpf_iter_num", Write: true}

var kfuncs = kfuncsByName(
	Func{Name: "bpf_iter_num_new", Proto: Proto{
		Args: [5]Arg{{Kind: ArgIter, Object: "bpf_iter_num", Write: true, Uninit: true}, {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:  Ret{Min: -4095, Max: 0},
	}},
	Func{Name: "bpf_iter_num_next", Proto: Proto{
		Args: [5]Arg{iterNum},
		Ret:  Ret{Kind: RetMem, Size: 4, Nullable: true, ReadOnly: true},
	}},
	Func{Name: "bpf_iter_num_destroy", Proto: Proto{Args: [5]Arg{iterNum}, Ret: Ret{Kind: RetVoid}}},
	Func{Name: "bpf_rcu_read_lock", Proto: Proto{Ret: Ret{Kind: RetVoid}}},
	Func{Name: "bpf_rcu_read_unlock", Proto: Proto{Ret: Ret{Kind: RetVoid}}},
	Func{Name: "bpf_preempt_disable", Proto: Proto{Ret: Ret{Kind: RetVoid}}},
	Func{Name: "bpf_preempt_enable", Proto: Proto{Ret: Ret{Kind: RetVoid}}},
	Func{Name: "bpf_throw", Proto: Proto{Args: [5]Arg{{Kind: ArgAnything}}, Ret: Ret{Kind: RetVoid}, Control: Throw}},
)

func kfuncsByName(fs ...Func) map[string]*Func {
	m := make(map[string]*Func, len(fs))
	for i := range fs {
		fs[i].Proto.GPL = true // all kfuncs are (kernel, "cannot call kernel function from non-GPL compatible program")
		m[fs[i].Name] = &fs[i]
	}
	return m
}
