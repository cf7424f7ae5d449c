package maps

import (
	"math/bits"
	"sync"

	"github.com/skepvm/skep/internal/mem"
)

// blocks is where the tables of a hash map's segments come from. Segments fill
// at the same pace, since keys are spread by their hashes; so their tables of one
// size lie in one block, which is large enough for large pages when the tables
// are not. A table keeps its block alive, and the blocks those that still have
// room.
type blocks struct {
	segs int

	mu     sync.Mutex
	blocks [32]block // by the logarithm of the number of buckets
}

// A block has room for a table of each segment.
type block struct {
	words []uint64
	bytes []byte // the same memory
	taken int    // tables that were made
}

// sharedBlock is the least size of a block in bytes.
const sharedBlock = 2 << 20

func (b *blocks) init(segs int) { b.segs = segs }

// table returns a new table for segment i of a map with count entries. buckets
// is a power of two, and larger than in any earlier call for the segment.
func (b *blocks) table(i, buckets int, count int64) *table {
	n := buckets * (slots + 1)
	// A segment that runs ahead of the others, because who chooses the keys
	// knows the seeds, gets a table of its own.
	if n*8*b.segs < sharedBlock || int64(buckets)*int64(b.segs) > count {
		return newTable(mem.AllocDense(n))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := &b.blocks[bits.TrailingZeros(uint(buckets))]
	if k.words == nil {
		k.words, k.bytes = mem.AllocDense(n * b.segs)
	}
	t := newTable(k.words[i*n:][:n:n], k.bytes[i*n*8:][:n*8:n*8])
	if k.taken++; k.taken == b.segs {
		k.words, k.bytes = nil, nil
	}
	return t
}

// rest returns how many bytes no table has yet.
func (b *blocks) rest() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.blocks {
		if k := &b.blocks[i]; k.words != nil {
			n += int64(len(k.bytes)/b.segs) * int64(b.segs-k.taken)
		}
	}
	return n
}

// newTable returns the table that is words, which are zeros; their number is a
// power of two.
func newTable(words []uint64, bytes []byte) *table {
	n := len(words)
	if mem.Addr(bytes)%bucketSize != 0 { // not what Go's allocator does with powers of two
		words, bytes = mem.Alloc(n + slots)
		skip := int(-mem.Addr(bytes)%bucketSize) / 8
		words, bytes = words[skip:skip+n], bytes[skip*8:]
	}
	buckets := uint(n / (slots + 1))
	return &table{mask: uint32(buckets - 1), shift: uint8(32 - bits.TrailingZeros(buckets)), buckets: mem.Lines(words), addr: mem.Addr(bytes)}
}
