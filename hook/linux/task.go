package linux

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that ask about the current task (kernel/bpf/helpers.c,
// kernel/trace/bpf_trace.c).

// lastSignal is the largest number of a signal (_NSIG).
const lastSignal = 64

func getCurrentTask(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	return host(env).Task.Pointer(env)
}

func getCurrentClassID(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	if fn := host(env).Task.ClassID; fn != nil {
		return uint64(fn(env))
	}
	return 0
}

func getCurrentCgroupID(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	way := host(env).Task.Cgroups(env)
	return ancestor(way, uint64(len(way)-1))
}

func getCurrentAncestorCgroupID(env helpers.Env, level, _, _, _, _ uint64) uint64 {
	return ancestor(host(env).Task.Cgroups(env), level)
}

// ancestor returns the id of the cgroup at level, an int, of the way to another;
// 0 if that is not so deep.
func ancestor(way []uint64, level uint64) uint64 {
	if l := int(int32(level)); l >= 0 && l < len(way) {
		return way[l]
	}
	return 0
}

// getNsCurrentPidTgid is get_ns_current_pid_tgid(dev, ino, *info, size).
func getNsCurrentPidTgid(env helpers.Env, dev, ino, to, size, _ uint64) uint64 {
	info := helpers.Mem(env, to, size)
	err := error(errno.EINVAL)
	if len(info) == 8 && dev == uint64(uint32(dev)) {
		var pid, tgid uint32
		if pid, tgid, err = host(env).Task.Namespace(env, dev, ino); err == nil {
			var b [8]byte
			binary.NativeEndian.PutUint32(b[:], pid)
			binary.NativeEndian.PutUint32(b[4:], tgid)
			helpers.CopyMem(info, b[:])
			return 0
		}
	}
	helpers.ClearMem(info)
	return helpers.Result(err)
}

// sendSignal returns the body of send_signal(sig), or of send_signal_thread.
func sendSignal(thread bool) helpers.Impl {
	return func(env helpers.Env, sig, _, _, _, _ uint64) uint64 {
		if uint32(sig) > lastSignal {
			return errno.EINVAL.R0()
		}
		return helpers.Result(host(env).Task.Signal(env, int(uint32(sig)), thread))
	}
}
