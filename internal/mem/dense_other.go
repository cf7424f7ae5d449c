//go:build !linux

package mem

const askHuge = false

func wantHuge([]byte) {}
