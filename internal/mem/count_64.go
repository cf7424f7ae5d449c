//go:build !race && (amd64 || arm64)

package mem

import (
	"sync/atomic"
	"unsafe"
)

// Count adds n to *v, which only the caller writes at this time. Others may
// load it: aligned words are stored whole.
func Count(v *atomic.Uint64, n uint64) { *(*uint64)(unsafe.Pointer(v)) += n }
