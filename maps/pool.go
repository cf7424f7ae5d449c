package maps

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
)

// A pool is the memory of a hash map's entries, which it numbers from 2^s. An
// entry never moves; chunks of entries are added when they are needed, each
// twice as large as the one before, so that there are few:
//
//	chunk k   entries 2^k to 2^(k+1) - 1, from k = s on
//
// So an entry's top bit is its chunk, and the bits below are its place there.
// No entry is 0.
//
// Inside a chunk of n entries, in words of 8 bytes:
//
//	hash      key 0, value 0, key 1, value 1, …
//	per-CPU   key 0, key 1, …;  CPU 0: value 0, value 1, …;  CPU 1: …
//
// The entries' state is not here: whoever holds a number knows what it means.
type pool struct {
	keyWords int // words of a key
	valWords int // words of one CPU's value
	cpus     int // values per entry
	end      uint32

	mu     sync.Mutex
	next   uint32 // entries below were handed out
	chunks [32]chunk
	dir    directory // empty: nobody reads it
	slabs  atomic.Pointer[[]mem.Slab]
	bytes  atomic.Int64
}

// A chunk is written once, before the first number of an entry in it is
// published, and only read afterwards.
type chunk struct {
	words   []uint64
	bytes   []byte // the same memory
	keyStep int    // words from a key to the next
	valOff  int    // words before the first value
	valStep int    // words from a value to the next of the same CPU
	cpuStep int    // words from a value to the next CPU's
}

// maxPool is how many entries a pool can have: their numbers have 32 bits.
const maxPool = 1<<32 - 1<<12

// init prepares a pool of up to limit entries. want is how many are expected.
func (p *pool) init(keySize, valueSize, cpus int, want, limit uint32) {
	p.keyWords = (keySize + 7) / 8
	p.valWords = (valueSize + 7) / 8
	p.cpus = cpus
	limit = min(limit, maxPool)
	const firstChunk = 2048 // bytes, or one entry
	n := max(1, firstChunk/p.entryBytes())
	p.next = 1 << bits.Len32(min(uint32(n), want, limit)-1)
	p.end = p.next + limit
	p.slabs.Store(new([]mem.Slab))
}

// entryBytes returns how much memory one entry takes.
func (p *pool) entryBytes() int { return (p.keyWords + p.valWords*p.cpus) * 8 }

// place returns the chunk of entry i and its place in it.
func (p *pool) place(i uint32) (*chunk, int) {
	top := bits.Len32(i) - 1
	return &p.chunks[top&31], int(i ^ 1<<top)
}

// take hands out up to n entries that nobody had before: first to first+got-1.
// None are left if got is 0.
func (p *pool) take(n uint32, proto *mem.Slab) (first, got uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = p.next
	if first >= p.end {
		return 0, 0
	}
	c, at := p.place(first)
	if c.words == nil {
		p.grow(c, first, proto)
	}
	size := uint32(len(c.words) / (p.entryBytes() / 8))
	got = min(n, size-uint32(at))
	p.next += got
	return first, got
}

// steps returns how many words a key and the next, and a value and the next of
// the same CPU, are apart.
func (p *pool) steps() (key, value int) {
	if p.cpus == 1 {
		return p.keyWords + p.valWords, p.keyWords + p.valWords
	}
	return p.keyWords, p.valWords
}

// grow allocates chunk c, whose first entry is first. The last chunk ends at
// the limit.
func (p *pool) grow(c *chunk, first uint32, proto *mem.Slab) {
	p.fill(c, first, min(first, p.end-first), proto)
}

// canSettle reports whether settle can be called with n.
func (p *pool) canSettle(n uint32) bool { return p.end <= 1<<31 && n <= 1<<31-1 }

// settle adds a chunk of n entries for whoever numbers them itself, from first on.
// It is done once at most.
func (p *pool) settle(n uint32, proto *mem.Slab) (first uint32, c *chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	top := max(bits.Len32(p.end-1), bits.Len32(n-1)) // behind all that take hands out
	c = &p.chunks[top]
	p.fill(c, 1<<top, n, proto)
	return 1 << top, c
}

// fill makes c a chunk of size entries, of which the first is first.
func (p *pool) fill(c *chunk, first, size uint32, proto *mem.Slab) {
	n := int(size)
	words, bytes := mem.AllocDense(n * p.entryBytes() / 8)
	*c = chunk{words: words, bytes: bytes}
	c.keyStep, c.valStep = p.steps()
	if p.cpus == 1 {
		c.valOff = p.keyWords
	} else {
		c.valOff = n * p.keyWords
		c.cpuStep = n * p.valWords
	}
	s := *proto
	s.Bytes = bytes[c.valOff*8:]
	s.Stride = uint32(c.valStep * 8)
	slabs := append(*p.slabs.Load(), s) // readers keep the length they have seen
	p.slabs.Store(&slabs)
	if p.dir.words != nil {
		p.dir.addChunk(first, c)
	}
	p.bytes.Add(int64(len(bytes)))
}

// keyWord returns the first word of entry i's key.
func (p *pool) keyWord(i uint32) uint64 {
	c, at := p.place(i)
	return c.words[at*c.keyStep]
}

// entryWords returns the key and the value of entry i, if both are one word and
// there is one value.
func (p *pool) entryWords(i uint32) *[2]uint64 {
	c, at := p.place(i)
	return (*[2]uint64)(c.words[at*2:])
}

// words returns the key of entry i as words.
func (p *pool) words(i uint32) []uint64 {
	c, at := p.place(i)
	off := at * c.keyStep
	return c.words[off : off+p.keyWords : off+p.keyWords]
}

// key returns the first n bytes of the key of entry i.
func (p *pool) key(i uint32, n int) []byte {
	c, at := p.place(i)
	off := at * c.keyStep * 8
	return c.bytes[off : off+n : off+n]
}

// value returns the first n bytes of the value of entry i on cpu.
func (p *pool) value(i uint32, cpu, n int) []byte {
	c, at := p.place(i)
	off := (c.valOff + cpu*c.cpuStep + at*c.valStep) * 8
	return c.bytes[off : off+n : off+n]
}

// at returns the entry in whose value addr lies, of a pool with one value per
// entry.
func (p *pool) at(addr uint64) (i uint32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for top := range p.chunks {
		c := &p.chunks[top]
		off := addr - mem.Addr(c.bytes)
		if off >= uint64(len(c.bytes)) {
			continue
		}
		step := uint64(c.valStep) * 8
		if off%step < uint64(c.valOff)*8 {
			return 0, false // in a key
		}
		return 1<<top + uint32(off/step), true
	}
	return 0, false
}
