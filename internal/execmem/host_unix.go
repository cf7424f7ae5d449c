//go:build (linux || darwin) && (amd64 || arm64)

package execmem

import (
	"syscall"
	"unsafe"
)

// hostCalls are what the package asks of the operating system.
type hostCalls struct {
	prepare func() error // reports what is known to be missing
	mapRW   func(size int) ([]byte, error)
	makeRX  func(mem []byte) error
	sync    func(mem []byte) error
	unmap   func(mem []byte) error
}

var host = hostCalls{
	prepare: prepare,
	mapRW: func(size int) ([]byte, error) {
		return syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	},
	makeRX: func(mem []byte) error { return syscall.Mprotect(mem, syscall.PROT_READ|syscall.PROT_EXEC) },
	sync:   synchronise,
	unmap:  syscall.Munmap,
}

func address(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }
