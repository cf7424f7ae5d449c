//go:build race || !amd64

package mem

import "sync/atomic"

// Publish stores v in *p: whoever loads it atomically sees all that was stored
// before. It says nothing of loads that come after.
func Publish(p *uint64, v uint64) { atomic.StoreUint64(p, v) }
