package maps

import (
	"math/bits"

	"github.com/skepvm/skep/internal/mem"
)

// A Layout says where a map keeps its values, for machine code that finds them
// without a call. It never changes, and neither does what it says.
type Layout struct {
	Kind LayoutKind
	// Base is the address of the first value of CPU 0 (LayoutArray), of the
	// directory (LayoutHash), which the constants Dir describe, or of a ring
	// buffer's memory (LayoutRing), which the constants Ring do; or that of what
	// leads to the target of place 0 of a prog array (LayoutProgs), Entries words;
	// or that of the handle of map 0 in an array of maps (LayoutMaps), Entries words,
	// 0 for none, by which FromHandle finds the map, and which is the address of the
	// address of its Layout.Base.
	Base uint64
	// CPUs is how many values an entry has: 1 unless it is a per-CPU map.
	CPUs uint32
	// ValueStride is how many bytes a value and the next of the same CPU are
	// apart.
	ValueStride uint32

	// Of a LayoutArray: how many entries there are, numbered from 0, and how
	// many bytes the values of one are apart. A key is an entry's number, of
	// 4 bytes. Of a LayoutRing: how many bytes the ring has.
	Entries uint32
	CPUStep uint32

	// Of a LayoutHash: the size of a key; how many bytes a key and the next
	// are apart; where in a hash the number of its segment begins, which has
	// SegBits bits.
	KeySize   uint32
	KeyStride uint32
	SegShift  uint8
	SegBits   uint8
	Clock     bool // lookups note when (DirClock)
	Home      bool // keys may lie in a home, to be looked at first (DirHome)
}

// A LayoutKind tells layouts apart.
type LayoutKind uint8

const (
	LayoutArray LayoutKind = 1 + iota
	LayoutHash
	LayoutRing
	LayoutProgs
	LayoutMaps
)

// LayoutOf returns where m keeps its values, or nil if only m knows: maps of
// other packages, whatever they embed, are among those.
func LayoutOf(m Map) *Layout {
	if p, ok := m.(interface{ layout() *Layout }); ok {
		return p.layout()
	}
	return nil
}

func (m *array) layout() *Layout {
	if m.spec.Type != Array && m.spec.Type != PerCPUArray {
		return nil // a lookup may be more than that
	}
	l := &Layout{Kind: LayoutArray, Base: mem.Addr(m.data), Entries: m.spec.MaxEntries, ValueStride: uint32(m.stride), CPUs: uint32(m.cpus)}
	if m.cpus > 1 {
		l.CPUStep = uint32(int(m.spec.MaxEntries) * m.stride)
	}
	return l
}

func (m *hash) layout() *Layout {
	switch m.spec.Type {
	case Hash, PerCPUHash, LRUHash, LRUPerCPUHash:
	default:
		return nil
	}
	keyStep, valueStep := m.pool.steps()
	return &Layout{Kind: LayoutHash, Base: m.dir.addr(), CPUs: uint32(m.cpus), ValueStride: uint32(valueStep) * 8,
		KeySize: m.spec.KeySize, KeyStride: uint32(keyStep) * 8, SegShift: uint8(m.segAt), SegBits: uint8(bits.TrailingZeros(uint(len(m.segs)))), Clock: m.clock != nil, Home: m.lines > 0}
}

func (m *ringBuf) layout() *Layout {
	return &Layout{Kind: LayoutRing, Base: m.base, Entries: m.spec.MaxEntries}
}

func (m *progArray) layout() *Layout {
	return &Layout{Kind: LayoutProgs, Base: m.base, Entries: m.spec.MaxEntries}
}

func (m *arrayOfMaps) layout() *Layout {
	return &Layout{Kind: LayoutMaps, Base: m.base, Entries: m.spec.MaxEntries, CPUs: 1}
}

// InnerLayout returns what is the same of the layouts of all maps that template
// describes: all but Base. It is nil if they differ, or keep their values where only
// they know.
func InnerLayout(template *Spec) *Layout {
	if template == nil || template.Type != Array || template.Flags&InnerMap != 0 {
		return nil // only these have the template's number of entries: SameInner
	}
	return &Layout{Kind: LayoutArray, Entries: template.MaxEntries, ValueStride: uint32(roundUp8(int(template.ValueSize))), CPUs: 1}
}
