package maps

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
)

// lpmTrie is a BPF_MAP_TYPE_LPM_TRIE: the value of the longest prefix that a
// key begins with. A key is struct bpf_lpm_trie_key: the prefix length in bits,
// 4 bytes in the host's order, then the data, most significant byte first.
//
// As in kernel/bpf/lpm_trie.c it is a binary trie without the nodes that have
// one child and no value. Nodes that were never given a value, or lost it, are
// intermediate: they have two children.
//
//	        root
//	      10.0.0.0/8
//	     0/        \1
//	10.1.0.0/16   (10.128.0.0/9)         intermediate
//	              0/         \1
//	     10.128.0.0/24   10.192.0.0/16
//
// A node is an entry of a pool:
//
//	word 0   child 0, child 1: entry+1 in 32 bits each, or 0
//	word 1   prefix length, intermediate
//	word 2…  the data, each word with the first byte at the top
//	value
//
// A node's data and length never change. Replacing a value replaces the node,
// so that programs keep the old value. Those who write hold mu; readers take no
// lock: they load word 0 and word 1 atomically, and have a lease or a pin, which
// keeps the nodes they may have come to from being used again.
type lpmTrie struct {
	core
	data    int    // bytes of data in a key
	maxBits uint32 // prefix length of a whole key
	pool    pool
	proto   mem.Slab

	root  atomic.Uint32 // entry+1
	mu    sync.Mutex
	spare spares
	count uint32
}

const (
	lpmHeader       = 4 // bytes of a key before the data
	lpmMaxData      = 256
	lpmIntermediate = 1 << 32 // in word 1
	lpmNodeWords    = 2       // before the data
)

func newLPM(spec *Spec) (Map, error) {
	m := &lpmTrie{data: int(spec.KeySize) - lpmHeader}
	m.maxBits = uint32(m.data) * 8
	m.init(spec)
	m.proto = mem.Slab{
		Size:      spec.ValueSize,
		ReadOnly:  spec.Flags&ReadOnlyProg != 0,
		WriteOnly: spec.Flags&WriteOnlyProg != 0,
	}
	key := lpmNodeWords*8 + roundUp8(m.data)
	entry := uint64(key + roundUp8(m.value.size))
	spare := min(max(spareBytes/entry, 64), 1<<20)
	limit := min(2*uint64(spec.MaxEntries)+spare, memoryLimit()/entry, 1<<32-2)
	m.pool.init(key, m.value.size, 1, spec.MaxEntries, uint32(limit))
	return m, nil
}

func (m *lpmTrie) Slabs() []mem.Slab { return *m.pool.slabs.Load() }

func (m *lpmTrie) Bytes() int64 { return m.pool.bytes.Load() }

// An lpmKey is a key in words, as nodes hold it.
type lpmKey struct {
	bits  uint32
	words [lpmMaxData / 8]uint64
}

// parse reads key into k. ok is false if the prefix is longer than the data.
func (m *lpmTrie) parse(k *lpmKey, key []byte) (ok bool) {
	k.bits = binary.NativeEndian.Uint32(key)
	b := key[lpmHeader:]
	i := 0
	for ; len(b) >= 8; b = b[8:] {
		k.words[i] = binary.BigEndian.Uint64(b)
		i++
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		k.words[i] = binary.BigEndian.Uint64(last[:])
	}
	return k.bits <= m.maxBits
}

// An lpmNode is a node's words before the value.
type lpmNode []uint64

func (m *lpmTrie) node(entry uint32) lpmNode { return m.pool.words(entry) }

// prefix returns the node's length and whether it is intermediate.
func (n lpmNode) prefix() (length uint32, intermediate bool) {
	w := atomic.LoadUint64(&n[1])
	return uint32(w), w&lpmIntermediate != 0
}

// children returns both children, as entry+1, or 0.
func (n lpmNode) children() (c [2]uint32) {
	w := atomic.LoadUint64(&n[0])
	return [2]uint32{uint32(w), uint32(w >> 32)}
}

func (n lpmNode) setChildren(c [2]uint32) { atomic.StoreUint64(&n[0], uint64(c[0])|uint64(c[1])<<32) }

// match returns how many bits k and n have in common, up to limit.
func (k *lpmKey) match(n lpmNode, limit uint32) uint32 {
	for i := uint32(0); i*64 < limit; i++ {
		if d := k.words[i] ^ n[lpmNodeWords+i]; d != 0 {
			return min(limit, i*64+uint32(bits.LeadingZeros64(d)))
		}
	}
	return limit
}

// bit returns bit i of the data, from the most significant on; 0 behind it.
func (k *lpmKey) bit(i uint32) uint32 {
	if i >= lpmMaxData*8 {
		return 0
	}
	return uint32(k.words[i/64]>>(63-i%64)) & 1
}

// find returns the node of the longest prefix of k. The caller has a lease or
// a pin.
func (m *lpmTrie) find(k *lpmKey) (entry uint32, ok bool) {
	for at := m.root.Load(); at != 0; {
		n := m.node(at - 1)
		length, intermediate := n.prefix()
		if k.match(n, min(length, k.bits)) < length {
			break
		}
		if !intermediate {
			entry, ok = at-1, true
		}
		if length == m.maxBits {
			break
		}
		at = n.children()[k.bit(length)]
	}
	return entry, ok
}

func (m *lpmTrie) LookupElem(_ int, key []byte) []byte {
	var k lpmKey
	if len(key) != int(m.spec.KeySize) || !m.parse(&k, key) {
		return nil
	}
	i, ok := m.find(&k)
	if !ok {
		return nil
	}
	return m.pool.value(i, 0, m.value.size)
}

func (m *lpmTrie) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	var k lpmKey
	if !m.parse(&k, key) {
		return errno.ENOENT
	}
	pin := vcpu.NewPin()
	defer pin.Unpin()
	i, ok := m.find(&k)
	if !ok {
		return errno.ENOENT
	}
	m.value.load(value, m.pool.value(i, 0, m.value.size), Any)
	return nil
}

// An lpmPath is where a walk to a key ended.
type lpmPath struct {
	at     uint32 // entry+1; 0: nothing there
	match  uint32 // bits that key and node have in common
	parent uint32 // entry+1; 0: at is the root
	above  uint32 // the parent's parent
}

// walk goes towards k until a node differs from it, is as long, or is missing.
// The caller holds mu.
func (m *lpmTrie) walk(k *lpmKey) (p lpmPath) {
	for p.at = m.root.Load(); p.at != 0; {
		n := m.node(p.at - 1)
		length, _ := n.prefix()
		p.match = k.match(n, min(length, k.bits))
		if p.match != length || length == k.bits {
			return p
		}
		p.above, p.parent, p.at = p.parent, p.at, n.children()[k.bit(length)]
	}
	return p
}

// replace puts the node to, entry+1, where from was below parent.
func (m *lpmTrie) replace(parent, from, to uint32, k *lpmKey) {
	if parent == 0 {
		m.root.Store(to)
		return
	}
	n := m.node(parent - 1)
	c := n.children()
	if from != 0 {
		c[index(c[1] == from)] = to
	} else {
		length, _ := n.prefix()
		c[k.bit(length)] = to
	}
	n.setChildren(c)
}

func index(second bool) int {
	if second {
		return 1
	}
	return 0
}

// create takes a node of length bits of k.
func (m *lpmTrie) create(k *lpmKey, length uint32, intermediate uint64) (entry uint32, ok bool) {
	entry, ok = m.spare.take(&m.pool, &m.proto)
	if !ok {
		return 0, false
	}
	n := m.node(entry)
	atomic.StoreUint64(&n[0], 0)
	atomic.StoreUint64(&n[1], uint64(length)|intermediate)
	copy(n[lpmNodeWords:], k.words[:])
	return entry, true
}

// room reports whether one more prefix may be added.
func (m *lpmTrie) room(flags UpdateFlags) error {
	switch {
	case flags == Exist:
		return errno.ENOENT
	case m.count == m.spec.MaxEntries:
		return errno.ENOSPC
	}
	return nil
}

// put is trie_update_elem.
func (m *lpmTrie) put(key, value []byte, flags UpdateFlags) error {
	var k lpmKey
	if flags > Exist || !m.parse(&k, key) {
		return errno.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.walk(&k)
	var old lpmNode
	var length uint32 // of old
	there := false    // the prefix has a value
	if p.at != 0 {
		var intermediate bool
		old = m.node(p.at - 1)
		length, intermediate = old.prefix()
		there = p.match == length && !intermediate
	}
	if !there {
		if err := m.room(flags); err != nil {
			return err
		}
	} else if flags == NoExist {
		return errno.EEXIST
	}
	entry, ok := m.create(&k, k.bits, 0)
	if !ok {
		return errno.ENOMEM
	}
	m.value.store(m.pool.value(entry, 0, m.value.size), value, 0)
	n := m.node(entry)
	switch {
	case p.at == 0: // a free place
		m.replace(p.parent, 0, entry+1, &k)
	case p.match == length: // the same prefix
		n.setChildren(old.children())
		m.replace(p.parent, p.at, entry+1, &k)
		m.spare.retire(p.at - 1)
	case p.match == k.bits: // a prefix of old's
		n.setChildren(place(old.bit(k.bits), p.at, 0))
		m.replace(p.parent, p.at, entry+1, &k)
	default: // both part ways behind match
		fork, ok := m.create(&k, p.match, lpmIntermediate)
		if !ok {
			m.spare.give(entry)
			return errno.ENOMEM
		}
		copy(m.node(fork)[lpmNodeWords:], old[lpmNodeWords:])
		m.node(fork).setChildren(place(old.bit(p.match), p.at, entry+1))
		m.replace(p.parent, p.at, fork+1, &k)
	}
	if !there {
		m.count++
	}
	return nil
}

// bit returns bit i of the node's data.
func (n lpmNode) bit(i uint32) uint32 { return uint32(n[lpmNodeWords+i/64]>>(63-i%64)) & 1 }

// place returns two children, a at the given side.
func place(side, a, b uint32) [2]uint32 {
	if side == 0 {
		return [2]uint32{a, b}
	}
	return [2]uint32{b, a}
}

// remove is trie_delete_elem.
func (m *lpmTrie) remove(key []byte) error {
	var k lpmKey
	if !m.parse(&k, key) {
		return errno.EINVAL
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.walk(&k)
	if p.at == 0 {
		return errno.ENOENT
	}
	n := m.node(p.at - 1)
	length, intermediate := n.prefix()
	if length != k.bits || p.match != length || intermediate {
		return errno.ENOENT
	}
	m.count--
	c := n.children()
	if c[0] != 0 && c[1] != 0 {
		atomic.StoreUint64(&n[1], uint64(length)|lpmIntermediate)
		return nil
	}
	child := c[0] | c[1]
	if child == 0 && p.parent != 0 {
		if parent := m.node(p.parent - 1); isIntermediate(parent) {
			pc := parent.children()
			m.replace(p.above, p.parent, pc[index(pc[0] == p.at)], &k)
			m.spare.retire(p.parent - 1)
			m.spare.retire(p.at - 1)
			return nil
		}
	}
	m.replace(p.parent, p.at, child, &k)
	m.spare.retire(p.at - 1)
	return nil
}

func isIntermediate(n lpmNode) bool {
	_, intermediate := n.prefix()
	return intermediate
}

func (m *lpmTrie) UpdateElem(_ int, key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	return m.put(key, value, flags)
}

func (m *lpmTrie) DeleteElem(_ int, key []byte) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	if err := m.mayProgramWrite(); err != nil {
		return err
	}
	return m.remove(key)
}

func (m *lpmTrie) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.update(key, value, flags)
}

func (m *lpmTrie) update(key, value []byte, flags UpdateFlags) error {
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	return m.put(key, value, flags)
}

func (m *lpmTrie) initial(key, value []byte) error { return m.update(key, value, Any) }

func (m *lpmTrie) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	return m.remove(key)
}

// NextKey walks the trie in postorder, longer prefixes before those they begin
// with. A key that is not in the map stands for the start.
func (m *lpmTrie) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, ok := m.after(key)
	if !ok {
		return errno.ENOENT
	}
	m.writeKey(next, entry)
	return nil
}

// writeKey writes the key of entry to key.
func (m *lpmTrie) writeKey(key []byte, entry uint32) {
	n := m.node(entry)
	length, _ := n.prefix()
	binary.NativeEndian.PutUint32(key, length)
	var word [8]byte
	for i := 0; i*8 < m.data; i++ {
		binary.BigEndian.PutUint64(word[:], n[lpmNodeWords+i])
		copy(key[lpmHeader+i*8:], word[:])
	}
}

// after returns the node that follows key in postorder; the first if key is
// nil or not in the map. The caller holds mu.
func (m *lpmTrie) after(key []byte) (entry uint32, ok bool) {
	root := m.root.Load()
	if root == 0 {
		return 0, false
	}
	var k lpmKey
	if key == nil || !m.parse(&k, key) {
		return m.leftmost(root), true
	}
	var path []uint32 // entry+1, from the root down
	for at := root; at != 0; {
		path = append(path, at)
		n := m.node(at - 1)
		length, intermediate := n.prefix()
		match := k.match(n, min(length, k.bits))
		if match != length {
			return m.leftmost(root), true
		}
		if length == k.bits {
			if intermediate {
				return m.leftmost(root), true
			}
			return m.afterPath(path)
		}
		at = n.children()[k.bit(length)]
	}
	return m.leftmost(root), true
}

// afterPath returns the node that follows the last of path in postorder.
func (m *lpmTrie) afterPath(path []uint32) (entry uint32, ok bool) {
	for i := len(path) - 1; i > 0; i-- {
		parent := m.node(path[i-1] - 1)
		if c := parent.children(); c[0] == path[i] && c[1] != 0 {
			return m.leftmost(c[1]), true
		}
		if !isIntermediate(parent) {
			return path[i-1] - 1, true
		}
	}
	return 0, false
}

// leftmost returns the first node in postorder of the tree at, which is
// entry+1.
func (m *lpmTrie) leftmost(at uint32) (entry uint32) {
	for at != 0 {
		entry = at - 1
		c := m.node(entry).children()
		if at = c[0]; at == 0 {
			at = c[1]
		}
	}
	return entry
}

func (m *lpmTrie) batch() batchOp { return batchLookup | batchUpdate | batchDelete }

// checkLPM is what trie_alloc checks.
func checkLPM(s *Spec) error {
	const maxValue = maxAlloc - lpmMaxData - 24 // sizeof(struct lpm_trie_node)
	switch {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case s.Flags&NoPrealloc == 0:
		return refuse(s, errno.EINVAL, "flag %v is missing", NoPrealloc)
	case s.KeySize < lpmHeader+1 || s.KeySize > lpmHeader+lpmMaxData:
		return refuse(s, errno.EINVAL, "key size is %d, not %d to %d", s.KeySize, lpmHeader+1, lpmHeader+lpmMaxData)
	case s.ValueSize == 0 || s.ValueSize > maxValue:
		return refuse(s, errno.EINVAL, "value size is %d, not 1 to %d", s.ValueSize, maxValue)
	}
	return checkFlags(s, NoPrealloc|NUMANode|accessMask)
}
