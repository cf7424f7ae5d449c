package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// UserRingBufDrain is user_ringbuf_drain(ringbuf, callback, ctx, flags): calls
// callback(dynptr, ctx) for each record that Go code has submitted, until it
// returns 1, and returns how many there were.
var UserRingBufDrain = &Func{
	Name: "user_ringbuf_drain",
	Proto: Proto{
		Args:    [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgFunc}, {Kind: ArgStack, Nullable: true}, {Kind: ArgAnything}},
		Ret:     Ret{Min: -maxErrno, Max: 128 << 10},
		Control: Callback,
		Body:    [5]Arg{dynptrArg("local"), {Kind: ArgStack}},
	},
	Impl: func(env Env, handle, fn, ctx, flags, _ uint64) uint64 {
		rb, ok := env.Map(handle).(maps.UserRingBuffer)
		if !ok {
			return errno.EINVAL.R0()
		}
		n, err := rb.Drain(flags, func(record []byte) bool {
			addr := env.Acquire(record, lent{})
			at := env.Dynptrs().lend(addr, uint32(len(record)))
			stop, err := env.Call(fn, at, ctx, 0, 0, 0)
			env.Dynptrs().drop(at)
			env.Release(addr)
			return err == nil && stop == 0
		})
		if err != nil {
			return Result(err)
		}
		return uint64(n)
	},
}

// lent owns memory that a callback has while it runs.
type lent struct{}

func (lent) Discard([]byte) {}
