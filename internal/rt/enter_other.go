//go:build !amd64 && !arm64

package rt

// Supported says whether there is a stub for this architecture.
const Supported = false

// Enter is never called: without Supported there is no code.
func Enter(*Run, uintptr) Exit { panic("BUG: machine code on an architecture without a stub") }

// Leaf is never called either.
func Leaf(*Context, uintptr) uint64 { panic("BUG: machine code on an architecture without a stub") }
