package maps

import "github.com/skepvm/skep/internal/mem"

// A Layout says where a map keeps its values, for machine code that finds them
// without a call. It never changes, and neither does what it says.
type Layout struct {
	Kind LayoutKind
	// Base is the address of the first value of CPU 0 (LayoutArray).
	Base uint64
	// Entries is how many entries there are (LayoutArray), numbered from 0: a
	// key is an entry's number, of 4 bytes.
	Entries uint32
	// Stride is how many bytes a value and the next of the same CPU are apart.
	Stride uint32
	// CPUs is how many values an entry has: 1 unless it is a per-CPU map.
	CPUs uint32
	// CPUStep is how many bytes the values of an entry are apart.
	CPUStep uint32
}

// A LayoutKind tells layouts apart.
type LayoutKind uint8

const (
	LayoutArray LayoutKind = 1 + iota
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
	l := &Layout{Kind: LayoutArray, Base: mem.Addr(m.data), Entries: m.spec.MaxEntries, Stride: uint32(m.stride), CPUs: uint32(m.cpus)}
	if m.cpus > 1 {
		l.CPUStep = uint32(int(m.spec.MaxEntries) * m.stride)
	}
	return l
}
