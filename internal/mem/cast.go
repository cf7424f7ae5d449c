package mem

import "unsafe"

// Cast returns the bits of v as a To, which has as many.
func Cast[To, From any](v From) To { return *(*To)(unsafe.Pointer(&v)) }

// SameFunc reports whether f and g, which are functions, are one: two that were
// made by the same statement differ if they hold variables.
func SameFunc[F any](f, g F) bool { return Cast[unsafe.Pointer](f) == Cast[unsafe.Pointer](g) }

// SizeOf returns how many bytes a T takes.
func SizeOf[T any]() uintptr { return unsafe.Sizeof(*new(T)) }
