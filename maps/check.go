package maps

import (
	"math"

	"github.com/skepvm/skep/errno"
)

// The checks of a description, in the kernel's order, so that a description
// with two faults gets the kernel's errno.

// accessMask is BPF_F_ACCESS_MASK (include/linux/bpf.h).
const accessMask = ReadOnly | WriteOnly | ReadOnlyProg | WriteOnlyProg

// checkCommon does what map_create (kernel/bpf/syscall.c) does for every type.
func checkCommon(s *Spec) error {
	if s.Type != BloomFilter && s.Type != Arena && s.Extra != 0 {
		return refuse(s, errno.EINVAL, "map_extra is %#x, which type %v has no use for", s.Extra, s.Type)
	}
	if s.Flags&(ReadOnly|WriteOnly) == ReadOnly|WriteOnly {
		return refuse(s, errno.EINVAL, "flags %v exclude each other", ReadOnly|WriteOnly)
	}
	return nil
}

func checkFlags(s *Spec, allowed Flags) error {
	if bad := s.Flags &^ allowed; bad != 0 {
		return refuse(s, errno.EINVAL, "flags %v are not for type %v", bad, s.Type)
	}
	if s.Flags&(ReadOnlyProg|WriteOnlyProg) == ReadOnlyProg|WriteOnlyProg {
		return refuse(s, errno.EINVAL, "flags %v exclude each other", ReadOnlyProg|WriteOnlyProg)
	}
	return nil
}

// maxPerCPUValue is PCPU_MIN_UNIT_SIZE, the most one per-CPU allocation holds.
const maxPerCPUValue = 32 << 10

// checkArray is array_map_alloc_check (kernel/bpf/arraymap.c).
func checkArray(s *Spec) error {
	allowed := NUMANode | accessMask
	switch s.Type {
	case Array:
		allowed |= MMapable | InnerMap
	case PerCPUArray:
		allowed &^= NUMANode // percpu && numa_node != NUMA_NO_NODE
	}
	switch {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.KeySize != 4:
		return refuse(s, errno.EINVAL, "key size is %d, not 4", s.KeySize)
	case s.ValueSize == 0:
		return refuse(s, errno.EINVAL, "value size is 0")
	}
	if err := checkFlags(s, allowed); err != nil {
		return err
	}
	switch {
	case s.ValueSize > math.MaxInt32:
		return refuse(s, errno.E2BIG, "value size is %d, more than %d", s.ValueSize, math.MaxInt32)
	case s.Type == PerCPUArray && (uint64(s.ValueSize)+7)&^7 > maxPerCPUValue:
		return refuse(s, errno.E2BIG, "value size is %d, more than %d", s.ValueSize, maxPerCPUValue)
	}
	return nil
}

// maxAlloc is KMALLOC_MAX_SIZE of a kernel with 4 KiB pages.
const maxAlloc = 4 << 20

// maxHashEntry is what key and value of a hash entry must fit in: maxAlloc, less
// sizeof(struct htab_elem).
const maxHashEntry = maxAlloc - 48

// checkHash is htab_map_alloc_check (kernel/bpf/hashtab.c).
func checkHash(s *Spec) error {
	perCPU := s.Type == PerCPUHash || s.Type == LRUPerCPUHash
	lru := s.Type == LRUHash || s.Type == LRUPerCPUHash
	if err := checkFlags(s, NoPrealloc|NoCommonLRU|NUMANode|ZeroSeed|accessMask); err != nil {
		return err
	}
	switch {
	case !lru && s.Flags&NoCommonLRU != 0:
		return refuse(s, errno.EINVAL, "flag %v is not for type %v", NoCommonLRU, s.Type)
	case lru && s.Flags&NoPrealloc != 0:
		return refuse(s, errno.ENOTSUPP, "flag %v is not for type %v", NoPrealloc, s.Type)
	case s.Flags&NUMANode != 0 && (perCPU || s.Flags&NoCommonLRU != 0):
		return refuse(s, errno.EINVAL, "flag %v is for values that all CPUs share", NUMANode)
	}
	size := uint64(s.KeySize) + uint64(s.ValueSize)
	switch {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.KeySize == 0:
		return refuse(s, errno.EINVAL, "key size is 0")
	case s.ValueSize == 0:
		return refuse(s, errno.EINVAL, "value size is 0")
	case size >= maxHashEntry:
		return refuse(s, errno.E2BIG, "key and value take %d bytes, not less than %d", size, maxHashEntry)
	case perCPU && (uint64(s.ValueSize)+7)&^7 > maxPerCPUValue:
		return refuse(s, errno.E2BIG, "value size is %d, more than %d", s.ValueSize, maxPerCPUValue)
	}
	return nil
}

// checkFDArray is fd_array_map_alloc_check (kernel/bpf/arraymap.c), for arrays
// of what bpf(2) names by file descriptors.
func checkFDArray(s *Spec) error {
	if s.ValueSize != 4 {
		return refuse(s, errno.EINVAL, "value size is %d, not 4", s.ValueSize)
	}
	if bad := s.Flags & (ReadOnlyProg | WriteOnlyProg); bad != 0 {
		return refuse(s, errno.EINVAL, "flags %v are not for type %v", bad, s.Type)
	}
	return checkArray(s)
}

// ringPage is what a ring buffer's size is a multiple of: the page size of the
// kernels that objects are written for, on every host.
const ringPage = 4096

// checkRingBuf is what ringbuf_map_alloc (kernel/bpf/ringbuf.c) checks.
func checkRingBuf(s *Spec) error {
	if err := checkFlags(s, NUMANode); err != nil {
		return err
	}
	switch {
	case s.KeySize != 0:
		return refuse(s, errno.EINVAL, "key size is %d, not 0", s.KeySize)
	case s.ValueSize != 0:
		return refuse(s, errno.EINVAL, "value size is %d, not 0", s.ValueSize)
	case s.MaxEntries == 0 || s.MaxEntries&(s.MaxEntries-1) != 0 || s.MaxEntries%ringPage != 0:
		return refuse(s, errno.EINVAL, "max_entries is %d bytes, not a power of two and a multiple of %d", s.MaxEntries, ringPage)
	}
	return nil
}
