package helpers

import "github.com/skepvm/skep/errno"

// MaxLoops is the most iterations that one call of loop makes (BPF_MAX_LOOPS).
const MaxLoops = 8 << 20

// Loop is loop(n, callback, ctx, flags): calls callback(i, ctx) for i = 0 to
// n-1 until it returns 1, and returns how many calls there were.
var Loop = &Func{
	Name: "loop",
	Proto: Proto{
		Args:    [5]Arg{{Kind: ArgAnything}, {Kind: ArgFunc}, {Kind: ArgStack, Nullable: true}, {Kind: ArgAnything}},
		Ret:     Ret{Min: -maxErrno, Max: MaxLoops},
		Control: Callback,
		Body:    [5]Arg{{Kind: ArgAnything}, {Kind: ArgStack}},
	},
	Impl: func(env Env, n, fn, ctx, flags, _ uint64) uint64 {
		n = uint64(uint32(n))
		if flags != 0 {
			return errno.EINVAL.R0()
		}
		if n > MaxLoops {
			return errno.E2BIG.R0()
		}
		for i := range n {
			stop, err := env.Call(fn, i, ctx, 0, 0, 0)
			if err != nil || stop != 0 {
				return i + 1
			}
		}
		return n
	},
}

// tailCall is tail_call(ctx, prog_array, index): goes on in the program at
// index of the prog array, and returns only if there is none. It has no Impl:
// engines carry it out.
var tailCall = &Func{
	Name: "tail_call",
	Proto: Proto{
		Args:    [5]Arg{{Kind: ArgCtx}, {Kind: ArgMapPtr}, {Kind: ArgAnything}},
		Ret:     Ret{Kind: RetVoid},
		Control: TailCall,
	},
}
