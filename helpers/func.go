// Package helpers holds the functions that a host offers to programs: what the
// verifier checks a call against (Proto), what runs (Impl), and the helpers
// that need no particular context, with Linux's numbers.
//
// A Func is immutable and may be shared. A Set says which functions programs
// of one type may call, and under which number. What a running helper may
// touch comes through Env; package helpers never calls an engine.
//
// # A host's own helpers
//
// New0 to New4 make a helper of an ordinary Go function: the contract follows
// from its signature, and each call passes arguments as Go values.
//
//	var quota = helpers.New2("user_quota", func(env helpers.Env, name []byte, n uint32) int64 { … })
//	coll, err := vm.Load(obj, vm.Options{Helpers: map[helpers.ID]*helpers.Func{1000: quota}})
//
// In C that is
//
//	static long (*user_quota)(const void *name, __u64 name_size, __u32 n) = (void *) 1000;
//
// since a []byte, Out or InOut parameter takes two of the five registers, an
// address and a size. New0 to New4 panic if that is more than five. They use no
// reflection: a call costs an indirect call per argument, and allocates nothing.
// Bad memory, which only a program that was not verified can pass, ends the run
// without a call of the function. The Func may be refined before it is used, for
// instance f.Proto.GPL = true or f.Proto.Ret.Max = 1. Calls of one whose Impl and
// arguments stay as they are cost the least: see Trusting.
package helpers

// An ID is a helper's number on its platform: the immediate of a call
// instruction. map_lookup_elem is 1 on Linux and on Windows, ktime_get_ns 5
// and 9.
type ID int32

// A Func is a helper, or a function called by name (a kfunc).
type Func struct {
	Name  string // as in the kernel's headers, without "bpf_": "map_lookup_elem"
	Proto Proto
	Impl  Impl // nil: declared only; a program that calls it verifies, and is refused at load by name, unless no run comes to the call (or Proto.Control is TailCall: engines carry that out)

	// Needs returns what f needs of the host that h does not give, for people
	// ("linux.Host.Task.CgroupID"); "" if there is nothing. A program that calls
	// f is then refused when it is loaded. nil: f needs nothing. Without an Impl
	// it says what the helper is missing. h may be nil.
	Needs func(h *Host) string

	inline   inlined
	trusting trust
}

// Missing returns what f.Needs says of h, or "".
func (f *Func) Missing(h *Host) string {
	if f.Needs == nil {
		return ""
	}
	return f.Needs(h)
}

// An Impl is a helper's body. It runs on the goroutine of the run that calls
// it, with the program's R1 to R5, and its result becomes R0. It may block,
// call back into the program through env, or panic, in which case the panic
// surfaces from the run. env is valid until it returns.
//
// Memory arguments are addresses: env.Bytes gives the bytes. The engine has
// checked them against Proto, or the verifier has proved that it need not.
type Impl func(env Env, a1, a2, a3, a4, a5 uint64) uint64

// Proto is the contract of a call: what the caller must pass and what it gets.
type Proto struct {
	Args [5]Arg // up to the first ArgNone
	Ret  Ret

	GPL            bool // only for programs with a GPL-compatible license
	MightSleep     bool // only where sleeping is allowed
	PacketAccess   bool // memory arguments may point into the packet
	ChangesPacket  bool // may move packet memory: the program's packet pointers die
	AnyMemory      bool // reads memory at addresses that its contract does not know, the program's own among it
	Control        Control
	AcquiresObject bool // R0 is a reference that a releasing call must end

	// Body is what a subprogram that the helper calls back gets in R1 to R5
	// (Control Callback): ArgAnything a number, ArgMapPtr, ArgMapKey and
	// ArgMapValue of the call's map, ArgStack the call's ArgStack argument.
	// The subprogram returns 0 to go on or 1 to stop.
	Body [5]Arg
}

// Control marks the few helpers that engines and the verifier treat as
// control flow rather than as calls.
type Control uint8

const (
	Plain    Control = iota
	TailCall         // bpf_tail_call: does not return if it succeeds
	Callback         // calls a static subprogram of the program zero or more times before it returns
	Throw            // bpf_throw: unwinds all frames
)

// An ArgKind is what one argument must be (kernel, enum bpf_arg_type; each
// kind's check: Documentation/bpf/verifier.rst and bpf-helpers(7)).
type ArgKind uint8

const (
	ArgNone           ArgKind = iota // no argument here or after
	ArgAnything                      // any initialised value
	ArgMapPtr                        // a map handle
	ArgMapKey                        // memory of the map's KeySize
	ArgMapValue                      // memory of the map's ValueSize
	ArgMem                           // memory: of Arg.Size bytes, or of the size that the next size argument gives (Proto.SizeArg)
	ArgSize                          // bytes of the memory arguments before it; at least 1
	ArgSizeOrZero                    // the same, or 0
	ArgConstAllocSize                // constant: the size of the memory that is returned
	ArgCtx                           // the context, unmodified
	ArgStack                         // a stack pointer, or 0 (a callback's ctx)
	ArgFunc                          // a static subprogram
	ArgConstStr                      // NUL-terminated string in a frozen read-only map
	ArgSpinLock                      // a map value's spin lock
	ArgTimer                         // a map value's timer
	ArgKptr                          // a map value's kptr field
	ArgRingBufMem                    // a ring buffer reservation, at offset 0
	ArgDynptr                        // a dynptr on the stack; Arg.Object says of which kind
	ArgIter                          // an open-coded iterator on the stack
	ArgObject                        // a host object: Arg.Object names its type (sock, tcp_sock, task_struct…)
)

// An Arg is the contract of one argument.
type Arg struct {
	Kind     ArgKind
	Nullable bool   // 0 is allowed
	Write    bool   // the helper writes the memory
	Uninit   bool   // the helper writes every byte and reads none: it may be uninitialised
	Partial  bool   // with Uninit: but bytes may stay as they were, if it fails or has less to write
	Release  bool   // ends the reference that the argument owns
	Aligned  bool   // memory must be aligned to its size
	Size     uint32 // ArgMem: fixed size in bytes; 0: the next size argument gives it
	Object   string // ArgObject, ArgDynptr, ArgIter: type name
}

// A RetKind is what R0 holds after a call (kernel, enum bpf_return_type).
type RetKind uint8

const (
	RetInteger  RetKind = iota // a 64-bit value in [Min, Max]; the whole range if both are 0
	RetVoid                    // R0 is unreadable
	RetMapValue                // pointer to the value of the call's map, ValueSize bytes
	RetMem                     // pointer to Ret.Size bytes, or to as many as the ArgConstAllocSize argument says
	RetObject                  // pointer to a host object of type Ret.Object
)

// Ret is the contract of R0.
type Ret struct {
	Kind     RetKind
	Nullable bool
	Min, Max int64 // RetInteger
	AtMost   int   // RetInteger: the argument, from 1, that is a size and that the result does not exceed; it may be an error
	Size     uint32
	RingBuf  bool   // RetMem: it is a ring buffer reservation
	Object   string // RetObject
	ReadOnly bool   // RetMem: the program may not write it
}

// RunsLater reports whether f takes a function of the program which runs when
// the call is over, as a run of its own.
func (f *Func) RunsLater() bool {
	if f.Proto.Control == Callback {
		return false
	}
	for _, a := range f.Proto.Args {
		if a.Kind == ArgFunc {
			return true
		}
	}
	return false
}

// NumArgs returns how many of R1 to R5 the call uses.
func (p *Proto) NumArgs() int {
	for i, a := range p.Args {
		if a.Kind == ArgNone {
			return i
		}
	}
	return len(p.Args)
}

// SizeArg returns the index of the argument that gives the size of the memory
// argument i: the first ArgSize, ArgSizeOrZero or ArgConstAllocSize after it; the
// last of these sizes a buffer, which may be 0 if it is Nullable, and the result
// alike. It returns -1 if i is not memory of variable size. In the kernel's helpers the size follows
// right after; memcpy(dst, src, n) has one size for two arguments.
func (p *Proto) SizeArg(i int) int {
	if p.Args[i].Kind != ArgMem || p.Args[i].Size != 0 {
		return -1
	}
	for j := i + 1; j < len(p.Args); j++ {
		if k := p.Args[j].Kind; k == ArgSize || k == ArgSizeOrZero || k == ArgConstAllocSize {
			return j
		}
	}
	return -1
}
