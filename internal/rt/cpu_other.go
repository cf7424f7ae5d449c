//go:build !amd64 && !(arm64 && (linux || darwin || windows))

package rt

// HostFeatures returns what this machine has that is known.
func HostFeatures() Features { return Features{} }
