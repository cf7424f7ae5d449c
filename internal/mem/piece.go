package mem

import "bytes"

// piece is how many bytes are copied, cleared or compared at a time: what does so
// cannot be interrupted, and a stop of the world waits for it.
const piece = 1 << 16

// Compare is bytes.Compare of memory that may be large.
func Compare(x, y []byte) int {
	for len(x) > piece && len(y) > piece {
		if c := bytes.Compare(x[:piece], y[:piece]); c != 0 {
			return c
		}
		x, y = x[piece:], y[piece:]
	}
	return bytes.Compare(x, y)
}
