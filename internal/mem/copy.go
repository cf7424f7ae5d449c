//go:build !race

package mem

// CopyShared copies src to dst, which have the same length and may overlap.
// Either may be the value of a map, which programs write at the same time: the
// copy may then hold part of a write, but aligned words of 8 bytes come whole.
func CopyShared(dst, src []byte) { copy(dst, src) }

// ClearShared zeroes b, which programs may use at the same time.
func ClearShared(b []byte) { clear(b) }
