//go:build !race

package mem

// CopyShared copies src to dst, which have the same length and may overlap.
// Either may be the value of a map, which programs write at the same time: the
// copy may then hold part of a write, but aligned words of 8 bytes come whole.
//
// A stop of the world does not wait for long: see piece.
func CopyShared(dst, src []byte) {
	if len(src) <= piece {
		copy(dst, src)
		return
	}
	copyPieces(dst, src)
}

func copyPieces(dst, src []byte) {
	align := int(Addr(dst) % 8) // no aligned word lies in two pieces
	if _, inside := Index(src, dst[:0]); inside {
		for n := len(src); n > 0; {
			at := max(0, (n+align-1)/piece*piece-align)
			copy(dst[at:n], src[at:n])
			n = at
		}
		return
	}
	for at := 0; at < len(src); {
		n := min(at+piece-(at+align)%8, len(src))
		copy(dst[at:n], src[at:n])
		at = n
	}
}

// ClearShared zeroes b, which programs may use at the same time.
func ClearShared(b []byte) {
	for ; len(b) > piece; b = b[piece-Addr(b)%8:] {
		clear(b[:piece-Addr(b)%8])
	}
	clear(b)
}
