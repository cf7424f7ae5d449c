//go:build !((linux || darwin || windows) && (amd64 || arm64))

package execmem

import (
	"fmt"
	"runtime"
)

// Default says whether code is used unless a caller decides otherwise.
const Default = false

// hostCalls are what the package would ask of the operating system.
type hostCalls struct {
	prepare func() error // reports what is known to be missing
	mapRW   func(size int) ([]byte, error)
	makeRX  func(mem []byte) error
	sync    func(mem []byte) error
	unmap   func(mem []byte) error
}

// host refuses at the first step, so the others are never called.
var host = hostCalls{prepare: func() error {
	return fmt.Errorf("execmem: %w on %s/%s: machine code is written for linux, darwin and windows on amd64 and arm64",
		ErrUnsupported, runtime.GOOS, runtime.GOARCH)
}}

func address([]byte) uintptr { return 0 }

func trap([]byte) {}
