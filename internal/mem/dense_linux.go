package mem

import "syscall"

const askHuge = true

// wantHuge asks for large pages behind b, whole ones that nothing was written to
// yet. The kernel may have none; then b is as any memory.
func wantHuge(b []byte) {
	const advice = 14 // MADV_HUGEPAGE (include/uapi/asm-generic/mman-common.h)
	syscall.Madvise(b, advice)
}
