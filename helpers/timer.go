package helpers

import "github.com/skepvm/skep/maps"

// Timers are what helpers do with the timers of map values, each known by its
// address (kernel, kernel/bpf/helpers.c, struct bpf_timer). Errors are, or wrap,
// an errno.
type Timers interface {
	// Init makes the timer in a value of m usable, on a clock that flags
	// name. EBUSY: it is already; EPERM: m was closed.
	Init(addr uint64, m maps.Map, flags uint64) error
	// SetCallback makes fn, a function of the program that runs, what the timer
	// calls.
	SetCallback(addr, fn uint64) error
	// Start has it called in ns nanoseconds, or, with BPF_F_TIMER_ABS, at ns,
	// and not when it was to be called before.
	Start(addr, ns, flags uint64) error
	// Cancel has it not called, forgets the callback, and waits for one that
	// runs. It reports whether it was to be called. EDEADLK: the caller is the
	// callback, or somebody waits for it.
	Cancel(addr uint64) (active bool, err error)
}

var timerArg = Arg{Kind: ArgTimer}

// TimerInit is timer_init(timer, map, flags).
var TimerInit = &Func{
	Name:  "timer_init",
	Proto: Proto{Args: [5]Arg{timerArg, {Kind: ArgMapPtr}, {Kind: ArgAnything}}, Ret: Ret{Min: -maxErrno}, GPL: true},
	Impl: func(env Env, timer, handle, flags, _, _ uint64) uint64 {
		return Result(env.Timers().Init(timer, env.Map(handle), flags))
	},
}

// TimerSetCallback is timer_set_callback(timer, callback): callback(map, key,
// value) returns 0.
var TimerSetCallback = &Func{
	Name:  "timer_set_callback",
	Proto: Proto{Args: [5]Arg{timerArg, {Kind: ArgFunc}}, Ret: Ret{Min: -maxErrno}, GPL: true},
	Impl: func(env Env, timer, fn, _, _, _ uint64) uint64 {
		return Result(env.Timers().SetCallback(timer, fn))
	},
}

// TimerStart is timer_start(timer, nsecs, flags).
var TimerStart = &Func{
	Name:  "timer_start",
	Proto: Proto{Args: [5]Arg{timerArg, {Kind: ArgAnything}, {Kind: ArgAnything}}, Ret: Ret{Min: -maxErrno}, GPL: true},
	Impl: func(env Env, timer, ns, flags, _, _ uint64) uint64 {
		return Result(env.Timers().Start(timer, ns, flags))
	},
}

// TimerCancel is timer_cancel(timer): 1 if it was to be called, else 0.
var TimerCancel = &Func{
	Name:  "timer_cancel",
	Proto: Proto{Args: [5]Arg{timerArg}, Ret: Ret{Min: -maxErrno, Max: 1}, GPL: true},
	Impl: func(env Env, timer, _, _, _, _ uint64) uint64 {
		active, err := env.Timers().Cancel(timer)
		switch {
		case err != nil:
			return Result(err)
		case active:
			return 1
		}
		return 0
	},
}
