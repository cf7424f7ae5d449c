package mem

// hugePage is the size of the larger pages of common hosts.
const hugePage = 2 << 20

// AllocDense is Alloc for memory that will be full, and read in no order. Where
// the host has pages of 2 MiB for the asking, large blocks lie in such: a read
// of a million entries in random order otherwise misses the TLB nearly every
// time, which costs as much as missing the cache.
func AllocDense(n int) ([]uint64, []byte) {
	if n*8 < hugePage || !askHuge {
		return Alloc(n)
	}
	words, bytes := Alloc(n + hugePage/8)
	skip := int(-Addr(bytes)%hugePage) / 8
	words, bytes = words[skip:skip+n:skip+n], bytes[skip*8:(skip+n)*8:(skip+n)*8]
	wantHuge(bytes[:len(bytes)&^(hugePage-1)])
	return words, bytes
}
