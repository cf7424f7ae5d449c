package maps

import (
	"fmt"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// core is what every map type of this package has: its description, and what
// Go code may do with it. The checks come in the order of the kernel's system
// calls (kernel/bpf/syscall.c): permission, flags, then the operation.
type core struct {
	spec   Spec
	value  layout
	ends   *ends         // nil unless values have timers
	denied atomic.Uint32 // set of deny*
	noLock error         // what Lock gets; ready, since programs can ask for it in a loop
}

const (
	denyRead   = 1 << iota // BPF_F_WRONLY
	denyWrite              // BPF_F_RDONLY
	denyFrozen             // Freeze
	denyClosed
)

// init must be called before the map is published.
func (m *core) init(spec *Spec) {
	m.spec = *spec
	m.value = layoutOf(spec)
	if m.value.timers {
		m.ends = &ends{}
	}
	if m.value.lock < 0 {
		m.noLock = m.fail("no spin lock in the value", errno.EINVAL)
	}
	var d uint32
	if spec.Flags&WriteOnly != 0 {
		d |= denyRead
	}
	if spec.Flags&ReadOnly != 0 {
		d |= denyWrite
	}
	m.denied.Store(d)
}

// Bundled reports whether m is of a type of this package, and not a host's own
// map: one that keeps to its description whatever happens.
func Bundled(m Map) bool {
	_, ok := m.(interface{ bundled() })
	return ok
}

func (m *core) bundled() {}

func (m *core) Spec() *Spec { return &m.spec }

// Close ends the use of the map by Go code: every other method for Go code
// returns EBADF afterwards. Memory lives on while a program or a slice of it
// does.
func (m *core) Close() error {
	m.denied.Or(denyClosed)
	m.ends.all()
	return nil
}

// Freeze makes the map read-only for Go code. EPERM if it is so already;
// ENOTSUPP if values hold fields that the kernel manages, such as a spin lock.
func (m *core) Freeze() error {
	d := m.denied.Load()
	switch {
	case d&denyClosed != 0:
		return m.fail("freeze", errno.EBADF)
	case m.value.special != nil:
		return m.fail("freeze", errno.ENOTSUPP)
	case d&denyWrite != 0, m.denied.Or(denyFrozen)&denyFrozen != 0:
		return m.fail("freeze", errno.EPERM)
	}
	return nil
}

// LookupAndDelete returns ENOTSUPP: most types have no such operation.
func (m *core) LookupAndDelete(_, _ []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.mayWrite(); err != nil {
		return err
	}
	return errno.ENOTSUPP
}

// open reports whether the map was closed.
func (m *core) open() error {
	if m.denied.Load()&denyClosed != 0 {
		return m.fail("closed", errno.EBADF)
	}
	return nil
}

func (m *core) frozen() bool { return m.denied.Load()&denyFrozen != 0 }

func (m *core) mayRead() error {
	if d := m.denied.Load(); d&(denyRead|denyClosed) != 0 {
		if d&denyClosed != 0 {
			return m.fail("closed", errno.EBADF)
		}
		return m.fail("write-only", errno.EPERM)
	}
	return nil
}

func (m *core) mayWrite() error {
	if d := m.denied.Load(); d&(denyWrite|denyFrozen|denyClosed) != 0 {
		switch {
		case d&denyClosed != 0:
			return m.fail("closed", errno.EBADF)
		case d&denyFrozen != 0:
			return m.fail("frozen", errno.EPERM)
		}
		return m.fail("read-only", errno.EPERM)
	}
	return nil
}

// mayProgramWrite refuses what the verifier refuses before a program runs:
// record_func_map (kernel/bpf/verifier.c) gives EACCES.
func (m *core) mayProgramWrite() error {
	if m.spec.Flags&ReadOnlyProg != 0 {
		return errno.EACCES
	}
	return nil
}

func (m *core) fail(what string, e errno.Errno) error {
	return fmt.Errorf("map %q: %s: %w", m.spec.Name, what, e)
}

// checkKey reports a key of the wrong length.
func (m *core) checkKey(key []byte) error {
	if len(key) != int(m.spec.KeySize) {
		return fmt.Errorf("map %q: key has %d bytes, not %d: %w", m.spec.Name, len(key), m.spec.KeySize, errno.EINVAL)
	}
	return nil
}

// checkValue reports a value whose length is not want.
func (m *core) checkValue(value []byte, want int) error {
	if len(value) != want {
		return fmt.Errorf("map %q: value has %d bytes, not %d: %w", m.spec.Name, len(value), want, errno.EINVAL)
	}
	return nil
}

// checkEntry reports a key or a value of the wrong length.
func (m *core) checkEntry(key, value []byte, want int) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	return m.checkValue(value, want)
}

// checkLock reports Lock where values have no spin lock.
func (m *core) checkLock(flags UpdateFlags) error {
	if flags&Lock != 0 {
		return m.noLock
	}
	return nil
}

// HostValueSize returns how many bytes Lookup and Update take for a value of a
// map with this description: ValueSize, or, for per-CPU maps, one value per
// virtual CPU, each rounded up to 8 bytes.
func (s *Spec) HostValueSize() int {
	if s.perCPU() {
		return roundUp8(int(s.ValueSize)) * NumCPU()
	}
	return int(s.ValueSize)
}

// perCPU reports whether an entry has a value for each CPU.
func (s *Spec) perCPU() bool {
	switch s.Type {
	case PerCPUArray, PerCPUHash, LRUPerCPUHash, PerCPUCgroupStorage:
		return true
	}
	return false
}

func roundUp8(n int) int { return (n + 7) &^ 7 }
