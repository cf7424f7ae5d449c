package helpers

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// Helpers that say on whose behalf and where the program runs, as far as the
// host cares to tell, and one that says nothing at all.

// uint32Ret is the result of helpers that return a u32.
var uint32Ret = Ret{Max: 1<<32 - 1}

// GetPrandomU32 is get_prandom_u32(): 32 random bits.
var GetPrandomU32 = (&Func{
	Name:  "get_prandom_u32",
	Proto: Proto{Ret: uint32Ret},
	Impl:  func(env Env, _, _, _, _, _ uint64) uint64 { return uint64(env.Host().Random()) },
}).Inlines(InlineRandom)

// GetSMPProcessorID is get_smp_processor_id(): the virtual CPU.
var GetSMPProcessorID = (&Func{
	Name:  "get_smp_processor_id",
	Proto: Proto{Ret: uint32Ret},
	Impl:  func(env Env, _, _, _, _, _ uint64) uint64 { return uint64(uint32(env.CPU())) },
}).Inlines(InlineCPU)

// GetNUMANodeID is get_numa_node_id(): always node 0.
var GetNUMANodeID = &Func{
	Name:  "get_numa_node_id",
	Proto: Proto{Ret: uint32Ret},
	Impl:  func(Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 0 },
}

// GetCurrentPidTgid is get_current_pid_tgid(): tgid in the upper half, pid in
// the lower.
var GetCurrentPidTgid = &Func{
	Name: "get_current_pid_tgid",
	Impl: func(env Env, _, _, _, _, _ uint64) uint64 { return env.Host().PidTgid() },
}

// GetCurrentUidGid is get_current_uid_gid(): gid in the upper half, uid in the
// lower.
var GetCurrentUidGid = &Func{
	Name: "get_current_uid_gid",
	Impl: func(env Env, _, _, _, _, _ uint64) uint64 { return env.Host().UidGid() },
}

// commLen is the size of a task's name, with its NUL (TASK_COMM_LEN).
const commLen = 16

// GetCurrentComm is get_current_comm(buf, size): writes the name of the task,
// cut to fit with a NUL after it and NULs up to size.
var GetCurrentComm = &Func{
	Name: "get_current_comm",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMem, Write: true, Uninit: true}, {Kind: ArgSize}},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, addr, size, _, _, _ uint64) uint64 {
		buf := Mem(env, addr, size)
		if len(buf) == 0 {
			return errno.EFAULT.R0()
		}
		comm := env.Host().Comm()
		n := min(len(comm), commLen-1, len(buf)-1)
		mem.CopyShared(buf[:n], []byte(comm[:n]))
		mem.ClearShared(buf[n:])
		return 0
	},
}
