package mem

import "encoding/binary"

// A Window is one object of a region: the bytes that an access which starts in
// it may touch. The zero Window is empty. Loads and stores are little-endian
// on every host, as programs are. They are not atomic and not reported by the
// race detector: the memory is shared with other runs and with the host, as it
// is in the kernel, and what programs do to it is their own affair.
type Window struct {
	base uint64
	b    []byte
	ro   bool
	wo   bool // for who asks; loads do not
}

// Load1 returns the byte at addr; ok is false if it is outside the window.
//
//go:norace
func (w *Window) Load1(addr uint64) (v uint64, ok bool) {
	if o := addr - w.base; o < uint64(len(w.b)) {
		return uint64(w.b[o]), true
	}
	return 0, false
}

// Load2 returns the 2 bytes at addr.
//
//go:norace
func (w *Window) Load2(addr uint64) (v uint64, ok bool) {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 2 {
		return uint64(binary.LittleEndian.Uint16(w.b[o:])), true
	}
	return 0, false
}

// Load4 returns the 4 bytes at addr.
//
//go:norace
func (w *Window) Load4(addr uint64) (v uint64, ok bool) {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 4 {
		return uint64(binary.LittleEndian.Uint32(w.b[o:])), true
	}
	return 0, false
}

// Load8 returns the 8 bytes at addr.
//
//go:norace
func (w *Window) Load8(addr uint64) (v uint64, ok bool) {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 8 {
		return binary.LittleEndian.Uint64(w.b[o:]), true
	}
	return 0, false
}

// Store1 stores a byte at addr and reports whether the window allows it.
//
//go:norace
func (w *Window) Store1(addr, v uint64) bool {
	if o := addr - w.base; o < uint64(len(w.b)) && !w.ro {
		w.b[o] = byte(v)
		return true
	}
	return false
}

// Store2 stores 2 bytes at addr.
//
//go:norace
func (w *Window) Store2(addr, v uint64) bool {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 2 && !w.ro {
		binary.LittleEndian.PutUint16(w.b[o:], uint16(v))
		return true
	}
	return false
}

// Store4 stores 4 bytes at addr.
//
//go:norace
func (w *Window) Store4(addr, v uint64) bool {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 4 && !w.ro {
		binary.LittleEndian.PutUint32(w.b[o:], uint32(v))
		return true
	}
	return false
}

// Store8 stores 8 bytes at addr.
//
//go:norace
func (w *Window) Store8(addr, v uint64) bool {
	if o := addr - w.base; o < uint64(len(w.b)) && uint64(len(w.b))-o >= 8 && !w.ro {
		binary.LittleEndian.PutUint64(w.b[o:], v)
		return true
	}
	return false
}

// ReadOnly reports whether programs may only read the window.
func (w *Window) ReadOnly() bool { return w.ro }

// WriteOnly reports whether programs may only write the window. Its loads do
// not refuse: who finds such a window must not load through it.
func (w *Window) WriteOnly() bool { return w.wo }

// Bytes returns the n bytes at addr, aliased, or nil if they do not all lie in
// the window. n = 0 gives an empty slice that is not nil for an address in the
// window or just after it.
func (w *Window) Bytes(addr uint64, n int) []byte {
	o := addr - w.base
	if w.b == nil || n < 0 || o > uint64(len(w.b)) || uint64(len(w.b))-o < uint64(n) {
		return nil
	}
	return w.b[o : o+uint64(n) : o+uint64(n)]
}

// Rest returns the bytes from addr to the end of the window, aliased; nil if
// addr lies outside.
func (w *Window) Rest(addr uint64) []byte {
	o := addr - w.base
	if o >= uint64(len(w.b)) {
		return nil
	}
	return w.b[o:]
}

// Load returns the n bytes of b, n = len(b) being 1, 2, 4 or 8, as a
// little-endian number.
//
//go:norace
func Load(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	default:
		return binary.LittleEndian.Uint64(b)
	}
}

// Store stores the low bytes of v in b, which has 1, 2, 4 or 8 bytes.
//
//go:norace
func Store(b []byte, v uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// Fill sets every byte of b to c.
//
//go:norace
func Fill(b []byte, c byte) {
	const unit = 4096
	first := b[:min(unit, len(b))]
	for i := range first {
		first[i] = c
	}
	for rest := b[len(first):]; len(rest) > 0; {
		n := min(unit, len(rest))
		CopyShared(rest[:n], first[:n])
		rest = rest[n:]
	}
}
