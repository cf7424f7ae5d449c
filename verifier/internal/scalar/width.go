//go:build !smallwidth

package scalar

// The widths of a value and of its low half. The tag smallwidth compiles the
// same package for 8 and 4 bits, at which every value can be enumerated:
// TestSmallWidth does so. Nothing else in the package depends on the tag.
const (
	wordBits = 64
	halfBits = 32
)
