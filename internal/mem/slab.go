// Package mem turns addresses into bytes. A pointer in an eBPF register is a
// real address; the checked interpreter and the helpers reach memory only
// through the slices that a run made live, so that nothing outside them can be
// touched, whatever the program computes.
package mem

import (
	"sync/atomic"
	"unsafe"
)

// A Slab is memory that holds equal objects, Stride bytes apart, of which
// programs may touch the first Size bytes each. Bytes never moves and holds no
// Go pointers. A plain region is a slab of one object.
//
// The last object may end before its Stride does.
type Slab struct {
	Bytes     []byte
	Stride    uint32
	Size      uint32
	ReadOnly  bool // programs may not write
	WriteOnly bool // programs may not read
	// Special are the fields of an object that programs reach through helpers
	// alone, in order.
	Special []Special
}

// A Special is such a field: Size bytes from Off of an object on. Kind says
// what it is.
type Special struct {
	Kind      string
	Off, Size uint32
}

// Alloc returns zeroed memory of n words, aligned to 8 bytes, as words and as
// bytes. It holds no Go pointers.
func Alloc(n int) ([]uint64, []byte) {
	if n == 0 {
		return nil, nil
	}
	words := make([]uint64, n)
	return words, unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n*8)
}

// Lines returns words, aliased, in lines of eight; what is left over is not in
// any.
func Lines(words []uint64) [][8]uint64 {
	return unsafe.Slice((*[8]uint64)(unsafe.Pointer(unsafe.SliceData(words))), len(words)/8)
}

// LineAt returns the line that begins off bytes behind the first. The caller vouches
// for its being there.
func LineAt(first *[8]uint64, off uint64) *[8]uint64 {
	return (*[8]uint64)(unsafe.Add(unsafe.Pointer(first), uintptr(off)))
}

// PairAt returns the two words that begin off bytes behind a line. The caller vouches
// for their being there.
func PairAt(line *[8]uint64, off uint64) *[2]uint64 {
	return (*[2]uint64)(unsafe.Add(unsafe.Pointer(line), uintptr(off)))
}

// Index returns how many bytes into slab b begins; ok is false if b does not
// lie inside slab. An empty b counts by where it points.
func Index(slab, b []byte) (off int, ok bool) {
	base, p := uintptr(unsafe.Pointer(unsafe.SliceData(slab))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if b == nil || p < base || p-base > uintptr(len(slab)) || uintptr(len(b)) > uintptr(len(slab))-(p-base) {
		return 0, false
	}
	return int(p - base), true
}

// Word32 returns b's four bytes at off for atomic access. It panics unless off
// is a multiple of 4 inside a slice that is aligned to 4 bytes.
func Word32(b []byte, off int) *atomic.Uint32 {
	p := unsafe.Pointer((*[4]byte)(b[off:]))
	if uintptr(p)&3 != 0 {
		panic("BUG: atomic access to memory that is not aligned")
	}
	return (*atomic.Uint32)(p)
}

// Word32At returns the four bytes at addr for atomic access. The caller vouches
// for them, as for those of At, and for their alignment.
func Word32At(addr uint64) *atomic.Uint32 {
	p := uintptr(addr)
	return *(**atomic.Uint32)(unsafe.Pointer(&p))
}
