package mem

import (
	"reflect"
	"unsafe"
)

// View returns the bytes of *v, aliased. The caller must touch only those that
// hold no pointers.
func View[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// Elements returns the bytes of the elements of a slice, aliased. The caller
// must touch only those that hold no pointers.
func Elements(slice reflect.Value) []byte {
	return unsafe.Slice((*byte)(slice.UnsafePointer()), slice.Len()*int(slice.Type().Elem().Size()))
}

// Field returns the field of *v that begins at byte off and is an F. The
// caller vouches for both, usually by reflection, once.
func Field[F, T any](v *T, off uintptr) *F {
	return (*F)(unsafe.Add(unsafe.Pointer(v), off))
}
