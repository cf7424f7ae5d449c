package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// Helpers that walk the host's stack (kernel/bpf/stackmap.c).

// A Stack is how helpers walk the stack of the traced machine.
type Stack struct {
	// Walk writes the addresses of the stack in space to ips, the innermost
	// first, as many as there is room for, and returns how many there are in it.
	// ok is false if the stack cannot be walked, which programs learn as EFAULT.
	// task is the object that get_task_stack is given; nil: the task that runs.
	Walk func(env helpers.Env, task any, space Space, ips []uint64) (n int, ok bool)
	// BuildID returns the build ID of the file that the user's address ip is
	// mapped from, and the offset there. nil: no address is in a file.
	BuildID func(env helpers.Env, ip uint64) (id [20]byte, offset uint64, ok bool)
}

var needsStack = need("Stack.Walk", func(h *Host) bool { return h.Stack.Walk != nil })

// Flags of get_stackid and get_stack.
const (
	stackSkip        = 0xff // innermost frames to leave out
	stackUser        = 1 << 8
	stackFastCompare = 1 << 9  // get_stackid
	stackReuse       = 1 << 10 // get_stackid
	stackUserBuildID = 1 << 11 // get_stack
)

// walk returns the stack that flags ask for, with room for frames besides those
// that are skipped, which it still has (stack_map_calculate_max_depth).
func walk(env helpers.Env, task any, flags uint64, frames int, ips *[maps.MaxStack]uint64) (trace []uint64, ok bool) {
	space := KernelSpace
	if flags&stackUser != 0 {
		space = UserSpace
	}
	room := ips[:min(frames+int(flags&stackSkip), len(ips))]
	n, ok := host(env).Stack.Walk(env, task, space, room)
	if !ok || n < 0 {
		return nil, false
	}
	return room[:min(n, len(room))], true
}

// getStackID is get_stackid(ctx, map, flags).
func getStackID(env helpers.Env, _, handle, flags, _, _ uint64) uint64 {
	m, ok := env.Map(handle).(maps.StackMap)
	if !ok || flags&^(stackSkip|stackUser|stackFastCompare|stackReuse) != 0 {
		return errno.EINVAL.R0()
	}
	spec := env.Map(handle).Spec()
	var ips [maps.MaxStack]uint64
	frames := int(spec.ValueSize / spec.StackEntry())
	trace, ok := walk(env, nil, flags, frames, &ips)
	skip := int(flags & stackSkip)
	if !ok || len(trace) <= skip {
		return errno.EFAULT.R0()
	}
	trace = trace[skip:]
	trace = trace[:min(len(trace), frames)]
	var b [maps.MaxStack * buildIDSize]byte
	values := encodeStack(env, b[:], trace, spec.Flags&maps.StackBuildID != 0, flags&stackUser != 0)
	id, err := m.StoreStack(trace, values, flags&stackFastCompare != 0, flags&stackReuse != 0)
	if err != nil {
		return helpers.Result(err)
	}
	return uint64(id)
}

// getStack is get_stack(ctx, buf, size, flags): writes the addresses and returns
// how many bytes they take; the rest of buf is cleared, and all of it after an
// error.
func getStack(env helpers.Env, _, to, size, flags, _ uint64) uint64 {
	return copyStack(env, nil, to, size, flags)
}

// getTaskStack is get_task_stack(task, buf, size, flags): get_stack of a task.
func getTaskStack(env helpers.Env, task, to, size, flags, _ uint64) uint64 {
	t := env.Object(task)
	if t == nil {
		helpers.ClearMem(helpers.Mem(env, to, size))
		return errno.EINVAL.R0()
	}
	return copyStack(env, t, to, size, flags)
}

func copyStack(env helpers.Env, task any, to, size, flags uint64) uint64 {
	buf := helpers.Mem(env, to, size)
	if buf == nil {
		return errno.EFAULT.R0()
	}
	n, err := stackInto(env, buf, task, flags)
	helpers.ClearMem(buf[n:])
	if err != nil {
		return helpers.Result(err)
	}
	return uint64(n)
}

// stackInto is __bpf_get_stack: it returns how many bytes of buf it has written.
func stackInto(env helpers.Env, buf []byte, task any, flags uint64) (int, error) {
	user, buildID := flags&stackUser != 0, flags&stackUserBuildID != 0
	each := 8
	if buildID {
		each = buildIDSize
	}
	if flags&^(stackSkip|stackUser|stackUserBuildID) != 0 || buildID && !user || len(buf)%each != 0 {
		return 0, errno.EINVAL
	}
	var ips [maps.MaxStack]uint64
	trace, ok := walk(env, task, flags, len(buf)/each, &ips)
	skip := int(flags & stackSkip)
	if !ok || len(trace) < skip {
		return 0, errno.EFAULT
	}
	var b [maps.MaxStack * buildIDSize]byte
	values := encodeStack(env, b[:], trace[skip:], buildID, user)
	helpers.CopyMem(buf[:len(values)], values)
	return len(values), nil
}

// buildIDSize is the size of struct bpf_stack_build_id.
const buildIDSize = 32

// Values of its member status.
const (
	buildIDValid = 1
	buildIDIP    = 2 // there is none: the address is in its place
)

// encodeStack writes what programs and readers see of trace to b, and returns it.
func encodeStack(env helpers.Env, b []byte, trace []uint64, buildIDs, user bool) []byte {
	if !buildIDs {
		for i, ip := range trace {
			binary.NativeEndian.PutUint64(b[8*i:], ip)
		}
		return b[:8*len(trace)]
	}
	of := host(env).Stack.BuildID
	for i, ip := range trace {
		e := b[buildIDSize*i:][:buildIDSize]
		status, offset := uint32(buildIDIP), ip
		if of != nil && user {
			if id, off, ok := of(env, ip); ok {
				status, offset = buildIDValid, off
				copy(e[4:24], id[:])
			}
		}
		binary.NativeEndian.PutUint32(e, status)
		binary.NativeEndian.PutUint64(e[24:], offset)
	}
	return b[:buildIDSize*len(trace)]
}
