// Package helpertest runs helpers without an engine, for the tests of those
// who write them.
package helpertest

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// An Env is a run that consists of nothing but calls of helpers. Its memory is
// what Put and the helpers themselves share; addresses are made up, so that a
// helper that uses one without asking Bytes finds nothing there. The zero
// value has no memory, no maps, a clock that stands at 0 and no packet.
type Env struct {
	CPUNum    int
	HostFuncs helpers.Host
	Context   []byte
	Pkt       *helpers.Packet
	RunState  any
	// Callback is what Call runs; nil: the run has no functions.
	Callback func(fn uint64, a1, a2, a3, a4, a5 uint64) (uint64, error)

	Aborted error // what a helper passed to Abort

	Locked uint64 // address of the spin lock that is held

	TimerFuncs helpers.Timers // what Timers returns

	dynptrs  helpers.Dynptrs
	regions  []region
	objects  []object
	maps     []maps.Map
	borrowed map[uint64]loan
}

type region struct {
	addr uint64
	b    []byte
}

type loan struct {
	b     []byte
	owner helpers.Releaser
	n     int // how often
}

type object struct {
	addr, size uint64
	o          any
}

const (
	firstAddr   = 0x1000_0000
	firstHandle = 0x7f00
	guard       = 0x1000 // bytes between regions
)

// Put makes b memory of the run and returns its address, 0 if b is empty.
func (e *Env) Put(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	addr := uint64(firstAddr)
	if n := len(e.regions); n > 0 {
		last := e.regions[n-1]
		addr = (last.addr + uint64(len(last.b)) + 2*guard) &^ (guard - 1)
	}
	e.regions = append(e.regions, region{addr, b})
	return addr
}

// AddMap makes m a map of the run and returns its handle.
func (e *Env) AddMap(m maps.Map) uint64 {
	e.maps = append(e.maps, m)
	return uint64(firstHandle + len(e.maps) - 1)
}

// ShareMap implements helpers.Env.
func (e *Env) ShareMap(m maps.Map) uint64 {
	if m == nil {
		return 0
	}
	return e.AddMap(m)
}

// Borrowed returns how many references the run holds.
func (e *Env) Borrowed() (n int) {
	for _, l := range e.borrowed {
		n += l.n
	}
	return n
}

// CPU implements helpers.Env.
func (e *Env) CPU() int { return e.CPUNum }

// Bytes implements helpers.Env.
func (e *Env) Bytes(addr uint64, n int) []byte {
	if n == 0 {
		return []byte{}
	}
	for i := range e.regions {
		r := &e.regions[i]
		if addr >= r.addr && n > 0 && addr-r.addr <= uint64(len(r.b)) && uint64(n) <= uint64(len(r.b))-(addr-r.addr) {
			off := int(addr - r.addr)
			return r.b[off : off+n : off+n]
		}
	}
	return nil
}

// Share implements helpers.Env. Sharing the same memory again gives the same
// address.
func (e *Env) Share(b []byte) uint64 {
	for i := range e.regions {
		if r := &e.regions[i]; len(b) > 0 && len(r.b) == len(b) && &r.b[0] == &b[0] {
			return r.addr
		}
	}
	return e.Put(b)
}

// Map implements helpers.Env.
func (e *Env) Map(handle uint64) maps.Map {
	if i := handle - firstHandle; i < uint64(len(e.maps)) {
		return e.maps[i]
	}
	return nil
}

// Call implements helpers.Env.
func (e *Env) Call(fn uint64, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	if e.Callback == nil {
		return 0, fmt.Errorf("call of %#x: the run has no functions", fn)
	}
	return e.Callback(fn, a1, a2, a3, a4, a5)
}

// Acquire implements helpers.Env.
func (e *Env) Acquire(b []byte, r helpers.Releaser) uint64 {
	addr := e.Share(b)
	if e.borrowed == nil {
		e.borrowed = map[uint64]loan{}
	}
	e.borrowed[addr] = loan{b, r, e.borrowed[addr].n + 1}
	return addr
}

// Release implements helpers.Env.
func (e *Env) Release(addr uint64) ([]byte, helpers.Releaser, bool) {
	for base, l := range e.borrowed {
		if addr != base && addr-base >= uint64(len(l.b)) {
			continue
		}
		if l.n--; l.n == 0 {
			delete(e.borrowed, base)
		} else {
			e.borrowed[base] = l
		}
		return l.b, l.owner, true
	}
	return nil, nil, false
}

// ShareObject implements helpers.Env.
func (e *Env) ShareObject(b []byte, o any) uint64 {
	addr := e.Share(b)
	e.objects = append(e.objects, object{addr, uint64(len(b)), o})
	return addr
}

// Object implements helpers.Env.
func (e *Env) Object(addr uint64) any {
	for base, l := range e.borrowed {
		if addr-base < uint64(len(l.b)) {
			return l.owner
		}
	}
	for _, o := range e.objects {
		if addr-o.addr < o.size {
			return o.o
		}
	}
	return nil
}

// Lock implements helpers.Env. Taking a second lock aborts the run.
func (e *Env) Lock(addr uint64) {
	if e.Locked != 0 {
		e.Abort(fmt.Errorf("lock %#x is taken while %#x is held", addr, e.Locked))
		return
	}
	e.Locked = addr
}

// Unlock implements helpers.Env.
func (e *Env) Unlock(addr uint64) {
	if e.Locked != addr {
		e.Abort(fmt.Errorf("lock %#x is given back while %#x is held", addr, e.Locked))
	}
	e.Locked = 0
}

// Timers implements helpers.Env.
func (e *Env) Timers() helpers.Timers { return e.TimerFuncs }

// Dynptrs implements helpers.Env.
func (e *Env) Dynptrs() *helpers.Dynptrs { return &e.dynptrs }

// Ctx implements helpers.Env.
func (e *Env) Ctx() []byte { return e.Context }

// Packet implements helpers.Env.
func (e *Env) Packet() *helpers.Packet { return e.Pkt }

// SetPacket implements helpers.Env.
func (e *Env) SetPacket() {}

// State implements helpers.Env.
func (e *Env) State() any { return e.RunState }

// Host implements helpers.Env. Missing functions answer 0.
func (e *Env) Host() *helpers.Host {
	h := &e.HostFuncs
	if h.Now == nil {
		h.Now = func(helpers.Clock) uint64 { return 0 }
	}
	if h.Random == nil {
		h.Random = func() uint32 { return 0 }
	}
	if h.PidTgid == nil {
		h.PidTgid = func() uint64 { return 0 }
	}
	if h.UidGid == nil {
		h.UidGid = func() uint64 { return 0 }
	}
	if h.Comm == nil {
		h.Comm = func() string { return "" }
	}
	return h
}

// Abort implements helpers.Env.
func (e *Env) Abort(err error) { e.Aborted = err }
