//go:build windows && (amd64 || arm64)

package execmem

import (
	"syscall"
	"unsafe"
)

// Default says whether code is used unless a caller decides otherwise: tests
// have run it under Wine on amd64 (make windows), and on no Windows yet.
const Default = false

// hostCalls are what the package asks of the operating system.
type hostCalls struct {
	prepare func() error // reports what is known to be missing
	mapRW   func(size int) ([]byte, error)
	makeRX  func(mem []byte) error
	sync    func(mem []byte) error
	unmap   func(mem []byte) error
}

var host = hostCalls{
	prepare: func() error { return virtualAlloc.Find() },
	mapRW:   mapRW,
	makeRX:  makeRX,
	sync:    flush,
	unmap:   unmap,
}

var (
	kernel32              = syscall.NewLazyDLL("kernel32.dll")
	virtualAlloc          = kernel32.NewProc("VirtualAlloc")
	virtualProtect        = kernel32.NewProc("VirtualProtect")
	virtualFree           = kernel32.NewProc("VirtualFree")
	flushInstructionCache = kernel32.NewProc("FlushInstructionCache")
	getCurrentProcess     = kernel32.NewProc("GetCurrentProcess")
)

// Constants of the Windows API (memoryapi.h, winnt.h).
const (
	memCommit       = 0x1000
	memReserve      = 0x2000
	memRelease      = 0x8000
	pageReadWrite   = 0x04
	pageExecuteRead = 0x20
)

func mapRW(size int) ([]byte, error) {
	addr, _, err := virtualAlloc.Call(0, uintptr(size), memCommit|memReserve, pageReadWrite)
	if addr == 0 {
		return nil, err
	}
	// The memory is not Go's, so the address never changes.
	p := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return unsafe.Slice((*byte)(p), size), nil
}

func makeRX(mem []byte) error {
	var old uint32
	ok, _, err := virtualProtect.Call(address(mem), uintptr(len(mem)), pageExecuteRead, uintptr(unsafe.Pointer(&old)))
	if ok == 0 {
		return err
	}
	return nil
}

// flush puts instruction caches in order, on every CPU.
func flush(mem []byte) error {
	process, _, _ := getCurrentProcess.Call()
	ok, _, err := flushInstructionCache.Call(process, address(mem), uintptr(len(mem)))
	if ok == 0 {
		return err
	}
	return nil
}

func unmap(mem []byte) error {
	ok, _, err := virtualFree.Call(address(mem), 0, memRelease)
	if ok == 0 {
		return err
	}
	return nil
}

func address(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }
