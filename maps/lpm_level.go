package maps

import "sync/atomic"

// An lpmLevel leads from the first bits of a key to the first node with at least
// as many bits that a walk to the key comes to. All nodes below begin with the
// same bits, so adding or removing a node changes one place of a level at most.
//
// A look-up starts at the level with most bits, among the longest prefixes, and
// goes back to one with fewer if it finds none there. Levels are 4 bits apart,
// so that it passes few nodes either way.
type lpmLevel struct {
	bits  uint32
	first []uint32 // entry+1 or 0; by the first bits of a key
}

// A trie has a level of lpmFirstLevel, 4 more, … up to lpmLastLevel bits when it
// holds an lpmShare-th as many prefixes as the level has places: nodes take more
// memory than levels then.
const (
	lpmFirstLevel = 8
	lpmLastLevel  = 20
	lpmLevelStep  = 4
	lpmShare      = 16
)

func (l *lpmLevel) at(k *lpmKey) *uint32 { return &l.first[k.first>>(64-l.bits)] }

// load returns the first node for k, as entry+1, or 0.
func (l *lpmLevel) load(k *lpmKey) uint32 { return atomic.LoadUint32(l.at(k)) }

// setLevels makes the node to, entry+1 or 0, the first one for k at the levels of
// more than above bits, and at most length. The caller holds mu.
func (m *lpmTrie) setLevels(k *lpmKey, above int, length, to uint32) {
	for _, l := range *m.levels.Load() {
		if above < int(l.bits) && l.bits <= length {
			atomic.StoreUint32(l.at(k), to)
		}
	}
}

// length returns the prefix length of the node at, which is entry+1, or -1 if
// there is none.
func (m *lpmTrie) length(at uint32) int {
	if at == 0 {
		return -1
	}
	length, _ := m.node(at - 1).prefix()
	return int(length)
}

// addLevel adds a level if the trie has become large enough. The caller holds mu.
func (m *lpmTrie) addLevel() {
	levels := *m.levels.Load()
	bits := uint32(lpmFirstLevel + lpmLevelStep*len(levels))
	if bits > min(lpmLastLevel, m.maxBits) || m.count < 1<<bits/lpmShare {
		return
	}
	l := lpmLevel{bits, make([]uint32, 1<<bits)}
	m.fillLevel(&l, m.root.Load())
	levels = append([]lpmLevel{l}, levels...) // the longest first
	m.levels.Store(&levels)
}

// fillLevel notes the first nodes in l that are at or below the node at, entry+1
// or 0, whose parent has less than l.bits.
func (m *lpmTrie) fillLevel(l *lpmLevel, at uint32) {
	if at == 0 {
		return
	}
	n := m.node(at - 1)
	if length, _ := n.prefix(); length >= l.bits {
		l.first[n[lpmNodeWords]>>(64-l.bits)] = at
		return
	}
	for _, child := range n.children() {
		m.fillLevel(l, child)
	}
}
