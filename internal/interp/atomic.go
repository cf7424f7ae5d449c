package interp

import (
	"unsafe"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
)

// atomic executes the atomic instructions that the loop does not: a load that acquires
// and a store that releases, of any size (kernel, since 6.14).
func (m *Machine) atomic(o *op) {
	b := unsafe.Slice((*byte)(at(m.reg[o.a]+uint64(int64(o.off)))), int(o.d2))
	if o.imm == isa.LoadAcquire {
		m.reg[o.d] = mem.LoadAcquire(b)
		return
	}
	mem.StoreRelease(b, m.reg[o.b])
}
