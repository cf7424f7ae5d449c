package vm

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
)

// An early is a slot as helpers get it in a quick run, before anything in it is
// ready for them: the first method that needs more than the run has makes it so
// (beginLate), and helpers that ask for nothing do without. From then on the slot
// itself is what helpers get.
type early slot

var _ helpers.Env = (*early)(nil)

// whole returns the slot, ready for helpers.
func (e *early) whole() *slot {
	s := (*slot)(e)
	if s.prog == nil {
		s.beginLate()
	}
	return s
}

// slotIn returns the slot that a helper got as env, ready for helpers or not.
func slotIn(env helpers.Env) *slot {
	if e, ok := env.(*early); ok {
		return (*slot)(e)
	}
	return env.(*slot)
}

// wholeIn is slotIn, made ready.
func wholeIn(env helpers.Env) *slot {
	if e, ok := env.(*early); ok {
		return e.whole()
	}
	return env.(*slot)
}

func (e *early) CPU() int { return int(e.native.rt.Context.CPU) }

func (e *early) Host() *helpers.Host { return e.native.running().coll.host }

func (e *early) Bytes(addr uint64, n int) []byte {
	if n > 0 {
		if b, ok := e.native.stack(addr, n); ok {
			return b
		}
	}
	return e.whole().Bytes(addr, n)
}

func (e *early) Share(b []byte) uint64                       { return e.whole().Share(b) }
func (e *early) ShareElement(b []byte) uint64                { return e.whole().ShareElement(b) }
func (e *early) ShareMap(m maps.Map) uint64                  { return e.whole().ShareMap(m) }
func (e *early) Map(handle uint64) maps.Map                  { return e.whole().Map(handle) }
func (e *early) Acquire(b []byte, r helpers.Releaser) uint64 { return e.whole().Acquire(b, r) }
func (e *early) ShareObject(b []byte, object any) uint64     { return e.whole().ShareObject(b, object) }
func (e *early) Object(addr uint64) any                      { return e.whole().Object(addr) }
func (e *early) Lock(addr uint64)                            { e.whole().Lock(addr) }
func (e *early) Unlock(addr uint64)                          { e.whole().Unlock(addr) }
func (e *early) Timers() helpers.Timers                      { return e.whole().Timers() }
func (e *early) Dynptrs() *helpers.Dynptrs                   { return e.whole().Dynptrs() }
func (e *early) Ctx() []byte                                 { return e.whole().Ctx() }
func (e *early) Packet() *helpers.Packet                     { return e.whole().Packet() }
func (e *early) SetPacket()                                  { e.whole().SetPacket() }
func (e *early) State() any                                  { return e.whole().State() }
func (e *early) Abort(err error)                             { e.whole().Abort(err) }

func (e *early) Release(addr uint64) (b []byte, r helpers.Releaser, ok bool) {
	return e.whole().Release(addr)
}

func (e *early) Call(fn, a1, a2, a3, a4, a5 uint64) (uint64, error) {
	return e.whole().Call(fn, a1, a2, a3, a4, a5)
}
