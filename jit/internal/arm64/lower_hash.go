package arm64

import (
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/jit/internal/lower"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Look-up in a hash map: what package maps does in find, with the directory of
// the map (maps.DirSeeds and those after it).
//
// Loads of a table's address and of a slot are load-acquire. That orders what
// they lead to after them, and them after the run's announcement of itself,
// which is a store-release (package vcpu): LDAPR would not (Arm ARM, B2.3.11).
//
// The key lies in the slot that it prefers, or else, out of line, in another
// slot of its home. Where keys of this home lie in other buckets, too, code
// calls the helper.

// Registers of a look-up. R0, R1, R9 and R10 hold nothing for long.
const (
	hashKey    = R3 // address of the key: the program's R2
	hashDir    = tmp2
	hashTag    = R4
	hashBucket = R5
	hashEntry  = R6 // entry, then the address of its value
	hashFound  = R2 // address of its key
)

func (l *lowerer) InlineHash(pc prog.PC, x *opt.Inline, null, end emit.Label) {
	far, found := l.NewLabel(), l.NewLabel()
	l.mapAddress(hashDir, x.Map, 0)
	if n := x.Layout.KeySize; n == 4 || n == 8 {
		l.hashWord(n)
	} else {
		l.hashBytes(int32(n))
	}
	search := func() {
		l.Bind(far)
		l.hashSearch(pc, x, found, null, end)
	}
	if !x.Layout.Home {
		l.hashTable(x, far, found)
		l.Late(pc, search)
		return
	}
	table := l.NewLabel()
	l.hashLine(x, table)
	l.Late(pc, func() {
		l.Bind(table)
		l.hashTable(x, far, found)
		l.B(end)
		search()
	})
}

// hashLine looks at the line of the key with the hash in R0, in a map with a home
// (maps.DirHome), and goes to table if it is not there. The line's index says where
// the key is, so that no branch depends on it, which the processor could not guess.
func (l *lowerer) hashLine(x *opt.Inline, table emit.Label) {
	const line, index, part, key = R1, R2, R4, R6
	size := S64
	if x.Layout.KeySize == 4 {
		size = S32
	}
	l.AddI(W64, tmp0, hashDir, 8*maps.DirMask)
	l.Ldar(S64, tmp0, tmp0)
	l.AndShifted(W64, line, tmp0, R0, LSR, maps.HomeShift)
	l.Ldr(S64, tmp0, inDir(maps.DirHome))
	l.Add(W64, line, tmp0, line)
	l.Ldar(S64, index, line)
	l.Lsrv(W64, part, R0, index) // by the lowest six bits
	l.AndI(W64, part, part, 60)
	l.Lsrv(W64, index, index, part)
	l.AndI(W64, index, index, 0xf0)
	l.Cbz(W64, index, table)
	l.Add(W64, line, line, index)
	l.Ldr(size, key, At(hashKey, 0))
	l.Ldr(S64, tmp0, At(line, 0))
	l.Cmp(W64, key, tmp0)
	l.BCond(NE, table)
	l.AddI(W64, R0, line, 8)
}

// hashTable looks in the slot of the table that the key with the hash in R0
// prefers, goes to far if it is not there, and binds found, where the key's entry
// is known.
func (l *lowerer) hashTable(x *opt.Inline, far, found emit.Label) {
	l.hashHome(x)
	l.hashPreferred()
	l.hashSlot(tmp0, far)
	l.hashCompare(x, far)
	if x.Layout.Clock {
		l.hashPreferred()
		l.hashTouch()
	}
	l.Bind(found)
	if x.Layout.CPUs > 1 {
		l.Mov(W64, R0, hashEntry)
	} else {
		l.AddI(W64, R0, hashFound, (x.Layout.KeySize+7)&^7)
	}
}

// slots is how many entries a bucket has; the word after them says whether to
// look further (package maps).
const slots = 7

// hashWord leaves the hash of a key of 4 or 8 bytes in R0.
func (l *lowerer) hashWord(n uint32) {
	s := S64
	if n == 4 {
		s = S32
	}
	l.Ldr(s, R0, At(hashKey, 0))
	l.Ldr(S64, tmp0, inDir(maps.DirSeeds))
	l.Ldr(S64, tmp1, inDir(maps.DirSeeds+1))
	l.Eor(W64, R0, R0, tmp0)
	l.Ldr(S64, tmp0, inDir(maps.DirSeeds+2))
	l.hashMix(tmp1)
	l.Mul(W64, R0, R0, tmp0)
}

// hashEnd is the last multiplication, for keys that are more than a word.
func (l *lowerer) hashEnd() {
	l.Ldr(S64, tmp0, inDir(maps.DirSeeds))
	l.Ldr(S64, tmp1, inDir(maps.DirSeeds+2))
	l.Eor(W64, R0, R0, tmp0)
	l.hashMix(tmp1)
}

// hashMix mixes R0 with by.
func (l *lowerer) hashMix(by Reg) {
	l.Umulh(R1, R0, by)
	l.Mul(W64, R0, R0, by)
	l.Eor(W64, R0, R0, R1)
}

// hashBytes leaves the hash of a key of n bytes in R0.
func (l *lowerer) hashBytes(n int32) {
	const h, seed = R4, R5
	at := int32(0)
	l.Ldr(S64, h, inDir(maps.DirStart))
	l.Ldr(S64, seed, inDir(maps.DirSeeds+1))
	part := func() { // mixes R0 and tmp1, parts of the key
		l.Eor(W64, R0, R0, seed)
		l.Eor(W64, h, h, tmp1)
		l.hashMix(h)
	}
	for ; n-at > 16; at += 16 {
		l.Ldr(S64, R0, At(hashKey, at))
		l.Ldr(S64, tmp1, At(hashKey, at+8))
		part()
		l.Mov(W64, h, R0)
	}
	switch rest := n - at; {
	case rest >= 8:
		l.Ldr(S64, R0, At(hashKey, at))
		l.Ldr(S64, tmp1, At(hashKey, n-8))
	case rest >= 4:
		l.Ldr(S32, R0, At(hashKey, at))
		l.Ldr(S32, tmp1, At(hashKey, n-4))
	default:
		l.Ldr(S8, R0, At(hashKey, n-1))
		l.Ldr(S8, tmp0, At(hashKey, at+rest/2))
		l.OrrShifted(W32, R0, R0, tmp0, LSL, 8)
		l.Ldr(S8, tmp0, At(hashKey, at))
		l.OrrShifted(W32, R0, R0, tmp0, LSL, 16)
		l.MovI(tmp1, uint64(rest))
	}
	part()
	l.hashEnd()
}

// hashHome makes the hash in R0 the tag, and finds the key's home.
func (l *lowerer) hashHome(x *opt.Inline) {
	table := hashDir
	if n := uint(x.Layout.SegBits); n > 0 {
		table = R1
		l.Ubfx(W64, R1, R0, uint(x.Layout.SegShift), n)
		l.AddShifted(W64, R1, hashDir, R1, LSL, 3)
	}
	l.AddI(W64, R1, table, 8*maps.DirTables)
	l.Ldar(S64, R1, R1)
	l.OrrI(W32, hashTag, R0, 1)
	l.Lsrv(W64, tmp0, hashTag, R1) // by the lowest six bits
	l.AndI(W64, hashBucket, R1, ^uint64(63))
	l.AddShifted(W64, hashBucket, hashBucket, tmp0, LSL, 6)
}

// hashPreferred leaves the slot that the tag prefers in tmp0.
func (l *lowerer) hashPreferred() {
	l.Uxtb(tmp0, hashTag)
	l.LslI(W32, tmp1, tmp0, 3)
	l.Sub(W32, tmp0, tmp1, tmp0)
	l.LsrI(W32, tmp0, tmp0, 8)
}

// hashTouch notes that the entry in the slot with the number in tmp0 is used. It
// uses R0 and R1.
func (l *lowerer) hashTouch() {
	noted := l.NewLabel()
	l.Ldr(S8, tmp1, inDir(maps.DirClock))
	l.Add(W64, R1, hashBucket, tmp0)
	l.Ldr(S8, R0, At(R1, 8*slots+1))
	l.Cmp(W32, R0, tmp1)
	l.BCond(EQ, noted)
	l.Str(S8, tmp1, At(R1, 8*slots+1))
	l.Bind(noted)
}

// hashSlot loads slot i of the bucket, and goes to differ if its tag is another
// one.
func (l *lowerer) hashSlot(i Reg, differ emit.Label) {
	l.AddShifted(W64, tmp1, hashBucket, i, LSL, 3)
	l.Ldar(S64, hashEntry, tmp1)
	l.CmpShifted(W64, hashTag, hashEntry, LSR, 32)
	l.BCond(NE, differ)
}

// hashCompare finds the key and the value of hashEntry, whose upper half is
// anything, and goes to differ if the key is another one.
func (l *lowerer) hashCompare(x *opt.Inline, differ emit.Label) {
	l.Mov(W32, hashEntry, hashEntry)
	l.Clz(W32, tmp0, hashEntry)
	l.AddShifted(W64, R1, hashDir, tmp0, LSL, 3)
	l.MovI(tmp1, uint64(x.Layout.KeyStride))
	l.Ldr(S64, hashFound, At(R1, 8*maps.DirKeys))
	l.Madd(W64, hashFound, hashEntry, tmp1, hashFound)
	if x.Layout.CPUs > 1 {
		l.MovI(tmp1, uint64(x.Layout.ValueStride))
		l.Ldr(S64, R0, At(R1, 8*maps.DirValues))
		l.Madd(W64, hashEntry, hashEntry, tmp1, R0)
		l.Ldr(S64, R0, At(R1, 8*maps.DirSteps))
		l.Ldr(S64, tmp1, l.memory(lower.CPU(x)))
		l.Madd(W64, hashEntry, R0, tmp1, hashEntry)
	}
	for _, part := range opt.Pieces(x.Layout.KeySize) {
		l.Ldr(Size(part.Log), tmp0, At(hashKey, part.At))
		l.Ldr(Size(part.Log), tmp1, At(hashFound, part.At))
		l.Cmp(W64, tmp0, tmp1)
		l.BCond(NE, differ)
	}
}

// hashSearch looks through all slots of the home.
func (l *lowerer) hashSearch(pc prog.PC, x *opt.Inline, found, null, end emit.Label) {
	const index = tmp0
	loop, differ, next := l.NewLabel(), l.NewLabel(), l.NewLabel()
	l.MovI(index, 0)
	l.Bind(loop)
	l.hashSlot(index, next)
	l.Str(S64, index, inFrame(layout.Scratch))
	l.hashCompare(x, differ)
	if x.Layout.Clock {
		l.Ldr(S64, index, inFrame(layout.Scratch))
		l.hashTouch()
	}
	l.B(found)
	l.Bind(differ)
	l.Ldr(S64, index, inFrame(layout.Scratch))
	l.Bind(next)
	l.AddI(W64, index, index, 1)
	l.CmpI(W64, index, slots)
	l.BCond(LO, loop)
	l.AddI(W64, tmp1, hashBucket, 8*slots)
	l.Ldar(S64, tmp1, tmp1)
	l.Uxtb(tmp1, tmp1)
	l.Cbz(W64, tmp1, null)

	l.MovI(tmp0, layout.MapHandle|uint64(x.Map))
	l.Stp(W64, tmp0, hashKey, inCtx(rt.OffArg))
	if x.GivenCPU {
		l.Ldr(S64, tmp0, l.memory(lower.CPU(x)))
		l.Str(S64, tmp0, inCtx(rt.OffArg+16))
	}
	l.CallAside(pc, end)
}

// inDir is word i of the directory.
func inDir(i int32) Mem { return At(hashDir, 8*i) }
