package amd64

import (
	"math/bits"

	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Look-up in a hash map: what package maps does in find, with the directory of
// the map (maps.DirSeeds and those after it). Loads need no fence here: the CPU
// keeps their order.
//
// The key lies in the slot that it prefers, or else, out of line, in another
// slot of its home. Where keys of this home lie in other buckets, too, code
// calls the helper.

// Registers of a look-up. RAX and RDX are free until the tag is known.
const (
	hashKey    = RSI     // address of the key: R2
	hashDir    = scratch // address of the directory
	hashTag    = RAX
	hashBucket = RCX
	hashEntry  = R8  // entry, then the address of its value
	hashFound  = RDI // address of its key
	hashTemp   = RDX
)

func (l *lowerer) InlineHash(pc prog.PC, x *opt.Inline, null, end emit.Label) {
	far, found := l.NewLabel(), l.NewLabel()
	l.mapAddress(hashDir, x.Map, 0)
	if x.Layout.Home {
		l.hashLine(pc, x, null, end)
		return
	}
	l.hashTable(x, far, found)
	l.Late(pc, func() {
		l.Bind(far)
		l.hashSearch(pc, x, found, null, end)
	})
}

// hashLine looks at the line of a key in a map with a home (maps.DirHome). Keys
// that are not there are looked for in the table, out of line. The line's index says
// where the key is, so that no branch depends on it, which the processor could not
// guess.
func (l *lowerer) hashLine(pc prog.PC, x *opt.Inline, null, end emit.Label) {
	const hash, line, entry, shift, key = RAX, RDX, R8, RCX, RDI
	table := l.NewLabel()
	l.hashWord(x.Layout.KeySize)
	l.MovRR(W64, line, hash)
	l.ShrRI(W64, line, maps.HomeShift)
	l.AndRM(W64, line, inDir(maps.DirMask))
	l.AddRM(W64, line, inDir(maps.DirHome))
	l.MovRM(W64, entry, At(line, 0)) // the index
	l.MovRR(W64, shift, entry)
	l.ShrRCL(W64, hash)
	l.AndRI(W32, hash, 60)
	l.MovRR(W32, shift, hash)
	l.ShrRCL(W64, entry)
	l.AndRI(W32, entry, 0xf0)
	l.JccL(E, table)
	l.AddRR(W64, entry, line)
	l.loadZero(Width(bits.Len32(x.Layout.KeySize)-1), key, At(hashKey, 0))
	l.CmpRM(W64, key, At(entry, 0))
	l.JccL(NE, table)
	l.Lea(W64, RAX, At(entry, 8))
	l.Late(pc, func() {
		far, found := l.NewLabel(), l.NewLabel()
		l.Bind(table)
		l.hashTable(x, far, found)
		l.JmpL(end)
		l.Bind(far)
		l.hashSearch(pc, x, found, null, end)
	})
}

// hashTable looks in the slot of the table that the key prefers, goes to far if it
// is not there, and binds found, where the key's entry is known.
func (l *lowerer) hashTable(x *opt.Inline, far, found emit.Label) {
	const r0 = RAX
	if n := x.Layout.KeySize; n == 4 || n == 8 {
		l.hashWord(n)
	} else {
		l.hashBytes(int32(n))
	}
	l.hashHome(x)
	l.MovzxRR(W8, hashTemp, hashTag) // the slot that it prefers
	l.ImulRRI(W32, hashTemp, hashTemp, slots)
	l.ShrRI(W32, hashTemp, 8)
	l.MovRM(W64, hashEntry, Indexed(hashBucket, hashTemp, 8, 0))
	l.MovRR(W64, hashTemp, hashEntry)
	l.ShrRI(W64, hashTemp, 32)
	l.CmpRR(W32, hashTemp, hashTag)
	l.JccL(NE, far)
	l.hashCompare(x, far)
	if x.Layout.Clock {
		l.MovzxRR(W8, hashTemp, hashTag)
		l.ImulRRI(W32, hashTemp, hashTemp, slots)
		l.ShrRI(W32, hashTemp, 8)
		l.hashTouch()
	}
	l.Bind(found)
	if x.Layout.CPUs > 1 {
		l.MovRR(W64, r0, hashEntry)
	} else {
		l.Lea(W64, r0, At(hashFound, int32(x.Layout.KeySize+7)&^7))
	}
}

// slots is how many entries a bucket has; the word after them says whether to
// look further (package maps).
const slots = 7

// hashWord leaves the hash of a key of 4 or 8 bytes in RAX.
func (l *lowerer) hashWord(n uint32) {
	if n == 4 {
		l.MovRM(W32, RAX, At(hashKey, 0))
	} else {
		l.MovRM(W64, RAX, At(hashKey, 0))
	}
	l.XorRM(W64, RAX, inDir(maps.DirSeeds))
	l.MulM(W64, inDir(maps.DirSeeds+1))
	l.XorRR(W64, RAX, RDX)
	l.ImulRM(W64, RAX, inDir(maps.DirSeeds+2))
}

// hashEnd is the last multiplication, for keys that are more than a word.
func (l *lowerer) hashEnd() {
	l.XorRM(W64, RAX, inDir(maps.DirSeeds))
	l.MulM(W64, inDir(maps.DirSeeds+2))
	l.XorRR(W64, RAX, RDX)
}

// hashBytes leaves the hash of a key of n bytes in RAX.
func (l *lowerer) hashBytes(n int32) {
	const h = R8
	at := int32(0)
	l.MovRM(W64, h, inDir(maps.DirStart))
	for ; n-at > 16; at += 16 {
		l.MovRM(W64, RAX, At(hashKey, at))
		l.XorRM(W64, h, At(hashKey, at+8))
		l.hashMix(h)
		l.MovRR(W64, h, RAX)
	}
	switch rest := n - at; {
	case rest >= 8:
		l.MovRM(W64, RAX, At(hashKey, at))
		l.XorRM(W64, h, At(hashKey, n-8))
	case rest >= 4:
		l.MovRM(W32, RAX, At(hashKey, at))
		l.MovRM(W32, RDX, At(hashKey, n-4))
		l.XorRR(W64, h, RDX)
	default:
		l.MovzxRM(W8, RAX, At(hashKey, at))
		l.ShlRI(W32, RAX, 16)
		l.MovzxRM(W8, RDX, At(hashKey, at+rest/2))
		l.ShlRI(W32, RDX, 8)
		l.OrRR(W32, RAX, RDX)
		l.MovzxRM(W8, RDX, At(hashKey, n-1))
		l.OrRR(W32, RAX, RDX)
		l.XorRI(W64, h, rest)
	}
	l.hashMix(h)
	l.hashEnd()
}

// hashMix mixes RAX, a part of the key, with h.
func (l *lowerer) hashMix(h Reg) {
	l.XorRM(W64, RAX, inDir(maps.DirSeeds+1))
	l.MulR(W64, h)
	l.XorRR(W64, RAX, RDX)
}

// hashHome makes the hash in RAX the tag, and finds the key's home.
func (l *lowerer) hashHome(x *opt.Inline) {
	if n := x.Layout.SegBits; n > 0 {
		l.MovRR(W64, RCX, RAX)
		l.ShrRI(W64, RCX, x.Layout.SegShift)
		if x.Layout.SegShift+n < 64 {
			l.AndRI(W32, RCX, 1<<n-1)
		}
		l.MovRM(W64, RCX, Indexed(hashDir, RCX, 8, 8*maps.DirTables))
	} else {
		l.MovRM(W64, RCX, inDir(maps.DirTables))
	}
	l.OrRI(W32, hashTag, 1)
	l.MovRR(W64, hashTemp, hashTag)
	l.ShrRCL(W64, hashTemp) // the table's lowest six bits
	l.AndRI(W64, RCX, -64)
	l.ShlRI(W64, hashTemp, 6)
	l.AddRR(W64, hashBucket, hashTemp)
}

// hashCompare finds the key and the value of hashEntry, whose upper half is
// anything, and goes to differ if the key is another one.
func (l *lowerer) hashCompare(x *opt.Inline, differ emit.Label) {
	l.MovRR(W32, hashEntry, hashEntry)
	if l.features.LZCNT {
		l.LzcntRR(W32, hashTemp, hashEntry)
	} else {
		l.BsrRR(W32, hashTemp, hashEntry)
		l.XorRI(W32, hashTemp, 31)
	}
	l.ImulRRI(W64, hashFound, hashEntry, int32(x.Layout.KeyStride))
	l.AddRM(W64, hashFound, Indexed(hashDir, hashTemp, 8, 8*maps.DirKeys))
	if x.Layout.CPUs > 1 {
		l.ImulRRI(W64, hashEntry, hashEntry, int32(x.Layout.ValueStride))
		l.AddRM(W64, hashEntry, Indexed(hashDir, hashTemp, 8, 8*maps.DirValues))
		l.MovRM(W64, hashTemp, Indexed(hashDir, hashTemp, 8, 8*maps.DirSteps))
		l.ImulRM(W64, hashTemp, memory(lower.CPU(x)))
		l.AddRR(W64, hashEntry, hashTemp)
	}
	for _, part := range opt.Pieces(x.Layout.KeySize) {
		w := Width(part.Log)
		l.loadZero(w, hashTemp, At(hashKey, part.At))
		l.CmpRM(w, hashTemp, At(hashFound, part.At))
		l.JccL(NE, differ)
	}
}

// hashSearch looks through all slots of the home.
func (l *lowerer) hashSearch(pc prog.PC, x *opt.Inline, found, null, end emit.Label) {
	const index = hashTemp
	loop, differ, next := l.NewLabel(), l.NewLabel(), l.NewLabel()
	l.ZeroR(index)
	l.Bind(loop)
	l.MovRM(W64, hashEntry, Indexed(hashBucket, index, 8, 0))
	l.MovRR(W64, hashFound, hashEntry)
	l.ShrRI(W64, hashFound, 32)
	l.CmpRR(W32, hashFound, hashTag)
	l.JccL(NE, next)
	l.MovMR(W64, inFrame(layout.Scratch), index)
	l.hashCompare(x, differ)
	if x.Layout.Clock {
		l.MovRM(W64, index, inFrame(layout.Scratch))
		l.hashTouch()
	}
	l.JmpL(found)
	l.Bind(differ)
	l.MovRM(W64, index, inFrame(layout.Scratch))
	l.Bind(next)
	l.AddRI(W32, index, 1)
	l.CmpRI(W32, index, slots)
	l.JccL(B, loop)
	l.CmpMI(W8, At(hashBucket, 8*slots), 0)
	l.JccL(E, null)

	l.MovRI(hashTemp, layout.MapHandle|uint64(x.Map))
	l.MovMR(W64, inCtx(rt.OffArg), hashTemp)
	l.MovMR(W64, inCtx(rt.OffArg+8), hashKey)
	if x.GivenCPU {
		l.MovRM(W64, hashTemp, memory(lower.CPU(x)))
		l.MovMR(W64, inCtx(rt.OffArg+16), hashTemp)
	}
	l.CallAside(pc, end)
}

// hashTouch notes that the entry in the slot with the number in hashTemp is used.
// The tag is needed no more.
func (l *lowerer) hashTouch() {
	const now = hashTag
	noted := l.NewLabel()
	used := Indexed(hashBucket, hashTemp, 1, 8*slots+1)
	l.MovzxRM(W8, now, inDir(maps.DirClock))
	l.CmpMR(W8, used, now)
	l.JccL(E, noted)
	l.MovMR(W8, used, now)
	l.Bind(noted)
}

// inDir is word i of the directory.
func inDir(i int32) Mem { return At(hashDir, 8*i) }
