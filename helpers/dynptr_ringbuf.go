package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// RingBufReserveDynptr is ringbuf_reserve_dynptr(ringbuf, size, flags, ptr): a
// dynptr of a new record, which must be submitted or discarded even if this
// failed.
var RingBufReserveDynptr = &Func{
	Name: "ringbuf_reserve_dynptr",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMapPtr}, {Kind: ArgAnything}, {Kind: ArgAnything}, newDynptrArg("ringbuf")},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, handle, size, flags, at, _ uint64) uint64 {
		all := env.Dynptrs()
		n := uint32(size)
		rb, ok := env.Map(handle).(maps.RingBuffer)
		all.drop(at)
		switch {
		case flags != 0 || !ok:
			return errno.EINVAL.R0()
		case n > maxDynptr:
			return errno.E2BIG.R0()
		}
		b := rb.Reserve(int(n))
		if b == nil {
			return errno.EINVAL.R0()
		}
		all.set(dynptr{at: at, addr: env.Acquire(b, rb), size: n, ringBuf: true})
		return 0
	},
}

// RingBufSubmitDynptr is ringbuf_submit_dynptr(ptr, flags).
var RingBufSubmitDynptr = ringBufCommitDynptr("ringbuf_submit_dynptr", false)

// RingBufDiscardDynptr is ringbuf_discard_dynptr(ptr, flags).
var RingBufDiscardDynptr = ringBufCommitDynptr("ringbuf_discard_dynptr", true)

func ringBufCommitDynptr(name string, discard bool) *Func {
	return &Func{
		Name: name,
		Proto: Proto{
			Args: [5]Arg{{Kind: ArgDynptr, Object: "ringbuf", Release: true}, {Kind: ArgAnything}},
			Ret:  Ret{Kind: RetVoid},
		},
		Impl: func(env Env, at, flags, _, _, _ uint64) uint64 {
			all := env.Dynptrs()
			p := all.find(at)
			if p == nil || !p.ringBuf {
				return 0
			}
			record := p.addr
			for i := len(all.list) - 1; i >= 0; i-- { // its clones, too
				if q := &all.list[i]; q.ringBuf && q.addr == record {
					all.drop(q.at)
				}
			}
			b, owner, ok := env.Release(record)
			if rb, is := owner.(maps.RingBuffer); ok && is {
				rb.Commit(b, discard, flags)
			}
			return 0
		},
	}
}
