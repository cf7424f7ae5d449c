//go:build linux || darwin

package execmem

// flushICache makes instruction fetches of all CPUs see the n bytes at addr as
// data accesses of this one do. dline and iline are the sizes of cache lines,
// or smaller powers of two (Arm ARM, B2.4.4, "Concurrent modification and
// execution of instructions").
//
//go:noescape
func flushICache(addr, n, dline, iline uintptr)
