package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// Flags of perf_event_output.
const (
	eventIndexMask = 1<<32 - 1
	eventCtxShift  = 32
	eventCtxMask   = (1<<20 - 1) << eventCtxShift // bytes of the packet to append
)

// perfEventOutput is perf_event_output(ctx, map, flags, data, size). Programs on
// packets can have the beginning of the packet appended (bpf_skb_event_output,
// bpf_xdp_event_output in net/core/filter.c), others cannot (bpf_event_output_data,
// bpf_perf_event_output in kernel/trace/bpf_trace.c).
var perfEventOutput = (&helpers.Func{
	Name: "perf_event_output",
	Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgAnything}, {Kind: helpers.ArgMem}, {Kind: helpers.ArgSizeOrZero}},
		Ret:  errnoRet,
		GPL:  true,
	},
}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
	return func(env helpers.Env, _, handle, flags, addr, size uint64) uint64 {
		var packet []byte
		allowed := uint64(eventIndexMask)
		if p := env.Packet(); p != nil {
			packet = p.Data()
			allowed |= eventCtxMask
		}
		n := flags & eventCtxMask >> eventCtxShift
		array, ok := env.Map(handle).(maps.EventArray)
		switch {
		case !ok, flags&^allowed != 0:
			return errno.EINVAL.R0()
		case n > uint64(len(packet)):
			return errno.EFAULT.R0()
		}
		return helpers.Result(array.Output(env.CPU(), uint32(flags), mem(env, addr, size), packet[:n]))
	}
})
