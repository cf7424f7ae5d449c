//go:build smallwidth

package scalar

const (
	wordBits = 8
	halfBits = 4
)
