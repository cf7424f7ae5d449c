package verifier

import "strings"

// A Code names the rule that a program breaks. Codes are stable.
type Code string

// The codes. Rule has the text of each, what the kernel says in its place, and
// a program that breaks it.
const (
	Unreadable    Code = "unreadable-register"
	UninitStack   Code = "uninitialized-stack"
	OutOfBounds   Code = "out-of-bounds"
	Misaligned    Code = "misaligned"
	NullPointer   Code = "possibly-null"
	NotPointer    Code = "not-a-pointer"
	BadPointer    Code = "wrong-pointer"
	BadArithmetic Code = "pointer-arithmetic"
	ReadOnly      Code = "read-only"
	BadContext    Code = "context-access"
	BadArgument   Code = "argument"
	UnknownCallee Code = "unknown-function"
	Leak          Code = "pointer-leak"
	Unreleased    Code = "unreleased-reference"
	BadReturn     Code = "return-value"
	StackDepth    Code = "stack-depth"
	Recursion     Code = "recursion"
	Unreachable   Code = "unreachable-code"
	Unbounded     Code = "unbounded-loop"
	TooLong       Code = "worst-case"
	License       Code = "license"
	Locked        Code = "lock"
	Sleeps        Code = "may-sleep"
	BadMap        Code = "map"
	Unsupported   Code = "unsupported"
	NoType        Code = "no-program-type"
	Limit         Code = "limit"
)

// A Rule says what a Code means.
type Rule struct {
	Code    Code
	Text    string  // what a program must keep to
	Kernel  string  // what the log of Linux 6.18 says of the example; empty if it has no such rule
	Example Example // a program that is refused with Code
}

// An Example is a program in the kernel's text form. It may use map 0, an array
// of 16 values of 64 bytes, map 1, a hash table of 8-byte keys and values, map 2,
// a ring buffer, and map 3, an array of one value of 64 bytes whose first 4 are
// a spin lock.
type Example struct {
	Type    string // program type; empty: none
	Asm     string
	Options Options
}

// Rule returns what c means; nil if c is no code of this package.
func (c Code) Rule() *Rule {
	for i := range rules {
		if rules[i].Code == c {
			return &rules[i]
		}
	}
	return nil
}

// Rules returns the rule of every code.
func Rules() []Rule { return append([]Rule(nil), rules...) }

var rules = []Rule{
	{
		Code:    Unreadable,
		Text:    "A register is read only after it was written; a call leaves r1 to r5 unreadable, and r0 holds its result.",
		Kernel:  "R3 !read_ok",
		Example: Example{Type: "xdp", Asm: "r0 = r3\nexit"},
	},
	{
		Code:    UninitStack,
		Text:    "Under the strict rules, stack bytes are read only after they were written.",
		Kernel:  "invalid read from stack off -8+0 size 8",
		Example: Example{Type: "xdp", Asm: "r1 = *(u64 *)(r10 -8)\nr0 = 0\nexit", Options: Options{Strict: true}},
	},
	{
		Code:    OutOfBounds,
		Text:    "An access lies inside its region for every value that its offset and size can have. Of a packet, the region is what comparisons with data_end have proven.",
		Kernel:  "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)",
		Example: Example{Type: "xdp", Asm: "r1 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r1 +0)\nexit"},
	},
	{
		Code:    Misaligned,
		Text:    "Accesses to the stack, and atomic operations anywhere, are aligned to their size.",
		Kernel:  "misaligned stack access off 0+0+-12 size 8",
		Example: Example{Type: "xdp", Asm: "*(u64 *)(r10 -12) = 0\nr0 = 0\nexit"},
	},
	{
		Code:   NullPointer,
		Text:   "A pointer that may be null is compared with 0 before it is used, in any way other than to copy it.",
		Kernel: "R0 invalid mem access 'map_value_or_null'",
		Example: Example{Type: "xdp", Asm: `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			r0 = *(u64 *)(r0 +0)
			exit`},
	},
	{
		Code:    NotPointer,
		Text:    "Memory is reached through pointers only, not through numbers. A packet pointer becomes a number when a helper may have moved the packet, and a released reference when it is released.",
		Kernel:  "R1 invalid mem access 'scalar'",
		Example: Example{Type: "xdp", Asm: "r1 = 4096\nr0 = *(u8 *)(r1 +0)\nexit"},
	},
	{
		Code:    BadPointer,
		Text:    "Each kind of pointer allows some kinds of access: maps and functions none, the context and packets no atomic operation. One instruction accesses the context, or memory, not now one and now the other.",
		Kernel:  "BPF_ATOMIC stores into R1 ctx is not allowed",
		Example: Example{Type: "xdp", Asm: "r2 = 1\nlock *(u32 *)(r1 +16) += r2\nr0 = 0\nexit"},
	},
	{
		Code:    BadArithmetic,
		Text:    "On pointers there is only 64-bit addition and subtraction of numbers, and the difference of two; on maps, functions and host objects nothing at all. r10 cannot be changed.",
		Kernel:  "R1 pointer arithmetic with *= operator prohibited",
		Example: Example{Type: "xdp", Asm: "r1 *= 2\nr0 = 0\nexit"},
	},
	{
		Code:   ReadOnly,
		Text:   "Memory that a map, a helper or the program type gives for reading is not written.",
		Kernel: "cannot write into packet",
		Example: Example{Type: "cgroup_skb", Asm: `
			r2 = *(u32 *)(r1 +76)
			r3 = *(u32 *)(r1 +80)
			r4 = r2
			r4 += 1
			r0 = 1
			if r4 > r3 goto +1
			*(u8 *)(r2 +0) = 0
			exit`},
	},
	{
		Code:    BadContext,
		Text:    "The context is accessed field by field, as the program type allows: at a field's offset, in the widths it has, and through the pointer that the program got.",
		Kernel:  "invalid bpf_context access off=24 size=4",
		Example: Example{Type: "xdp", Asm: "r0 = *(u32 *)(r1 +24)\nexit"},
	},
	{
		Code:    BadArgument,
		Text:    "Arguments are what the function's contract asks for: their kind, their size, and maps of a type that the function works on.",
		Kernel:  "R1 type=scalar expected=map_ptr",
		Example: Example{Type: "xdp", Asm: "r1 = 0\nr2 = r10\ncall 1\nr0 = 0\nexit"},
	},
	{
		Code:    UnknownCallee,
		Text:    "A program calls only functions that its type offers.",
		Kernel:  "program of this type cannot use helper bpf_skb_store_bytes#9",
		Example: Example{Type: "xdp", Asm: "call 9\nr0 = 0\nexit"},
	},
	{
		Code:   Leak,
		Text:   "Under the strict rules, an address goes nowhere where it can be read: not to maps, packets, results and numbers made of it or of part of it, and into no comparison but with 0 and of packet pointers. The context takes none under any rules.",
		Kernel: "R10 leaks addr into map",
		Example: Example{Type: "xdp", Options: Options{Strict: true}, Asm: `
			*(u64 *)(r10 -8) = 3
			r2 = r10
			r2 += -8
			r1 = map[1]
			call 1
			if r0 == 0 goto +1
			*(u64 *)(r0 +0) = r10
			r0 = 0
			exit`},
	},
	{
		Code:   Unreleased,
		Text:   "What a function hands over must be given back on every path before the program ends.",
		Kernel: "Unreleased reference id=2 alloc_insn=4",
		Example: Example{Type: "xdp", Asm: `
			r1 = map[2]
			r2 = 8
			r3 = 0
			call 131
			r0 = 0
			exit`},
	},
	{
		Code:    BadReturn,
		Text:    "r0 is in the range of the hook when the program ends, and 0 or 1 when a callback does.",
		Kernel:  "At program exit the register R0 has smin=7 smax=7 should have been in [0, 1]",
		Example: Example{Type: "cgroup_skb", Asm: "r0 = 7\nexit"},
	},
	{
		Code:    StackDepth,
		Text:    "Chains of calls have at most 8 functions, and 512 bytes of stack together.",
		Kernel:  "the call stack of 9 frames is too deep",
		Example: Example{Type: "xdp", Asm: strings.Repeat("call pc+1\nexit\n", 8) + "r0 = 0\nexit"},
	},
	{
		Code:    Recursion,
		Text:    "No function calls itself, directly or through others.",
		Kernel:  "the call stack of 9 frames is too deep",
		Example: Example{Type: "xdp", Asm: "call pc+1\nexit\ncall pc-1\nexit"},
	},
	{
		Code:    Unreachable,
		Text:    "Every instruction can be reached from the entry of its function, conditions aside.",
		Kernel:  "unreachable insn 2",
		Example: Example{Type: "xdp", Asm: "r0 = 0\ngoto -1\nexit"},
	},
	{
		Code:    Unbounded,
		Text:    "Every loop has a proven bound: some place that it changes moves the same way in each iteration, between bounds. Loops through bpf_loop, iterators and may_goto have one by contract.",
		Kernel:  "infinite loop detected at insn 1",
		Example: Example{Type: "xdp", Asm: "call 7\nif r0 != 5 goto -2\nexit"},
	},
	{
		Code:    TooLong,
		Text:    "The worst case of a run is at most Options.MaxWorstCase instructions.",
		Example: Example{Type: "xdp", Asm: "r0 = 0\nr0 += 1\nif r0 != 1000 goto -2\nexit", Options: Options{MaxWorstCase: 100}},
	},
	{
		Code:    License,
		Text:    "If Options.CheckLicense is set, helpers and kfuncs that are for GPL programs are only for programs with a compatible license.",
		Kernel:  "cannot call GPL-restricted function from non-GPL compatible program",
		Example: Example{Type: "xdp", Asm: "call 35\nr0 = 0\nexit", Options: Options{CheckLicense: true}},
	},
	{
		Code:    Locked,
		Text:    "One spin lock is held at a time, nothing but spin_unlock of it is called meanwhile, and every lock and section ends before the program does.",
		Kernel:  "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region",
		Example: Example{Type: "xdp", Asm: "r1 = map[3][0]+0\ncall 93\nr0 = 0\nexit"},
	},
	{
		Code:    Sleeps,
		Text:    "Functions that may sleep are called by programs that may, outside of locks, sections and callbacks of timers.",
		Kernel:  "helper call might sleep in a non-sleepable prog",
		Example: Example{Type: "xdp", Asm: "call 148\nr0 = 0\nexit"},
	},
	{
		Code:    BadMap,
		Text:    "Programs that run inside the kernel's own locks use no map with locks or timers; programs that may sleep use maps that outlast it.",
		Kernel:  "tracing progs cannot use bpf_spin_lock yet",
		Example: Example{Type: "kprobe", Asm: "r1 = map[3]\nr0 = 0\nexit"},
	},
	{
		Code:    Unsupported,
		Text:    "The verifier does not know the construct, or cannot prove anything about it.",
		Example: Example{Type: "xdp", Asm: "r1 = 181\ncallx r1\nr0 = 0\nexit"},
	},
	{
		Code:    NoType,
		Text:    "A program has a type, which says what its context is and what it may call. The section's name gives it, or the user.",
		Example: Example{Asm: "r0 = 0\nexit"},
	},
	{
		Code:    Limit,
		Text:    "The proof takes no more than Options allow. The program may be safe.",
		Kernel:  "BPF program is too large. Processed 1000001 insn",
		Example: Example{Type: "xdp", Asm: "r0 = 0\nr0 += 1\nif r0 != 100 goto -2\nexit", Options: Options{MaxVisits: 20}},
	},
}
