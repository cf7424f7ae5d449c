package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// A Probe is what a run at a probe, a traced function or a sample knows besides
// its context.
type Probe struct {
	FuncIP uint64 // get_func_ip: the address of the traced function
	Cookie uint64 // get_attach_cookie: what the program was attached with

	// Args is how many arguments the traced function has; they are the first
	// words of the context, and what it returned is the word after them. That is
	// there only if Returned is set.
	Args     int
	Returned bool

	// Branches are the last branches of the processor before the sample, the
	// latest first; nil: they were not recorded.
	Branches []Branch
	Counter  Counter // perf_prog_read_value: of the event that the program is attached to

	// Override is what override_return asks the probed function to return
	// instead of running, if Overridden is set.
	Override   uint64
	Overridden bool
}

// A Branch is struct perf_branch_entry.
type Branch struct {
	From, To uint64
	Flags    uint64 // mispred, predicted, …: the third word
}

const branchSize = 24

// Helpers of probes and samples (kernel/trace/bpf_trace.c).

func getFuncIP(env helpers.Env, _, _, _, _, _ uint64) uint64 { return stateOf(env).Probe.FuncIP }

func getAttachCookie(env helpers.Env, _, _, _, _, _ uint64) uint64 { return stateOf(env).Probe.Cookie }

func overrideReturn(env helpers.Env, _, rc, _, _, _ uint64) uint64 {
	p := &stateOf(env).Probe
	p.Override, p.Overridden = rc, true
	return 0
}

// getFuncArg is get_func_arg(ctx, n, *value).
func getFuncArg(env helpers.Env, _, n, to, _, _ uint64) uint64 {
	args, ctx := stateOf(env).Probe.Args, env.Ctx()
	if i := uint64(uint32(n)); i < uint64(min(args, len(ctx)/8)) {
		store64(env.Bytes(to, 8), binary.NativeEndian.Uint64(ctx[8*i:]))
		return 0
	}
	return errno.EINVAL.R0()
}

// getFuncRet is get_func_ret(ctx, *value).
func getFuncRet(env helpers.Env, _, to, _, _, _ uint64) uint64 {
	p, ctx := &stateOf(env).Probe, env.Ctx()
	if !p.Returned || p.Args < 0 || 8*(p.Args+1) > len(ctx) {
		return errno.EOPNOTSUPP.R0()
	}
	store64(env.Bytes(to, 8), binary.NativeEndian.Uint64(ctx[8*p.Args:]))
	return 0
}

func getFuncArgCnt(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	return uint64(stateOf(env).Probe.Args)
}

// readBranchRecords is read_branch_records(ctx, buf, size, flags).
func readBranchRecords(env helpers.Env, _, to, size, flags, _ uint64) uint64 {
	const onlySize = 1 << 0
	branches := stateOf(env).Probe.Branches
	switch {
	case flags&^onlySize != 0:
		return errno.EINVAL.R0()
	case branches == nil:
		return errno.ENOENT.R0()
	case flags&onlySize != 0:
		return uint64(len(branches) * branchSize)
	case to == 0 || size%branchSize != 0:
		return errno.EINVAL.R0()
	}
	return uint64(putBranches(helpers.Mem(env, to, size), branches))
}

// getBranchSnapshot is get_branch_snapshot(entries, size, flags).
func getBranchSnapshot(env helpers.Env, to, size, flags, _, _ uint64) uint64 {
	branches := stateOf(env).Probe.Branches
	n := putBranches(helpers.Mem(env, to, size), branches)
	switch {
	case flags != 0:
		return errno.EINVAL.R0()
	case n == 0:
		return errno.ENOENT.R0()
	}
	return uint64(n)
}

// putBranches writes as many branches as fit, and returns how many bytes they
// take.
func putBranches(b []byte, branches []Branch) (n int) {
	for _, r := range branches {
		if n+branchSize > len(b) {
			break
		}
		var e [branchSize]byte
		binary.NativeEndian.PutUint64(e[0:], r.From)
		binary.NativeEndian.PutUint64(e[8:], r.To)
		binary.NativeEndian.PutUint64(e[16:], r.Flags)
		helpers.CopyMem(b[n:n+branchSize], e[:])
		n += branchSize
	}
	return n
}

// counterSize is sizeof(struct bpf_perf_event_value).
const counterSize = 24

// putCounter writes c, or zeros and EINVAL if that is not what b is for.
func putCounter(b []byte, c Counter) uint64 {
	if len(b) != counterSize {
		helpers.ClearMem(b)
		return errno.EINVAL.R0()
	}
	var v [counterSize]byte
	binary.NativeEndian.PutUint64(v[0:], c.Value)
	binary.NativeEndian.PutUint64(v[8:], c.Enabled)
	binary.NativeEndian.PutUint64(v[16:], c.Running)
	helpers.CopyMem(b, v[:])
	return 0
}

// perfProgReadValue is perf_prog_read_value(ctx, buf, size).
func perfProgReadValue(env helpers.Env, _, to, size, _, _ uint64) uint64 {
	return putCounter(helpers.Mem(env, to, size), stateOf(env).Probe.Counter)
}

// counter returns the counter that a map of perf events and flags mean.
func counter(env helpers.Env, handle, flags uint64) (Counter, error) {
	m := env.Map(handle)
	if m == nil || flags&^eventIndexMask != 0 {
		return Counter{}, errno.EINVAL
	}
	index := uint32(flags)
	if index == eventIndexMask {
		index = uint32(env.CPU())
	}
	if index >= m.Spec().MaxEntries {
		return Counter{}, errno.E2BIG
	}
	return host(env).Counters.Read(env, m, index)
}

// perfEventRead is perf_event_read(map, flags).
func perfEventRead(env helpers.Env, handle, flags, _, _, _ uint64) uint64 {
	c, err := counter(env, handle, flags)
	if err != nil {
		return helpers.Result(err)
	}
	return c.Value
}

// perfEventReadValue is perf_event_read_value(map, flags, buf, size).
func perfEventReadValue(env helpers.Env, handle, flags, to, size, _ uint64) uint64 {
	b := helpers.Mem(env, to, size)
	if len(b) != counterSize {
		return putCounter(b, Counter{})
	}
	c, err := counter(env, handle, flags)
	if err != nil {
		helpers.ClearMem(b)
		return helpers.Result(err)
	}
	return putCounter(b, c)
}

// Helpers of infrared receivers (drivers/media/rc/bpf-lirc.c).

func rcRepeat(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	host(env).Remote.Repeat(env)
	return 0
}

func rcKeydown(env helpers.Env, _, protocol, scancode, toggle, _ uint64) uint64 {
	host(env).Remote.KeyDown(env, uint32(protocol), scancode, min(uint32(toggle), 1))
	return 0
}

func rcPointerRel(env helpers.Env, _, x, y, _, _ uint64) uint64 {
	host(env).Remote.Pointer(env, int32(x), int32(y))
	return 0
}

// store64 stores v in b, memory of the program.
func store64(b []byte, v uint64) {
	var w [8]byte
	binary.NativeEndian.PutUint64(w[:], v)
	helpers.CopyMem(b, w[:])
}
