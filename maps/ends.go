package maps

import (
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// ends says what else ends when special fields of a map's values end: a timer,
// when its value is deleted, overwritten or given another key, or the map is
// closed (kernel, bpf_obj_free_fields). A nil *ends is of a map without timers.
type ends struct {
	n      atomic.Int64 // of at
	mu     sync.Mutex
	closed bool
	at     map[uint64]func() // by address of the field
}

// OnEnd has end called, once, when the timer at addr ends, which lies in a value
// of m; the caller runs on a virtual CPU that has found it there. EPERM: the map
// was closed; EINVAL: it has no timer there; EBUSY: something ends with it
// already.
//
// end is called by whoever ends the field, under locks of the map: it must not
// wait, nor use the map.
func OnEnd(m Map, addr uint64, end func()) error {
	t, ok := m.(interface {
		timers() *ends
		entryAt(addr uint64) (key, value []byte, ok bool)
		timerAt(off uint64) bool
	})
	if !ok || t.timers() == nil {
		return errno.EINVAL
	}
	_, value, ok := t.entryAt(addr)
	if !ok || !t.timerAt(addr-mem.Addr(value)) {
		return errno.EINVAL
	}
	e := t.timers()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return errno.EPERM
	case e.at[addr] != nil:
		return errno.EBUSY
	case e.at == nil:
		e.at = map[uint64]func(){}
	}
	e.at[addr] = end
	e.n.Add(1)
	return nil
}

// EntryAt returns the entry of m in whose value addr lies, aliased; ok is false
// if addr lies in none. The caller runs on a virtual CPU that has found addr
// there.
func EntryAt(m Map, addr uint64) (key, value []byte, ok bool) {
	if e, has := m.(interface {
		entryAt(addr uint64) (key, value []byte, ok bool)
	}); has {
		return e.entryAt(addr)
	}
	return nil, nil, false
}

func (m *core) timers() *ends { return m.ends }

// timerAt reports whether values have a timer at off.
func (m *core) timerAt(off uint64) bool {
	for _, f := range m.value.special {
		if f.Kind == timer && uint64(f.Off) == off {
			return true
		}
	}
	return false
}

// endFields ends the fields of value.
func (m *core) endFields(value []byte) {
	if m.ends == nil || m.ends.n.Load() == 0 {
		return
	}
	for _, f := range m.value.special {
		if f.Kind == timer {
			m.ends.end(mem.Addr(value) + uint64(f.Off))
		}
	}
}

// end ends the field at addr.
func (e *ends) end(addr uint64) {
	e.mu.Lock()
	f := e.at[addr]
	if f != nil {
		delete(e.at, addr)
		e.n.Add(-1)
	}
	e.mu.Unlock()
	if f != nil {
		f()
	}
}

// all ends every field, and lets none begin.
func (e *ends) all() {
	if e == nil {
		return
	}
	e.mu.Lock()
	at := e.at
	e.at, e.closed = nil, true
	e.n.Store(0)
	e.mu.Unlock()
	for _, f := range at {
		f()
	}
}
