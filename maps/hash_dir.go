package maps

import (
	"math/bits"
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
)

// A directory is what machine code reads of a hash map: addresses, in memory
// without pointers. What they point to is kept alive by the map, and a table
// that was replaced by the run that may still be in it: the collector frees
// nothing before it has stopped every goroutine, and code cannot be stopped in
// the middle of a lookup.
type directory struct {
	words []uint64
	bytes []byte // the same memory
}

// Places in a directory, by word.
const (
	// DirSeeds is the three seeds of the hash, and DirStart what the hash of
	// keys that are not one word begins with.
	DirSeeds = 0
	DirStart = 3
	// DirClock is the time in a map that evicts, of which the lowest byte
	// counts: code that finds an entry in slot i of a bucket stores it in byte
	// 1+i of the bucket's last word, if it is not there.
	DirClock = 4
	// DirKeys, DirValues and DirSteps have a word for each chunk of entries,
	// in the place of the number of zeros above the top bit of the chunk's
	// entries, taken as 32 bits. The key of entry e is at DirKeys + e·Stride,
	// its value for CPU c at DirValues + e·ValueStride + c·DirSteps.
	DirKeys   = DirClock + 1
	DirValues = DirKeys + 32
	DirSteps  = DirValues + 32
	// DirHome is the address of the first line of the map's home (type home). The
	// line of a key with hash h begins h>>HomeShift & DirMask bytes behind it. Who
	// looks for it loads DirMask first. As long as there is no home, DirMask is 0
	// and DirHome the address of DirNone: zeros, and so a line that tells of no key.
	DirMask = DirSteps + 32
	DirHome = DirMask + 1
	DirNone = DirHome + 1
	// DirTables has a word for each segment: the address of the table's first
	// bucket and, in the lowest six bits, how far to shift a tag for the
	// number of its home.
	DirTables = DirNone + 8
)

func newDirectory(s *seeds, keySize, segs int) directory {
	var d directory
	d.words, d.bytes = mem.Alloc(DirTables + segs)
	copy(d.words[DirSeeds:], s[:])
	d.words[DirStart] = s.start(keySize)
	d.words[DirHome] = d.addr() + 8*DirNone
	return d
}

// setHome notes where the home is.
func (d directory) setHome(addr, mask uint64) {
	atomic.StoreUint64(&d.words[DirHome], addr)
	atomic.StoreUint64(&d.words[DirMask], mask)
}

// addr returns the address of the directory.
func (d directory) addr() uint64 { return mem.Addr(d.bytes) }

// addChunk notes where chunk c is, whose first entry is first.
func (d directory) addChunk(first uint32, c *chunk) {
	i, base := bits.LeadingZeros32(first), mem.Addr(c.bytes)
	top := uint64(1) << (31 - i)
	d.words[DirKeys+i] = base - top*uint64(c.keyStep)*8
	d.words[DirValues+i] = base + uint64(c.valOff)*8 - top*uint64(c.valStep)*8
	d.words[DirSteps+i] = uint64(c.cpuStep) * 8
}

// setTable makes t the table of segment i. The directory comes first: as long
// as machine code can read a table's address there, the segment holds the table.
func (m *hash) setTable(i int, t *table) {
	atomic.StoreUint64(&m.dir.words[DirTables+i], t.addr|uint64(t.shift))
	m.segs[i].table.Store(t)
}
