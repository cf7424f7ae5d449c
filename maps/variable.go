package maps

import (
	"fmt"
	"reflect"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Variable is a global C variable, bytes in the one value of a map, as a Go
// value: of a type that Typed takes for values. Its methods may be called from any
// goroutine, and while programs run. One of 1, 2, 4 or 8 bytes is read and written
// in one step; of a larger one, a part may be that of a concurrent write.
type Variable[T any] struct {
	m    Map
	off  int
	form form
}

// NewVariable returns the variable at byte off of the value of m, which has one
// entry with the key 0. c is its type, or nil, and size its size: see NewTyped for
// how T has to fit them.
func NewVariable[T any](m Map, off uint32, c *btf.Type, size uint32) (*Variable[T], error) {
	s := m.Spec()
	if s.KeySize != 4 || s.MaxEntries != 1 || s.perCPU() || uint64(off)+uint64(size) > uint64(s.ValueSize) {
		return nil, fmt.Errorf("map %q: bytes %d to %d are no variable: %w", s.Name, off, uint64(off)+uint64(size), errno.EINVAL)
	}
	f, err := formOf(reflect.TypeFor[T](), c, int(size))
	if err != nil {
		return nil, fmt.Errorf("map %q: variable at %d: %w", s.Name, off, err)
	}
	return &Variable[T]{m, int(off), f}, nil
}

// Get returns the variable's value.
func (v *Variable[T]) Get() (T, error) {
	var out T
	b := mem.View(&out)
	if a, ok := v.m.(*array); ok {
		if err := a.mayRead(); err != nil {
			return out, err
		}
		v.copy(b, v.bytes(a))
	} else {
		value := make([]byte, v.m.Spec().ValueSize)
		if err := v.m.Lookup(make([]byte, 4), value); err != nil {
			return out, err
		}
		copy(b, value[v.off:])
	}
	v.form.repair(b)
	return out, nil
}

// Set stores a value. EPERM: the variable is const.
func (v *Variable[T]) Set(in T) error {
	b := mem.View(&in)
	v.form.erase(b)
	if a, ok := v.m.(*array); ok {
		if err := a.mayWrite(); err != nil {
			return err
		}
		v.copy(v.bytes(a), b)
		return nil
	}
	key, value := make([]byte, 4), make([]byte, v.m.Spec().ValueSize)
	if err := v.m.Lookup(key, value); err != nil {
		return err
	}
	copy(value[v.off:], b)
	return v.m.Update(key, value, Any)
}

// bytes returns the variable in its map.
func (v *Variable[T]) bytes(a *array) []byte {
	return a.at(0, 0, a.value.size)[v.off:][:v.form.size]
}

// copy copies one variable, in one step if it can.
func (v *Variable[T]) copy(dst, src []byte) {
	if n := v.form.size; n <= 8 && n&(n-1) == 0 && n > 0 && v.off%n == 0 && mem.Aligned(mem.Addr(dst), n) && mem.Aligned(mem.Addr(src), n) {
		mem.StoreRelease(dst, mem.LoadAcquire(src))
		return
	}
	mem.CopyShared(dst, src)
}
