package vm

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// A ring is a ring buffer in which machine code makes records.
type ring interface {
	maps.RingBuffer
	// Wake ends the commit of the record at addr, which is whole.
	Wake(addr, flags uint64)
}

// A ringAt is a ring and where machine code finds it.
type ringAt struct {
	base uint64
	ring ring
}

// ringsOf returns those of ms that machine code makes records in.
func ringsOf(ms []maps.Map) (rs []ringAt) {
	for _, m := range ms {
		if l := maps.LayoutOf(m); l != nil && l.Kind == maps.LayoutRing {
			rs = append(rs, ringAt{l.Base, m.(ring)})
		}
	}
	return rs
}

// ring returns the ring buffer at base, or nil if n uses none there.
func (n *native) ring(base uint64) ring {
	if n != nil {
		for i := range n.rings {
			if n.rings[i].base == base {
				return n.rings[i].ring
			}
		}
	}
	return nil
}

// nativeCommit returns what machine code calls to make a record whole: done is 0,
// or the ring buffer if only readers are left to be woken. Plain is for records
// that a helper reserved.
func nativeCommit(plain helpers.Impl, discard bool) helpers.Impl {
	return func(env helpers.Env, addr, flags, done, _, _ uint64) uint64 {
		m := &slotIn(env).native
		if done != 0 {
			m.running().native.ring(done).Wake(addr, flags)
			return 0
		}
		if h, ok := m.rt.Context.Drop(addr); ok {
			m.running().native.ring(h.Ring).Commit(maps.RingRecord(addr), discard, flags)
			return 0
		}
		return plain(env, addr, flags, 0, 0, 0)
	}
}

// nativeOutput returns what machine code calls to make a record of memory. If the
// first argument is where a ring buffer lies, which no handle of a map is, only its
// readers are left to be woken for the record at addr.
func nativeOutput(plain helpers.Impl) helpers.Impl {
	return func(env helpers.Env, handle, addr, size, flags, _ uint64) uint64 {
		if r := slotIn(env).native.running().native.ring(handle); r != nil {
			r.Wake(addr, flags)
			return 0
		}
		return plain(env, handle, addr, size, flags, 0)
	}
}

// dropHeld gives back the records that machine code has left open, as a run does
// that was cut short. They belong to a program that has run: nobody makes a tail
// call who holds one.
func (m *machine) dropHeld() {
	c := m.rt.Context
	for _, h := range c.Held() {
		r := m.slot.prog.native.ring(h.Ring)
		for i := 0; r == nil; i++ {
			r = m.kept[i].native.ring(h.Ring)
		}
		r.Discard(maps.RingRecord(h.Addr))
	}
	c.HeldTop = 0
}

// heldBytes returns the n bytes at addr if they are part of memory that the run
// has borrowed, else nil.
func (s *slot) heldBytes(addr uint64, n int) []byte {
	part := func(at uint64, b []byte) []byte {
		if off := addr - at; off < uint64(len(b)) && uint64(n) <= uint64(len(b))-off {
			return b[off : off+uint64(n) : off+uint64(n)]
		}
		return nil
	}
	if c := s.native.rt.Context; c != nil {
		for _, h := range c.Held() {
			if b := part(h.Addr, maps.RingRecord(h.Addr)); b != nil {
				return b
			}
		}
	}
	for _, h := range s.held {
		if b := part(h.addr, h.bytes); b != nil {
			return b
		}
	}
	return nil
}
