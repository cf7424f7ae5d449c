package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/skepvm/skep/internal/mem"
)

// Spin locks of map values. The words are shared with Go code that looks values
// up, or updates them, with BPF_F_LOCK (package maps).

var errLocked = errors.New("a spin lock is held already")

// Lock implements helpers.Env.
//
// Sound: a proof says that a spin lock lies at addr. Without one the run asks
// the memory that it may touch.
func (s *slot) Lock(addr uint64) {
	if s.lock != nil {
		s.Abort(errLocked)
		return
	}
	if s.exec == &s.reference && !s.isSpecial(addr, "bpf_spin_lock") {
		s.Abort(fmt.Errorf("there is no spin lock at %#x", addr))
		return
	}
	w := mem.Word32At(addr)
	for spins := 0; !mem.TryLock(w); spins++ {
		if !s.wait(spins) {
			return
		}
	}
	s.lock, s.lockAt = w, addr
	s.machine.Locked = true
}

// wait lets others go on. It reports false, and ends the run, if the run was
// cancelled.
func (s *slot) wait(spins int) bool {
	const hot, warm = 32, 1024 // a lock is held for some tens of instructions
	switch {
	case spins < hot:
		return true
	case spins < warm:
		runtime.Gosched()
	default: // whoever has it is looked at by a debugger, or waits for a CPU
		time.Sleep(20 * time.Microsecond)
	}
	if ctx := s.run.Context; ctx != nil && ctx.Err() != nil {
		s.Abort(context.Cause(ctx))
		return false
	}
	return true
}

// isSpecial reports whether a special field of the given kind is at addr.
func (s *slot) isSpecial(addr uint64, kind string) bool {
	if s.machine.Space.SpecialAt(addr, kind) {
		return true
	}
	s.machine.Refresh()
	return s.machine.Space.SpecialAt(addr, kind)
}

// Unlock implements helpers.Env.
func (s *slot) Unlock(addr uint64) {
	if s.lock == nil || s.lockAt != addr {
		s.Abort(fmt.Errorf("the spin lock at %#x is not the one that is held", addr))
		return
	}
	s.unlock()
}

// unlock gives back the lock that the run holds.
func (s *slot) unlock() {
	mem.Unlock(s.lock)
	s.lock, s.lockAt = nil, 0
	s.machine.Locked = false
}
