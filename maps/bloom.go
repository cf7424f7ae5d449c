package maps

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// bloom is a BPF_MAP_TYPE_BLOOM_FILTER: a set of values that never says no to a
// value that was pushed, and sometimes yes to one that was not
// (kernel/bpf/bloom_filter.c). map_extra is the number of hash functions, 1 to
// 15, 5 if it is 0. Nothing can be taken out.
//
// The hash functions and the size are the kernel's, so that a filter with
// BPF_F_ZERO_SEED gives the kernel's answers, the wrong ones too.
type bloom struct {
	keyless
	hashes uint32
	seed   uint32
	mask   uint32
	bits   []uint32
}

// defaultBloomHashes is how many hash functions a filter has that names none.
const defaultBloomHashes = 5

func newBloom(spec *Spec) (Map, error) {
	m := &bloom{hashes: uint32(spec.Extra)}
	if m.hashes == 0 {
		m.hashes = defaultBloomHashes
	}
	m.mask = bloomMask(spec.MaxEntries, m.hashes)
	words := uint64(m.mask)/32 + 1
	if err := checkMemory(spec, words, 4); err != nil {
		return nil, err
	}
	if spec.Flags&ZeroSeed == 0 {
		m.seed = rand.Uint32()
	}
	m.bits = make([]uint32, words)
	m.none, m.push = errno.EOPNOTSUPP, m.put
	m.init(spec)
	return m, nil
}

// bloomMask returns the number of bits, a power of two, less one: at least 7/5,
// about 1/ln 2, for each entry and hash function.
func bloomMask(entries, hashes uint32) uint32 {
	n := uint64(entries) * uint64(hashes)
	if n > 1<<32-1 {
		return 1<<32 - 1
	}
	n = n / 5 * 7
	if n > 1<<31 {
		return 1<<32 - 1
	}
	if n <= 64 {
		return 63
	}
	return uint32(1)<<bits.Len32(uint32(n)-1) - 1
}

func (m *bloom) Bytes() int64 { return int64(len(m.bits)) * 4 }

// place returns the bit that hash function i has for value.
func (m *bloom) place(value []byte, i uint32) (word *uint32, bit uint32) {
	h := jhash(value, m.seed+i) & m.mask
	return &m.bits[h/32], 1 << (h % 32)
}

func (m *bloom) put(value []byte, flags UpdateFlags) error {
	if flags != Any {
		return errno.EINVAL
	}
	for i := range m.hashes {
		word, bit := m.place(value, i)
		atomic.OrUint32(word, bit)
	}
	return nil
}

func (m *bloom) peek(value []byte) error {
	for i := range m.hashes {
		if word, bit := m.place(value, i); atomic.LoadUint32(word)&bit == 0 {
			return errno.ENOENT
		}
	}
	return nil
}

// PopElem returns EOPNOTSUPP.
func (m *bloom) PopElem([]byte) error { return errno.EOPNOTSUPP }

// PeekElem reports whether value may be in the set; ENOENT: it is not.
func (m *bloom) PeekElem(value []byte) error {
	if err := m.checkValue(value, m.value.size); err != nil {
		return err
	}
	return m.peek(value)
}

// Lookup reports whether value, which it reads, may be in the set; ENOENT: it
// is not. key is empty.
func (m *bloom) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.peek(value)
}

// checkBloom is bloom_map_alloc_check, and what bloom_map_alloc checks.
func checkBloom(s *Spec) error {
	switch {
	case s.ValueSize > maxAlloc:
		return refuse(s, errno.E2BIG, "value size is %d, more than %d", s.ValueSize, maxAlloc)
	case s.KeySize != 0:
		return refuse(s, errno.EINVAL, "key size is %d, not 0", s.KeySize)
	case s.ValueSize == 0:
		return refuse(s, errno.EINVAL, "value size is 0")
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.Extra&^0xf != 0:
		return refuse(s, errno.EINVAL, "map_extra is %#x: more than 15 hash functions", s.Extra)
	}
	return checkFlags(s, NUMANode|ZeroSeed|accessMask)
}
