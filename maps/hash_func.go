package maps

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// seeds make a map's hash its own: who chooses keys cannot choose buckets.
type seeds [3]uint64

// fixedSeeds are those of a map with ZeroSeed: digits of e, made odd. Zeros
// would make the hash of key 0 zero, and the hash weak.
var fixedSeeds = seeds{0xb7e151628aed2a6b, 0xbf7158809cf4f3c7, 0x62e7160f38b4da57}

func newSeeds(flags Flags) seeds {
	if flags&ZeroSeed != 0 {
		return fixedSeeds
	}
	return seeds{rand.Uint64() | 1, rand.Uint64() | 1, rand.Uint64() | 1}
}

// mix multiplies to 128 bits and folds. Every bit of the result depends on
// nearly every bit of a and b.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// word hashes a key of up to 8 bytes. The second multiplication spreads what
// the first leaves in few bits when the key differs in few.
func (s *seeds) word(k uint64) uint64 { return mix(k^s[0], s[1]) * s[2] }

// start returns what the hash of a key of n bytes begins with.
func (s *seeds) start(n int) uint64 { return s[0] ^ uint64(n)*s[2] }

// bytes hashes a key of any length but 4 and 8.
func (s *seeds) bytes(key []byte) uint64 {
	h := s.start(len(key))
	for len(key) > 16 {
		h = mix(binary.NativeEndian.Uint64(key)^s[1], binary.NativeEndian.Uint64(key[8:])^h)
		key = key[16:]
	}
	// Up to 16 bytes are left: two words, which overlap unless there are 16.
	var a, b uint64
	switch n := len(key); {
	case n >= 8:
		a, b = binary.NativeEndian.Uint64(key), binary.NativeEndian.Uint64(key[n-8:])
	case n >= 4:
		a, b = uint64(binary.NativeEndian.Uint32(key)), uint64(binary.NativeEndian.Uint32(key[n-4:]))
	case n > 0:
		a, b = uint64(key[0])<<16|uint64(key[n/2])<<8|uint64(key[n-1]), uint64(n)
	}
	return mix(mix(a^s[1], b^h)^s[0], s[2])
}
