//go:build linux && amd64

package main

import "encoding/binary"

// What programs/maps.h says, in Go.

const (
	entries = 1000000
	ops     = 1024 // of a run
)

// next is the generator.
func next(s uint64) uint64 {
	s ^= s << 13
	s ^= s >> 7
	s ^= s << 17
	return s
}

func below(s, n uint64) uint64 { return s >> 32 * n >> 32 }

// key returns key i of a hash.
func key(i uint64) uint64 { return (i + 1) * 0x9e3779b97f4a7c15 }

// An entry of a hash is a key, with itself as its value.
func hashEntries() (keys, values []byte) {
	for i := range uint64(entries) {
		keys = binary.NativeEndian.AppendUint64(keys, key(i))
	}
	return keys, keys
}

// prefix returns the key of a trie that is made of the hash h (programs/lpm.c).
func prefix(h uint64) (key [8]byte) {
	lengths := []struct{ count, bits uint64 }{{38, 24}, {6, 23}, {7, 22}, {3, 21}, {3, 20}, {2, 19}, {1, 18}, {1, 17}, {1, 16}, {1, 32}, {1, 8 + h>>26&7}}
	n, at := uint64(0), h>>20&63
	for _, l := range lengths {
		if at < l.count {
			n = l.bits
			break
		}
		at -= l.count
	}
	binary.NativeEndian.PutUint32(key[:], uint32(n))
	binary.BigEndian.PutUint32(key[4:], uint32(h>>32)&^uint32(0xffffffff>>n))
	return key
}

// trieEntries returns the prefixes that programs look for, and others until
// there are as many as entries. The value is the last hash that makes a prefix.
func trieEntries() (keys, values []byte) {
	at := map[[8]byte]int{} // place among the values
	for i := uint64(0); i < entries || len(at) < entries; i++ {
		h := key(i)
		k := prefix(h)
		if _, ok := at[k]; !ok {
			at[k] = len(values)
			keys = append(keys, k[:]...)
			values = append(values, make([]byte, 8)...)
		}
		binary.NativeEndian.PutUint64(values[at[k]:], h)
	}
	return keys, values
}
