//go:build race

package mem

// CopyShared copies src to dst, which have the same length and may overlap.
// Either may be the value of a map, which programs write at the same time: that
// is a race of the programs, which the race detector must not report as the
// host's.
//
//go:norace
func CopyShared(dst, src []byte) {
	_ = dst[:len(src)]
	if off, inside := Index(src, dst[:0]); inside && off > 0 {
		for i := len(src) - 1; i >= 0; i-- {
			dst[i] = src[i]
		}
		return
	}
	for i := range src {
		dst[i] = src[i]
	}
}

// ClearShared zeroes b, which programs may use at the same time.
//
//go:norace
func ClearShared(b []byte) {
	for i := 0; i < len(b); i++ {
		b[i] = 0
	}
}
