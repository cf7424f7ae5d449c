package execmem

import (
	"fmt"
	"sync"
	"syscall"
)

// membarrier(2), include/uapi/linux/membarrier.h.
const (
	sysMembarrier                     = 283
	membarrierPrivateSyncCore         = 1 << 5
	membarrierRegisterPrivateSyncCore = 1 << 6
)

// prepare says, once for the process, that it will use the barrier.
var prepare = sync.OnceValue(func() error {
	if _, _, errno := syscall.Syscall(sysMembarrier, membarrierRegisterPrivateSyncCore, 0, 0); errno != 0 {
		return fmt.Errorf("execmem: %w: the kernel has no membarrier for new code (Linux 4.16): %w", ErrUnsupported, errno)
	}
	return nil
})

// synchronise writes the code back from data caches, drops it from instruction
// caches, and makes every CPU that runs a thread of this process fetch again.
func synchronise(mem []byte) error {
	ctr := cacheType()
	flushICache(address(mem), uintptr(len(mem)), 4<<(ctr>>16&15), 4<<(ctr&15))
	if _, _, errno := syscall.Syscall(sysMembarrier, membarrierPrivateSyncCore, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// cacheType returns CTR_EL0: log2 of the number of words in the smallest cache
// lines, of instruction caches in bits 3:0 and of data caches in bits 19:16.
func cacheType() uintptr
