package interp

import (
	"unsafe"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
)

// atomic executes the atomic instructions that the loop does not (RFC 9669,
// section 5.3).
func (m *Machine) atomic(o *op) {
	n, code := int(o.d2), o.imm
	b := unsafe.Slice((*byte)(at(m.reg[o.a]+uint64(int64(o.off)))), n)
	src := &m.reg[o.b]
	switch code {
	case isa.LoadAcquire:
		m.reg[o.d] = mem.LoadAcquire(b)
		return
	case isa.StoreRelease:
		mem.StoreRelease(b, *src)
		return
	}
	var old uint64
	r0, v := m.reg[0], *src
	if n == 8 {
		old = mem.Update64(b, func(old uint64) uint64 { return isa.Atomic64(code, old, v, r0) })
	} else {
		old = uint64(mem.Update32(b, func(old uint32) uint32 { return isa.Atomic32(code, old, uint32(v), uint32(r0)) }))
	}
	switch {
	case code == isa.AtomicCmpXchg:
		m.reg[0] = old
	case code&isa.AtomicFetch != 0:
		*src = old
	}
}
