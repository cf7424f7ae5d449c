package execmem

func prepare() error { return nil }

// line is a size that no cache line of Apple's CPUs goes below.
const line = 32

// synchronise writes the code back from data caches and drops it from
// instruction caches, of all CPUs. The system call that made the pages
// executable interrupts CPUs that had other code there.
func synchronise(mem []byte) error {
	flushICache(address(mem), uintptr(len(mem)), line, line)
	return nil
}
