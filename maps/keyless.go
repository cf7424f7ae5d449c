package maps

import "github.com/skepvm/skep/errno"

// keyless is what maps of values without keys have in common: queues, stacks
// and bloom filters. Keys, where a method takes one, are empty.
type keyless struct {
	core
	none errno.Errno // what operations on keys return
	// push adds value, whose size was checked.
	push func(value []byte, flags UpdateFlags) error
}

// PushElem adds value for a program.
func (m *keyless) PushElem(value []byte, flags UpdateFlags) error {
	if err := m.checkValue(value, m.value.size); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	return m.push(value, flags)
}

// LookupElem returns nil: there are no keys.
func (m *keyless) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL: programs push.
func (m *keyless) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// DeleteElem returns an error: there are no keys.
func (m *keyless) DeleteElem(int, []byte) error { return m.none }

// Update adds value; key is empty.
func (m *keyless) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	return m.push(value, flags)
}

func (m *keyless) initial(key, value []byte) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return m.push(value, Any)
}

// Delete returns an error: there are no keys.
func (m *keyless) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	return m.none
}

// NextKey returns an error: there are no keys.
func (m *keyless) NextKey(_, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	return m.none
}

func (m *keyless) batch() batchOp { return 0 }
