package maps

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
)

// A pool is the memory of a hash map's entries, which it numbers from 0. An
// entry never moves; chunks of entries are added when they are needed, each
// twice as large as the one before, so that there are few:
//
//	chunk k   2^(s+k) entries, from entry 2^s·(2^k - 1) on
//
// With e = entry + 2^s, the chunk is the position of e's top bit, less s, and
// the entry's place in it is the bits below.
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
	shift    int // s
	limit    uint32

	mu     sync.Mutex
	next   uint32 // entries below were handed out
	chunks [33]chunk
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

// init prepares a pool of up to limit entries. want is how many are expected.
func (p *pool) init(keySize, valueSize, cpus int, want, limit uint32) {
	p.keyWords = (keySize + 7) / 8
	p.valWords = (valueSize + 7) / 8
	p.cpus = cpus
	p.limit = limit
	const firstChunk = 2048 // bytes, or one entry
	n := max(1, firstChunk/p.entryBytes())
	p.shift = bits.Len32(min(uint32(n), want, limit) - 1)
	p.slabs.Store(new([]mem.Slab))
}

// entryBytes returns how much memory one entry takes.
func (p *pool) entryBytes() int { return (p.keyWords + p.valWords*p.cpus) * 8 }

// place returns the chunk of entry i and its place in it.
func (p *pool) place(i uint32) (*chunk, int) {
	e := uint64(i) + 1<<p.shift
	top := bits.Len64(e) - 1
	return &p.chunks[(top-p.shift)&31], int(e ^ 1<<top)
}

// take hands out up to n entries that nobody had before: first to first+got-1.
// None are left if got is 0.
func (p *pool) take(n uint32, proto *mem.Slab) (first, got uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = p.next
	if first >= p.limit {
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

// grow allocates chunk c, whose first entry is first. The last chunk ends at
// the limit.
func (p *pool) grow(c *chunk, first uint32, proto *mem.Slab) {
	n := min(int(first)+1<<p.shift, int(p.limit-first))
	words, bytes := mem.Alloc(n * p.entryBytes() / 8)
	*c = chunk{words: words, bytes: bytes}
	if p.cpus == 1 {
		c.keyStep = p.keyWords + p.valWords
		c.valOff = p.keyWords
		c.valStep = c.keyStep
	} else {
		c.keyStep = p.keyWords
		c.valOff = n * p.keyWords
		c.valStep = p.valWords
		c.cpuStep = n * p.valWords
	}
	s := *proto
	s.Bytes = bytes[c.valOff*8:]
	s.Stride = uint32(c.valStep * 8)
	slabs := append(*p.slabs.Load(), s) // readers keep the length they have seen
	p.slabs.Store(&slabs)
	p.bytes.Add(int64(len(bytes)))
}

// keyWord returns the first word of entry i's key.
func (p *pool) keyWord(i uint32) uint64 {
	c, at := p.place(i)
	return c.words[at*c.keyStep]
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
