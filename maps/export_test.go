package maps

// ZeroSeedHash is the hash of a key of 8 bytes in a map with ZeroSeed.
func ZeroSeedHash(key uint64) uint64 {
	s := fixedSeeds
	return s.word(key)
}
