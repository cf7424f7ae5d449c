//go:build darwin && (amd64 || arm64)

package execmem

// Default says whether code is used unless a caller decides otherwise: no test
// has run it on such a host yet. A process with the hardened runtime needs the
// entitlement com.apple.security.cs.allow-unsigned-executable-memory; without
// it, makeRX is refused.
const Default = false
