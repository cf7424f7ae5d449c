package maps

import "math/bits"

// Footprint returns how many bytes a map with this description takes when it is
// full, or somewhat more: keys, values of all CPUs, and what finds them. Not
// counted are values that were deleted or replaced while a run still holds them,
// and what maps of maps and of programs refer to.
func Footprint(s *Spec) uint64 {
	n := uint64(s.MaxEntries)
	key, value := up8(s.KeySize), up8(s.ValueSize)
	if s.perCPU() {
		value *= uint64(NumCPU())
	}
	switch s.Type {
	case RingBuf, UserRingBuf:
		return 2 * n // records lie in one piece
	case Array, PerCPUArray:
		return times(n, value)
	case Queue, Stack:
		return times(n, uint64(s.ValueSize))
	case ArrayOfMaps:
		return 8 * n
	case BloomFilter:
		return hashBits(s) / 8
	case Hash, PerCPUHash, LRUHash, LRUPerCPUHash, HashOfMaps:
		segs := uint64(segmentsFor(s))
		// A table has four entries or more for each bucket of 64 bytes when it
		// grows, to twice its size, and begins with one.
		tables := segs*(64+bucketSize) + times(n, bucketSize/2)
		if times(n, bucketSize) >= sharedBlock { // there is one for every segment when the first needs it
			tables = plus(tables, times(n, bucketSize/2))
		}
		if lines := homeLines(s, int(segs)); lines > 0 && s.Type == Hash {
			tables = plus(tables, uint64(lines)*lineSize)
			return plus(poolBytes(n/4+segs*spareBatch, n, key+value), tables)
		}
		return plus(poolBytes(n+segs*spareBatch, n, key+value), tables)
	case LPMTrie:
		node := lpmNodeWords*8 + up8(max(s.KeySize, lpmHeader)-lpmHeader) + value
		levels := uint64(0)
		for bits := lpmFirstLevel; bits <= min(lpmLastLevel, 8*(int(s.KeySize)-lpmHeader)) && n >= 1<<bits/lpmShare; bits += lpmLevelStep {
			levels += 4 << bits
		}
		return plus(poolBytes(2*n+64, n, node), levels)
	}
	return times(n, plus(key, max(value, 16)))
}

// hashBits returns how many bits a bloom filter has.
func hashBits(s *Spec) uint64 {
	hashes := uint32(s.Extra)
	if hashes == 0 {
		hashes = defaultBloomHashes
	}
	return uint64(bloomMask(s.MaxEntries, hashes)) + 1
}

// poolBytes returns how much memory a pool takes of which n entries of size
// bytes were taken, where want were expected: its chunks double.
func poolBytes(n, want, size uint64) uint64 {
	const firstChunk = 2048
	first := uint64(1) << (bits.Len64(min(max(1, firstChunk/max(size, 1)), max(want, 1))) - 1)
	end := uint64(1) << bits.Len64(first+n-1)
	return times(end-first, size)
}

func up8(n uint32) uint64 { return (uint64(n) + 7) &^ 7 }

// times returns a*b, or the largest number if that is more.
func times(a, b uint64) uint64 {
	if hi, lo := bits.Mul64(a, b); hi == 0 {
		return lo
	}
	return 1<<64 - 1
}

// plus returns a+b, or the largest number if that is more.
func plus(a, b uint64) uint64 {
	if sum, carry := bits.Add64(a, b, 0); carry == 0 {
		return sum
	}
	return 1<<64 - 1
}
