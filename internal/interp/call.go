package interp

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
)

// Calls that need Go.

// push opens a frame for a function that returns to the op at offset ret.
func (m *Machine) push(ret int) {
	f := &m.frames[m.depth]
	f.ret = ret
	copy(f.saved[:], m.reg[6:10])
	m.depth++
	m.reg[10] += frameSize
}

// room reports whether n frames fit, beyond those that are in use, and ends
// the run if they do not.
func (m *Machine) room(n int) bool {
	if m.depth+n <= maxFrames {
		return true
	}
	m.host.Abort(errDepth)
	return false
}

// Call runs the function that fn means, for a helper. ok is false if the run is
// over: the helper must return at once.
func (m *Machine) Call(fn, a1, a2, a3, a4, a5 uint64) (r0 uint64, ok bool) {
	if m.stopped {
		return 0, false
	}
	f := m.code.function(fn)
	if f < 0 {
		m.host.Abort(fmt.Errorf("call of %#x, which is no subprogram", fn))
		return 0, false
	}
	if !m.room(m.code.funcs[f].Depth) {
		return 0, false
	}
	c, at, depth, r10 := m.code, m.at, m.depth, m.reg[10]
	defer func() { // also if a helper panics and an outer one recovers
		if m.code != c {
			m.enter(c)
			m.host.Switched(c)
		}
		if m.depth != depth {
			copy(m.reg[6:10], m.frames[depth].saved[:])
			for i := depth; i < maxFrames; i++ {
				m.frames[i].code = nil
			}
		}
		m.at, m.depth, m.reg[10] = at, depth, r10
	}()
	m.push(doneAt * opSize)
	m.at = int(c.entry[f]) * opSize
	m.reg[1], m.reg[2], m.reg[3], m.reg[4], m.reg[5] = a1, a2, a3, a4, a5
	if m.meter -= int64(c.funcs[f].Weight); !m.yield() || !m.exec() {
		return 0, false
	}
	return m.reg[0], true
}

// callX executes a call through a register: of a function of the program, or of
// a helper by its number.
func (m *Machine) callX(o *op) (ok bool) {
	v := m.reg[o.a]
	f := m.code.function(v)
	if f < 0 {
		h := m.code.program.Type.Helpers.Helper(helpers.ID(v))
		if h == nil || h.Impl == nil {
			m.host.Abort(fmt.Errorf("call through %#x, which is neither a subprogram nor a helper", v))
			return false
		}
		r := &m.reg
		r[0] = h.Impl(m.env, r[1], r[2], r[3], r[4], r[5])
		return !m.stopped
	}
	if !m.room(m.code.funcs[f].Depth) {
		return false
	}
	m.push(m.at)
	m.at = int(m.code.entry[f]) * opSize
	m.meter -= int64(m.code.funcs[f].Weight)
	return m.yield()
}

// packet executes a legacy packet load into R0; a packet that has none there
// ends the function with 0.
func (m *Machine) packet(o *op) (ok bool) {
	off := uint32(o.imm2)
	if o.d2 != 0 {
		off += uint32(m.reg[o.a])
	}
	v := m.code.impls[o.imm](m.env, uint64(off), uint64(o.b2), 0, 0, 0)
	if m.stopped {
		return false
	}
	if int64(v) < 0 {
		v = 0
		m.at = exitAt * opSize
	}
	m.reg[0] = v
	return true
}

// tailCall goes on in the program that the host names; if there is none, here.
// In the main program that replaces it. In a subprogram it replaces that alone:
// its caller gets the result.
func (m *Machine) tailCall() (ok bool) {
	c, r0, ran := m.host.Tail(m, m.reg[2], uint32(m.reg[3]))
	switch {
	case m.stopped:
		return false
	case ran:
		m.reg[0] = r0
		m.at = exitAt * opSize
		return true
	case c == nil:
		return true
	case !m.room(c.funcs[0].Depth - 1): // it takes the place of this function
		return false
	}
	f := &m.frames[m.depth-1]
	if f.code == nil && f.ret != doneAt*opSize {
		f.code, f.back, f.ret = m.code, f.ret, backAt*opSize
	}
	m.enter(c)
	m.host.Switched(c)
	m.at = int(c.entry[0]) * opSize
	m.meter -= int64(c.Weight())
	return m.yield()
}

// throw ends the program that runs with R1 as its result: returns from its
// functions up to its first, from which the next op returns, or which goes on as
// the function that handles exceptions.
func (m *Machine) throw() (ok bool) {
	m.reg[0] = m.reg[1]
	for {
		f := &m.frames[m.depth-1]
		if f.ret == doneAt*opSize || f.code != nil {
			break
		}
		m.depth--
		copy(m.reg[6:10], f.saved[:])
		m.reg[10] -= frameSize
	}
	h := m.code.program.Handler
	if h == 0 {
		m.at = exitAt * opSize
		return true
	}
	m.at = int(m.code.entry[h]) * opSize
	m.meter -= int64(m.code.funcs[h].Weight)
	return m.yield()
}

// back returns from a program that took the place of a subprogram.
func (m *Machine) back() {
	f := &m.frames[m.depth] // the one that was just left
	c := f.code
	f.code = nil
	m.enter(c)
	m.host.Switched(c)
	m.at = f.back
}
