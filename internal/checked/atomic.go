package checked

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
)

// atomic executes an atomic instruction (RFC 9669, section 5.3).
func (m *Machine) atomic(o *op) (ok bool) {
	n := int(o.sub)
	base := o.dst & 15
	if o.imm == isa.LoadAcquire {
		base = o.src & 15
	}
	addr := m.reg[base] + uint64(int64(o.off))
	write := o.imm != isa.LoadAcquire
	b := m.atomicBytes(addr, n, base, write, o.imm != isa.StoreRelease)
	if b == nil {
		return m.deny("atomic operation", addr, n, "")
	}
	src := &m.reg[o.src&15]
	code := int32(o.imm)
	switch {
	case code == isa.LoadAcquire:
		m.reg[o.dst&15] = mem.LoadAcquire(b)
		return true
	case code == isa.StoreRelease:
		mem.StoreRelease(b, *src)
		return true
	}
	var old uint64
	r0, v := m.reg[0], *src
	switch {
	case n == 8 && code&^isa.AtomicFetch == isa.AtomicAdd:
		old = mem.Add64(b, v)
	case n == 8:
		old = mem.Update64(b, func(old uint64) uint64 { return isa.Atomic64(code, old, v, r0) })
	case code&^isa.AtomicFetch == isa.AtomicAdd:
		old = uint64(mem.Add32(b, uint32(v)))
	default:
		old = uint64(mem.Update32(b, func(old uint32) uint32 { return isa.Atomic32(code, old, uint32(v), uint32(r0)) }))
	}
	switch {
	case code == isa.AtomicCmpXchg:
		m.reg[0] = old
	case code&isa.AtomicFetch != 0:
		*src = old
	}
	return true
}

// atomicBytes returns the memory that an atomic instruction acts on.
func (m *Machine) atomicBytes(addr uint64, n int, reg uint8, write, read bool) []byte {
	if !mem.Aligned(addr, n) {
		m.why.reason = reasonAlign
		return nil
	}
	if o := addr - m.stackBase; o < maxFrames*frameSize {
		b := m.stackBytes(addr, n)
		if b != nil && read && !m.written(int(o), n) {
			m.why.reason = reasonUninit
			return nil
		}
		if b != nil && write {
			m.mark(int(o), n)
		}
		return b
	}
	if m.inCtx(addr) {
		m.why.reason = reasonNoAtomic
		return nil
	}
	return m.look(addr, n, reg, write)
}
