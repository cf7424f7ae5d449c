package mem

import "unsafe"

// View returns the bytes of *v, aliased. The caller must touch only those that
// hold no pointers.
func View[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// Field returns the field of *v that begins at byte off and is an F. The
// caller vouches for both, usually by reflection, once.
func Field[F, T any](v *T, off uintptr) *F {
	return (*F)(unsafe.Add(unsafe.Pointer(v), off))
}
