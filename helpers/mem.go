package helpers

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// MaxMem bounds the size of a memory argument: sizes below it pass (kernel,
// BPF_MAX_VAR_SIZ).
const MaxMem = 1 << 29

// maxErrno is the largest error number that a result can hold (MAX_ERRNO).
const maxErrno = 4095

// Mem returns the n bytes of program memory at addr, or nil if they are not
// all memory of the run. It differs from env.Bytes in that n is a register, into
// which a program can have put anything.
func Mem(env Env, addr, n uint64) []byte {
	if n >= MaxMem {
		return nil
	}
	return env.Bytes(addr, int(n))
}

// Result returns what a helper that fails with err puts into R0: the negative
// errno, or 0 if err is nil. An error that wraps no errno is EINVAL.
func Result(err error) uint64 {
	if err == nil {
		return 0
	}
	if e, ok := err.(errno.Errno); ok { // without the walk, and without its allocation
		return e.R0()
	}
	var e errno.Errno
	if errors.As(err, &e) {
		return e.R0()
	}
	return errno.EINVAL.R0()
}

// badMemory ends the run of a program that passed memory it does not have.
func badMemory(env Env) uint64 {
	env.Abort(fmt.Errorf("helper argument: memory outside the program's regions: %w", errno.EFAULT))
	return 0
}

// CopyMem copies src to dst, which have the same length, either or both being
// program memory. Other programs may use it at the same time, if it is a map's:
// unlike copy this is then no data race of the host's for the race detector.
func CopyMem(dst, src []byte) { mem.CopyShared(dst, src) }

// ClearMem zeroes dst, which is program memory (see CopyMem).
func ClearMem(dst []byte) { mem.ClearShared(dst) }
