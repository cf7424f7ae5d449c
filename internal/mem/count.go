//go:build race || !(amd64 || arm64)

package mem

import "sync/atomic"

// Count adds n to *v, which only the caller writes at this time. Others may
// load it.
func Count(v *atomic.Uint64, n uint64) { v.Store(v.Load() + n) }
