package mem

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Atomic operations on program memory. Each takes the bytes it acts on, which
// must start at a multiple of their number, and is sequentially consistent: on
// Go's memory model there is no weaker form, and none is needed (RFC 9669,
// section 5.3, leaves the order of the forms without FETCH open).

// swapped is true on big-endian hosts, where the words of a little-endian
// program are stored the other way round.
var swapped = binary.NativeEndian.Uint16([]byte{1, 0}) != 1

func le64(v uint64) uint64 {
	if swapped {
		return bits.ReverseBytes64(v)
	}
	return v
}

func le32(v uint32) uint32 {
	if swapped {
		return bits.ReverseBytes32(v)
	}
	return v
}

func word64(b []byte) *uint64 { return (*uint64)(unsafe.Pointer(&b[:8][0])) }
func word32(b []byte) *uint32 { return (*uint32)(unsafe.Pointer(&b[:4][0])) }

// Aligned reports whether addr is a multiple of n, a power of two.
func Aligned(addr uint64, n int) bool { return addr&uint64(n-1) == 0 }

// Update64 replaces the 8 bytes of b by f(old) in one step and returns old. f
// may be called more than once.
func Update64(b []byte, f func(old uint64) uint64) (old uint64) {
	p := word64(b)
	for {
		o := atomic.LoadUint64(p)
		old = le64(o)
		if atomic.CompareAndSwapUint64(p, o, le64(f(old))) {
			return old
		}
	}
}

// Update32 is Update64 for 4 bytes.
func Update32(b []byte, f func(old uint32) uint32) (old uint32) {
	p := word32(b)
	for {
		o := atomic.LoadUint32(p)
		old = le32(o)
		if atomic.CompareAndSwapUint32(p, o, le32(f(old))) {
			return old
		}
	}
}

// Add64 adds v to the 8 bytes of b and returns what they were.
func Add64(b []byte, v uint64) (old uint64) {
	if swapped {
		return Update64(b, func(old uint64) uint64 { return old + v })
	}
	return atomic.AddUint64(word64(b), v) - v
}

// Add32 adds v to the 4 bytes of b and returns what they were.
func Add32(b []byte, v uint32) (old uint32) {
	if swapped {
		return Update32(b, func(old uint32) uint32 { return old + v })
	}
	return atomic.AddUint32(word32(b), v) - v
}

// LoadAcquire returns the 1, 2, 4 or 8 bytes of b; no later access of the same
// run is seen to happen before it.
func LoadAcquire(b []byte) uint64 {
	switch len(b) {
	case 8:
		return le64(atomic.LoadUint64(word64(b)))
	case 4:
		return uint64(le32(atomic.LoadUint32(word32(b))))
	default:
		p, shift := around(b)
		v := le32(atomic.LoadUint32(p)) >> shift
		return uint64(v) & (1<<(8*len(b)) - 1)
	}
}

// StoreRelease stores the low bytes of v in b, 1, 2, 4 or 8 of them; no
// earlier access of the same run is seen to happen after it.
func StoreRelease(b []byte, v uint64) {
	switch len(b) {
	case 8:
		atomic.StoreUint64(word64(b), le64(v))
	case 4:
		atomic.StoreUint32(word32(b), le32(uint32(v)))
	default:
		p, shift := around(b)
		mask := uint32(1<<(8*len(b))-1) << shift
		for {
			o := atomic.LoadUint32(p)
			n := le32(o)&^mask | uint32(v)<<shift&mask
			if atomic.CompareAndSwapUint32(p, o, le32(n)) {
				return
			}
		}
	}
}

// around returns the aligned word that b, of 1 or 2 bytes, is part of, and by
// how many bits b is shifted in it. The word lies in the same block of memory:
// the allocator gives out multiples of 8 bytes on multiples of 8.
func around(b []byte) (p *uint32, shift uint) {
	first := unsafe.Pointer(&b[0])
	in := uintptr(first) & 3
	return (*uint32)(unsafe.Add(first, -int(in))), uint(in) * 8
}
