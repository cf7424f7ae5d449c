package mem

import "unsafe"

// Addr returns the address of b's first byte as programs see it, or 0 if b has
// no memory. Addresses have 64 bits on every host. The address stays valid for
// as long as something keeps b alive, provided b does not lie on a goroutine's
// stack: store b in heap memory first, which makes it escape.
func Addr(b []byte) uint64 {
	if cap(b) == 0 {
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}

// At returns the n bytes at addr, aliased. The caller vouches for them: a proof
// says that they are there, and something keeps them alive. n = 0 gives an empty
// slice that is not nil.
func At(addr uint64, n int) []byte {
	if n == 0 {
		return []byte{}
	}
	p := uintptr(addr)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n)
}

// Borrow returns v, hidden from escape analysis: passing the result on does
// not force what v points to onto the heap. The callee must not keep it. What
// v's memory points to in turn is not hidden; a caller whose callee keeps that
// must itself let v's contents escape.
func Borrow(v any) any {
	// The pointer is an integer for the length of one assignment. Between the
	// two no call happens, and a goroutine that is preempted there keeps its
	// stack where it is, since such frames are scanned conservatively.
	p := uintptr(unsafe.Pointer(&v))
	return **(**any)(unsafe.Pointer(&p))
}
