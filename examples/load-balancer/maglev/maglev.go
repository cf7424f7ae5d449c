// Package maglev computes the rings of a consistent hash: which backend each
// place belongs to. When a backend comes or goes, few places of the others
// change hands.
//
// It is the algorithm of Eisenbud et al., "Maglev: A Fast and Reliable Software
// Network Load Balancer" (NSDI 2016), section 3.4, with weights: a backend's
// turn to take a place comes as often as its weight says.
package maglev

import "fmt"

// A Backend is one that places can belong to.
type Backend struct {
	// Name decides which places it prefers. Two backends have two names.
	Name string
	// Weight is its share of the places, relative to the others'; 0 is none.
	Weight uint32
}

// Ring returns, for each of size places, the index of its backend, or nil if no
// backend has a weight. size is a prime, and much larger than the number of
// backends: with a hundred places for each, shares are within a percent of
// their weights.
func Ring(backends []Backend, size uint32) ([]uint32, error) {
	if !prime(size) {
		return nil, fmt.Errorf("a ring of %d places: that is no prime", size)
	}
	var takers []*taker
	for i, b := range backends {
		if b.Weight > 0 {
			h := hash(b.Name)
			takers = append(takers, &taker{
				index:  uint32(i),
				weight: uint64(b.Weight),
				next:   uint32(h % uint64(size)),
				skip:   uint32(mix(h)%uint64(size-1)) + 1,
			})
		}
	}
	if takers == nil {
		return nil, nil
	}
	return fill(takers, size), nil
}

// A taker goes through all places in an order of its own, next, next+skip, …
// modulo the size of the ring.
type taker struct {
	index  uint32
	weight uint64
	credit uint64
	next   uint32
	skip   uint32
}

// fill gives places away in turns, until none is left. The heaviest takes one in
// every turn, the others when their weights add up to the heaviest.
func fill(takers []*taker, size uint32) []uint32 {
	heaviest := uint64(0)
	for _, t := range takers {
		heaviest = max(heaviest, t.weight)
	}
	ring := make([]uint32, size)
	taken := make([]bool, size)
	for left := size; ; {
		for _, t := range takers {
			if t.credit += t.weight; t.credit < heaviest {
				continue
			}
			t.credit -= heaviest
			for taken[t.next] {
				t.step(size)
			}
			ring[t.next], taken[t.next] = t.index, true
			t.step(size)
			if left--; left == 0 {
				return ring
			}
		}
	}
}

func (t *taker) step(size uint32) {
	t.next = uint32((uint64(t.next) + uint64(t.skip)) % uint64(size))
}

// hash is FNV-1a, mixed.
func hash(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return mix(h)
}

// mix is the last step of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func prime(n uint32) bool {
	for d := uint32(2); uint64(d)*uint64(d) <= uint64(n); d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}
