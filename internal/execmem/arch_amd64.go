//go:build linux || darwin || windows

package execmem

// trap fills p with INT3, so that a jump that goes astray stops.
func trap(p []byte) {
	for i := range p {
		p[i] = 0xcc
	}
}
