package state

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// StackSize is how many bytes of stack one frame has, at offsets −StackSize to
// −1 from R10.
const StackSize = 512

// Memory is the stack of one frame, byte for byte. Bytes that a Cell covers
// have a known content; of the others only is known whether they were written.
type Memory struct {
	cells []Cell // sorted by Off, disjoint
	init  [StackSize / 64]uint64
}

// A Cell is Size bytes at Off that hold Reg: a pointer (Size 8), or a scalar
// that fits Size bytes.
type Cell struct {
	Off  int16
	Size uint8
	Reg  Reg
}

// Cells returns the cells, which must not be changed.
func (m *Memory) Cells() []Cell { return m.cells }

// Init reports whether every byte of [off, off+size) was written.
func (m *Memory) Init(off, size int) bool {
	for i := off; i < off+size; i++ {
		if b := i + StackSize; m.init[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

func (m *Memory) setInit(off, size int) {
	for i := off; i < off+size; i++ {
		b := i + StackSize
		m.init[b/64] |= 1 << (b % 64)
	}
}

// overlap returns the range of cells that share a byte with [off, off+size).
func (m *Memory) overlap(off, size int) (lo, hi int) {
	for lo < len(m.cells) && int(m.cells[lo].Off)+int(m.cells[lo].Size) <= off {
		lo++
	}
	hi = lo
	for hi < len(m.cells) && int(m.cells[hi].Off) < off+size {
		hi++
	}
	return lo, hi
}

// HasPointer reports whether [off, off+size) holds part of a pointer.
func (m *Memory) HasPointer(off, size int) bool {
	lo, hi := m.overlap(off, size)
	for _, c := range m.cells[lo:hi] {
		if c.Reg.Kind.IsPointer() {
			return true
		}
	}
	return false
}

// forget drops what is known of [off, off+size). Constants that reach over the
// ends keep the bytes outside.
func (m *Memory) forget(off, size int) {
	lo, hi := m.overlap(off, size)
	if lo == hi {
		return
	}
	var rest [2]Cell
	n := 0
	if c := m.cells[lo]; int(c.Off) < off && c.Reg.IsConst() {
		k := uint8(off - int(c.Off))
		rest[n] = Cell{c.Off, k, Const(c.Reg.Uint() & mask(k))}
		n++
	}
	if c := m.cells[hi-1]; int(c.Off)+int(c.Size) > off+size && c.Reg.IsConst() {
		skip := off + size - int(c.Off)
		rest[n] = Cell{int16(off + size), c.Size - uint8(skip), Const(c.Reg.Uint() >> (8 * skip))}
		n++
	}
	m.cells = slices.Replace(m.cells, lo, hi, rest[:n]...)
}

// dropUnreadable forgets that bytes were written of which a cell says so.
func (m *Memory) dropUnreadable() {
	for _, c := range m.cells {
		if c.Reg.Kind == Unreadable {
			for b := int(c.Off) + StackSize; b < int(c.Off)+StackSize+int(c.Size); b++ {
				m.init[b/64] &^= 1 << (b % 64)
			}
		}
	}
	m.cells = slices.DeleteFunc(m.cells, func(c Cell) bool { return c.Reg.Kind == Unreadable })
}

func mask(bytes uint8) uint64 {
	if bytes >= 8 {
		return 1<<64 - 1
	}
	return 1<<(8*bytes) - 1
}

// Forget says that [off, off+size) was written with anything.
func (m *Memory) Forget(off, size int) {
	m.forget(off, size)
	m.setInit(off, size)
}

// Smear says that some bytes of [off, off+size) may have been written.
func (m *Memory) Smear(off, size int) { m.forget(off, size) }

// SmearZero says that zeros may have been written to some of [off, off+size).
func (m *Memory) SmearZero(off, size int) {
	lo, hi := m.overlap(off, size)
	for i := hi - 1; i >= lo; i-- {
		c := m.cells[i]
		if c.Reg == Const(0) {
			continue
		}
		from, to := max(off, int(c.Off)), min(off+size, int(c.Off)+int(c.Size))
		m.forget(from, to-from)
	}
}

// Store writes r, of which the low size bytes count, at off in frame f. A
// pointer in fewer than 8 bytes leaves unknown bytes.
func (s *State) Store(f, off, size int, r Reg) {
	if r.Kind.IsPointer() && size < 8 || r.Kind == Unreadable {
		s.Frames[f].Stack.Forget(off, size)
		return
	}
	if r.Kind == Scalar {
		r = s.Truncate(r, size)
	}
	m := &s.Frames[f].Stack
	m.Forget(off, size)
	if m.cells == nil {
		m.cells = s.pool.cellsFor(4)
	}
	i := 0
	for i < len(m.cells) && int(m.cells[i].Off) < off {
		i++
	}
	m.cells = slices.Insert(m.cells, i, Cell{int16(off), uint8(size), r})
}

// Load reads size bytes at off of frame f, zero-extended. Bytes of which
// nothing is known, and parts of pointers, read as any value.
func (s *State) Load(f, off, size int) Reg {
	m := &s.Frames[f].Stack
	lo, hi := m.overlap(off, size)
	if hi-lo == 1 {
		c := m.cells[lo]
		at := off - int(c.Off)
		switch {
		case at == 0 && int(c.Size) == size:
			return c.Reg
		case c.Reg.Kind == Scalar && at == 0 && size < int(c.Size):
			return s.Truncate(c.Reg, size)
		case c.Reg.Kind == Scalar && at >= 0 && off+size <= int(c.Off)+int(c.Size):
			return s.Truncate(s.ALU64(isa.Rsh, 0, c.Reg, Const(uint64(8*at))), size)
		}
	}
	// Constants side by side.
	value, next := uint64(0), off
	for _, c := range m.cells[lo:hi] {
		if int(c.Off) > next || !c.Reg.IsConst() {
			return s.unknownBytes(size)
		}
		x := c.Reg.Uint()
		if int(c.Off) < off {
			x >>= 8 * (off - int(c.Off))
			value |= x
		} else {
			value |= x << (8 * (int(c.Off) - off))
		}
		next = int(c.Off) + int(c.Size)
	}
	if next < off+size {
		return s.unknownBytes(size)
	}
	return Const(value & mask(uint8(size)))
}

func (s *State) unknownBytes(size int) Reg {
	return s.Fresh(scalar.Unsigned(0, mask(uint8(size))))
}

// Truncate returns the low size bytes of the scalar r, zero-extended: r itself
// if it fits.
func (s *State) Truncate(r Reg, size int) Reg {
	switch {
	case size == 8:
		return r
	case r.V == Zero:
		return Const(uint64(r.C) & mask(uint8(size)))
	case size == 4:
		return s.Zext(r)
	case s.Num(r).UMax() <= mask(uint8(size)):
		return r
	}
	return s.ALU64(isa.And, 0, r, Const(mask(uint8(size))))
}
