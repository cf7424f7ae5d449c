package maps

import (
	"fmt"

	"github.com/skepvm/skep/errno"
)

// LookupAndDeleteLocked is LookupAndDelete under the value's spin lock
// (BPF_F_LOCK): see LookupLocked.
func LookupAndDeleteLocked(m Map, key, value []byte) error {
	c, ok := m.(interface {
		mayRead() error
		mayWrite() error
		checkLock(UpdateFlags) error
	})
	if !ok {
		return fmt.Errorf("map %q: type %v has no spin locks: %w", m.Spec().Name, m.Spec().Type, errno.EINVAL)
	}
	if err := c.mayRead(); err != nil {
		return err
	}
	if err := c.mayWrite(); err != nil {
		return err
	}
	if err := c.checkLock(Lock); err != nil {
		return err
	}
	h, ok := m.(*hash)
	if !ok {
		return errno.ENOTSUPP
	}
	if err := h.checkEntry(key, value, h.hostSize()); err != nil {
		return err
	}
	return h.remove(key, value, Lock)
}
