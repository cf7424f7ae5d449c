//go:build linux && (amd64 || arm64)

package execmem

// Default says whether code is used unless a caller decides otherwise: the
// tests have run it on such a host.
const Default = true
