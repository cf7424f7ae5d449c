package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// Flags of ringbuf_output, ringbuf_submit and ringbuf_discard.
const (
	ringBufNoWakeup    = 1 << 0
	ringBufForceWakeup = 1 << 1
)

// RingBufOutput is ringbuf_output(ringbuf, data, size, flags): copies data
// into a record.
var RingBufOutput = (&Func{
	Name: "ringbuf_output",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgMem}, {Kind: ArgSizeOrZero}, {Kind: ArgAnything}},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, handle, addr, size, flags, _ uint64) uint64 {
		rb, ok := env.Map(handle).(maps.RingBuffer)
		if !ok || flags&^(ringBufNoWakeup|ringBufForceWakeup) != 0 {
			return errno.EINVAL.R0()
		}
		data := Mem(env, addr, size)
		if data == nil {
			return errno.EFAULT.R0()
		}
		return Result(rb.Output(data, flags))
	},
}).Inlines(InlineRingOutput)

// RingBufReserve is ringbuf_reserve(ringbuf, size, flags): the address of a
// new record of size bytes, which the program must submit or discard, or 0.
var RingBufReserve = (&Func{
	Name: "ringbuf_reserve",
	Proto: Proto{
		Args:           [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgConstAllocSize}, {Kind: ArgAnything}},
		Ret:            Ret{Kind: RetMem, Nullable: true, RingBuf: true},
		AcquiresObject: true,
	},
	Impl: func(env Env, handle, size, flags, _, _ uint64) uint64 {
		rb, ok := env.Map(handle).(maps.RingBuffer)
		if !ok || flags != 0 || size >= MaxMem {
			return 0
		}
		b := rb.Reserve(int(size))
		if b == nil {
			return 0
		}
		return env.Acquire(b, rb)
	},
}).Inlines(InlineRingReserve)

// RingBufSubmit is ringbuf_submit(record, flags): gives the record to readers.
var RingBufSubmit = ringBufCommit("ringbuf_submit", false).Inlines(InlineRingSubmit)

// RingBufDiscard is ringbuf_discard(record, flags): readers skip the record.
var RingBufDiscard = ringBufCommit("ringbuf_discard", true).Inlines(InlineRingDiscard)

func ringBufCommit(name string, discard bool) *Func {
	return &Func{
		Name: name,
		Proto: Proto{
			Args: [5]Arg{{Kind: ArgRingBufMem, Release: true}, {Kind: ArgAnything}},
			Ret:  Ret{Kind: RetVoid},
		},
		Impl: func(env Env, addr, flags, _, _, _ uint64) uint64 {
			b, owner, ok := env.Release(addr)
			if !ok {
				return 0 // the engine has reported it
			}
			if rb, ok := owner.(maps.RingBuffer); ok {
				rb.Commit(b, discard, flags)
			}
			return 0
		},
	}
}

// RingBufQuery is ringbuf_query(ringbuf, flags): a figure about the buffer, or
// 0 if flags names none.
var RingBufQuery = &Func{
	Name:  "ringbuf_query",
	Proto: Proto{Args: [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgAnything}}},
	Impl: func(env Env, handle, flags, _, _, _ uint64) uint64 {
		if rb, ok := env.Map(handle).(maps.RingBuffer); ok {
			return rb.Query(flags)
		}
		return 0
	},
}
