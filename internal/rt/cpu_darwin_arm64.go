package rt

// HostFeatures returns what this machine has: every Apple CPU that runs macOS
// is ARMv8.4 or later.
func HostFeatures() Features { return Features{LSE: true, LRCPC: true} }
