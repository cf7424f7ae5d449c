// Package mem turns addresses into bytes. A pointer in an eBPF register is a
// real address; the checked interpreter and the helpers reach memory only
// through the slices that a run made live, so that nothing outside them can be
// touched, whatever the program computes.
package mem

// A Slab is memory that holds equal objects, Stride bytes apart, of which
// programs may touch the first Size bytes each. Bytes never moves and holds no
// Go pointers. A plain region is a slab of one object.
type Slab struct {
	Bytes    []byte
	Stride   uint32
	Size     uint32
	ReadOnly bool // programs may not write
}
