package execmem

// Align is the alignment of each piece of code in a batch: a cache line.
const Align = 64

// A Batch collects code that is sealed together, so that small programs share
// pages. The zero value is empty. A Batch is used by one goroutine.
type Batch struct {
	code []byte
}

// Add appends a copy of code, which must not depend on where it will be, and
// returns its offset in the block to come, a multiple of Align.
func (b *Batch) Add(code []byte) (off int) {
	pad := -len(b.code) & (Align - 1)
	for range pad {
		b.code = append(b.code, 0)
	}
	trap(b.code[len(b.code)-pad:])
	off = len(b.code)
	b.code = append(b.code, code...)
	return off
}

// Len returns how many bytes the batch has.
func (b *Batch) Len() int { return len(b.code) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.code = b.code[:0] }

// Seal makes the collected code executable. The batch keeps its contents and
// does not share memory with the block. An empty batch is an error.
func (b *Batch) Seal() (*Block, error) {
	return seal(len(b.code), func(mem []byte) {
		n := copy(mem, b.code)
		trap(mem[n:])
	})
}
