package checked

import (
	"encoding/binary"
	"fmt"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/mem"
)

// Reasons that more than one access gives.
const (
	reasonOutside   = "not all of it is memory that the program may use"
	reasonReadOnly  = "the memory is read-only"
	reasonWriteOnly = "programs may not read the memory"
	reasonUninit    = "the program has not written all of it"
	reasonAlign     = "atomic operations need aligned memory"
	reasonNoAtomic  = "atomic operations on the context are not possible"
)

// load returns the n bytes at addr, for an instruction whose base register is
// reg. It is what the loop does when the register's window does not help.
func (m *Machine) load(addr uint64, n int, reg uint8, signed bool) (v uint64, ok bool) {
	if o := addr - m.stackBase; o < maxFrames*frameSize {
		b := m.stackBytes(addr, n)
		if b == nil || !m.written(int(o), n) {
			return 0, m.deny("load", addr, n, reasonUninit)
		}
		return mem.Load(b), true
	}
	if m.inCtx(addr) {
		return m.loadCtx(uint32(addr-m.ctxBase), n, signed)
	}
	b := m.look(addr, n, reg, false)
	if b == nil {
		return 0, m.deny("load", addr, n, "")
	}
	return mem.Load(b), true
}

// store stores the low n bytes of v at addr.
func (m *Machine) store(addr, v uint64, n int, reg uint8) (ok bool) {
	if o := addr - m.stackBase; o < maxFrames*frameSize {
		b := m.stackBytes(addr, n)
		if b == nil {
			return m.deny("store", addr, n, "")
		}
		m.mark(int(o), n)
		mem.Store(b, v)
		return true
	}
	if m.inCtx(addr) {
		return m.storeCtx(uint32(addr-m.ctxBase), v, n)
	}
	b := m.look(addr, n, reg, true)
	if b == nil {
		return m.deny("store", addr, n, "")
	}
	mem.Store(b, v)
	return true
}

// deny notes why an access failed. A reason that was noted deeper down stays.
func (m *Machine) deny(access string, addr uint64, n int, reason string) bool {
	m.why.access, m.why.addr, m.why.size = access, addr, n
	if m.why.reason == "" {
		m.why.reason = reason
	}
	if m.why.reason == "" {
		m.why.reason = reasonOutside
	}
	return false
}

// look returns the n bytes at addr in one object of the space, or nil, and
// remembers the object for reg.
func (m *Machine) look(addr uint64, n int, reg uint8, write bool) []byte {
	w, ok := m.Space.Find(addr)
	if !ok {
		return nil
	}
	if write && w.ReadOnly() {
		m.why.reason = reasonReadOnly
		return nil
	}
	if w.WriteOnly() {
		if !write {
			m.why.reason = reasonWriteOnly
			return nil
		}
		return w.Bytes(addr, n) // not remembered: windows do not ask
	}
	b := w.Bytes(addr, n)
	if b != nil {
		m.win[reg&7], m.looked = w, true
	}
	return b
}

// stackBytes returns the n bytes at addr, which lies in the stack, if they are
// part of one frame that is in use, else nil.
func (m *Machine) stackBytes(addr uint64, n int) []byte {
	o := int(addr - m.stackBase)
	if o+n > m.fp || o&(frameSize-1)+n > frameSize {
		m.why.reason = reasonOutside
		return nil
	}
	return m.stack[o : o+n : o+n]
}

// written reports whether the n stack bytes at o were all written.
func (m *Machine) written(o, n int) bool {
	for ; n > 0; n-- {
		if o&63 == 0 && n >= 64 {
			if m.init[o/64] != ^uint64(0) {
				return false
			}
			o, n = o+64, n-63
			continue
		}
		if m.init[o/64]>>(o&63)&1 == 0 {
			return false
		}
		o++
	}
	return true
}

// mark notes that the n stack bytes at o are written.
func (m *Machine) mark(o, n int) {
	for ; n > 0; o, n = o+1, n-1 {
		m.init[o/64] |= 1 << (o & 63)
	}
}

// clearUnwritten clears those of the n stack bytes at o that the program has not
// written: a helper may show them, and what is there an earlier run has left.
func (m *Machine) clearUnwritten(o, n int) {
	for i := o; i < o+n; i++ {
		if m.init[i/64]>>(i&63)&1 == 0 {
			m.stack[i] = 0
		}
	}
}

// inCtx reports whether addr means the context.
func (m *Machine) inCtx(addr uint64) bool { return addr-m.ctxBase < m.ctxSpan }

// ctxBytes returns the n bytes at addr of the context and the field that they
// are part of, if that is a field of plain bytes; else nil. A helper may use
// those, as the kernel lets syscall programs do.
func (m *Machine) ctxBytes(addr uint64, n int) ([]byte, *hook.Field) {
	o := addr - m.ctxBase
	f := m.code.prog.Type.Ctx.At(uint32(o))
	if f == nil || f.Kind != hook.FieldBytes || o+uint64(n) > uint64(min(f.Off+f.Size, m.ctxLen)) {
		return nil, nil
	}
	at := int(f.HostOff) + int(uint32(o)-f.Off)
	return m.ctx[at : at+n : at+n], f
}

// field returns the field of the context that the n bytes at o of the
// program's layout are part of.
func (m *Machine) field(o uint32, n int) *hook.Field {
	if uint64(o)+uint64(n) > uint64(m.ctxLen) {
		m.why.reason = fmt.Sprintf("the context has %d bytes", m.ctxLen)
		return nil
	}
	f := m.code.prog.Type.Ctx.At(o)
	if f == nil {
		m.why.reason = "the context has no field there"
		return nil
	}
	if o+uint32(n) > f.Off+f.Size {
		m.why.reason = fmt.Sprintf("field %s ends at %d", f.Name, f.Off+f.Size)
		return nil
	}
	if o&uint32(n-1) != 0 {
		m.why.reason = "accesses to the context must be aligned"
		return nil
	}
	return f
}

// loadCtx loads n bytes at o of the context, in the program's layout.
func (m *Machine) loadCtx(o uint32, n int, signed bool) (v uint64, ok bool) {
	addr := m.ctxBase + uint64(o)
	f := m.field(o, n)
	switch {
	case f == nil:
		return 0, m.deny("load", addr, n, "")
	case !f.Read.Has(n):
		return 0, m.deny("load", addr, n, fmt.Sprintf("field %s allows no load of this width", f.Name))
	case f.Kind == hook.FieldBytes:
		at := f.HostOff + o - f.Off
		return mem.Load(m.ctx[at : at+uint32(n)]), true
	case f.IsPointer():
		if uint32(n) != f.Size || signed {
			return 0, m.deny("load", addr, n, fmt.Sprintf("field %s is a pointer: it is loaded whole and without sign", f.Name))
		}
		return binary.NativeEndian.Uint64(m.ctx[f.HostOff:]), true
	}
	v = hostLoad(m.ctx[f.HostOff : f.HostOff+f.HostSize])
	return v >> (8 * (o - f.Off)) & (1<<(8*n) - 1), true
}

// storeCtx stores the low n bytes of v at o of the context.
func (m *Machine) storeCtx(o uint32, v uint64, n int) (ok bool) {
	addr := m.ctxBase + uint64(o)
	f := m.field(o, n)
	switch {
	case f == nil:
		return m.deny("store", addr, n, "")
	case f.IsPointer() || !f.Write.Has(n):
		return m.deny("store", addr, n, fmt.Sprintf("field %s allows no store of this width", f.Name))
	case f.Kind == hook.FieldBytes:
		at := f.HostOff + o - f.Off
		mem.Store(m.ctx[at:at+uint32(n)], v)
		return true
	}
	host := m.ctx[f.HostOff : f.HostOff+f.HostSize]
	shift, mask := 8*(o-f.Off), uint64(1)<<(8*n)-1
	hostStore(host, hostLoad(host)&^(mask<<shift)|v&mask<<shift)
	return true
}

// hostLoad and hostStore read and write a scalar field as the host does: in
// the host's byte order.
func hostLoad(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	default:
		return binary.NativeEndian.Uint64(b)
	}
}

func hostStore(b []byte, v uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.NativeEndian.PutUint16(b, uint16(v))
	case 4:
		binary.NativeEndian.PutUint32(b, uint32(v))
	default:
		binary.NativeEndian.PutUint64(b, v)
	}
}

// Bytes returns the n bytes at addr, aliased, if they lie in one frame of the
// stack that is in use or in one object of the space; else nil. n = 0 gives an
// empty slice that is not nil.
func (m *Machine) Bytes(addr uint64, n int) []byte {
	switch {
	case n == 0:
		return []byte{}
	case n < 0:
		return nil
	case addr-m.stackBase < maxFrames*frameSize:
		if n > frameSize {
			return nil
		}
		return m.stackBytes(addr, n)
	case m.inCtx(addr):
		if b, _ := m.ctxBytes(addr, n); b != nil {
			return b
		}
		return m.ctxScalars(addr, n)
	}
	return m.Space.Bytes(addr, n)
}

// ctxScalars returns the n bytes at addr of the context if they are numbers which
// the host keeps as the program sees them; else nil. Helpers that read at any
// address (probe_read_kernel) find registers there.
func (m *Machine) ctxScalars(addr uint64, n int) []byte {
	o := addr - m.ctxBase
	end := o + uint64(n)
	if end > uint64(m.ctxLen) {
		return nil
	}
	c := &m.code.prog.Type.Ctx
	f := c.At(uint32(o))
	if f == nil {
		return nil
	}
	at := uint64(f.HostOff) + o - uint64(f.Off)
	for next := o; next < end; next = uint64(f.Off + f.Size) {
		f = c.At(uint32(next))
		if f == nil || f.Kind != hook.FieldScalar || uint64(f.HostOff)-uint64(f.Off) != at-o {
			return nil
		}
	}
	return m.ctx[at : at+uint64(n) : at+uint64(n)]
}
