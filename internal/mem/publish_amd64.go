//go:build !race

package mem

// Publish stores v in *p: whoever loads it atomically sees all that was stored
// before. It says nothing of loads that come after: stores are in order on amd64
// (SDM vol. 3, 10.2.2, "Memory Ordering in P6 and More Recent Processor
// Families"), and atomic.Store would wait for all of them.
func Publish(p *uint64, v uint64) { *p = v }
