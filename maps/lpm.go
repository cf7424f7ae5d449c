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
//	word 1   prefix length in 31 bits, intermediate in 1; the parent, entry+1
//	word 2…  the data, each word with the first byte at the top
//	value
//
// A node's data and length never change. Replacing a value replaces the node,
// so that programs keep the old value. Those who write hold mu; readers take no
// lock: they load word 0 and word 1 atomically, and have a lease or a pin, which
// keeps the nodes they may have come to from being used again. They look again
// if changes says that somebody wrote meanwhile: on the way past a prefix that
// came, to one that went, a walk would find neither.
//
// A walk from the root through a million prefixes passes twenty nodes, each of
// which the cache may miss. So levels lead into the middle (lpm_level.go).
type lpmTrie struct {
	core
	data    int    // bytes of data in a key
	maxBits uint32 // prefix length of a whole key
	pool    pool
	proto   mem.Slab

	root    atomic.Uint32 // entry+1
	levels  atomic.Pointer[[]lpmLevel]
	changes atomic.Uint32 // odd: somebody writes

	mu    sync.Mutex
	spare spares
	count uint32
	held  [lpmMaxData - 8]byte
}

const (
	lpmHeader       = 4 // bytes of a key before the data
	lpmMaxData      = 256
	lpmIntermediate = 1 << 31 // in word 1
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
	m.levels.Store(&[]lpmLevel{})
	return m, nil
}

func (m *lpmTrie) Slabs() []mem.Slab { return *m.pool.slabs.Load() }

func (m *lpmTrie) Bytes() int64 {
	n := m.pool.bytes.Load()
	for _, l := range *m.levels.Load() {
		n += int64(len(l.first)) * 4
	}
	return n
}

// An lpmKey is a key, of which word returns the words that nodes hold.
type lpmKey struct {
	bits  uint32
	first uint64
	rest  []byte // of the data, behind the first word
}

// parse reads key into k, which refers to it. ok is false if the prefix is
// longer than the data.
func (m *lpmTrie) parse(k *lpmKey, key []byte) (ok bool) {
	k.bits = binary.NativeEndian.Uint32(key)
	b := key[lpmHeader:]
	k.first = bigEndianWord(b)
	k.rest = b[min(8, len(b)):]
	return k.bits <= m.maxBits
}

// hold makes k a key that stays as it is, while a program may write to the memory
// it was parsed from. The caller holds mu until it is done with k.
func (m *lpmTrie) hold(k *lpmKey) {
	k.rest = m.held[:copy(m.held[:], k.rest)]
}

// bigEndianWord returns up to 8 bytes of b, the first at the top.
func bigEndianWord(b []byte) uint64 {
	switch {
	case len(b) >= 8:
		return binary.BigEndian.Uint64(b)
	case len(b) == 4:
		return uint64(binary.BigEndian.Uint32(b)) << 32
	}
	w := uint64(0)
	for i, c := range b {
		w |= uint64(c) << (56 - 8*i)
	}
	return w
}

// word returns word i of the data, 0 behind it.
func (k *lpmKey) word(i uint32) uint64 {
	switch at := int(i)*8 - 8; {
	case i == 0:
		return k.first
	case at < len(k.rest):
		return bigEndianWord(k.rest[at:])
	}
	return 0
}

// An lpmNode is a node's words before the value.
type lpmNode []uint64

func (m *lpmTrie) node(entry uint32) lpmNode { return m.pool.words(entry) }

// prefix returns the node's length and whether it is intermediate.
func (n lpmNode) prefix() (length uint32, intermediate bool) {
	w := atomic.LoadUint64(&n[1])
	return uint32(w) &^ lpmIntermediate, w&lpmIntermediate != 0
}

// parent returns the node above, as entry+1, or 0. The caller holds mu.
func (n lpmNode) parent() uint32 { return uint32(n[1] >> 32) }

func (n lpmNode) setParent(p uint32) {
	atomic.StoreUint64(&n[1], n[1]&(1<<32-1)|uint64(p)<<32)
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
		if d := k.word(i) ^ n[lpmNodeWords+i]; d != 0 {
			return min(limit, i*64+uint32(bits.LeadingZeros64(d)))
		}
	}
	return limit
}

// bit returns bit i of the data, from the most significant on; 0 behind it.
func (k *lpmKey) bit(i uint32) uint32 { return uint32(k.word(i/64)>>(63-i%64)) & 1 }

// find returns the node of the longest prefix of k. The caller has a lease or
// a pin.
func (m *lpmTrie) find(k *lpmKey) (entry uint32, ok bool) {
	for range 3 {
		changes := m.changes.Load()
		entry, ok = m.search(k)
		if changes&1 == 0 && m.changes.Load() == changes {
			return entry, ok
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.search(k)
}

// search is find as long as nobody writes. It looks for long prefixes first.
func (m *lpmTrie) search(k *lpmKey) (entry uint32, ok bool) {
	limit := m.maxBits + 1
	for _, l := range *m.levels.Load() {
		if l.bits > k.bits {
			continue
		}
		if entry, ok = m.descend(l.load(k), k, limit); ok {
			return entry, true
		}
		limit = l.bits
	}
	return m.descend(m.root.Load(), k, limit)
}

// descend returns the node of the longest prefix of k of less than limit bits
// that is at or below the node at, which is entry+1.
func (m *lpmTrie) descend(at uint32, k *lpmKey, limit uint32) (entry uint32, ok bool) {
	for at != 0 {
		n := m.node(at - 1)
		length, intermediate := n.prefix()
		if length >= limit || k.match(n, min(length, k.bits)) < length {
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
}

// walk goes towards k until a node differs from it, is as long, or is missing.
// The caller holds mu.
func (m *lpmTrie) walk(k *lpmKey) (p lpmPath) {
	p.at = m.start(k)
	if p.at != 0 {
		p.parent = m.node(p.at - 1).parent()
	}
	for p.at != 0 {
		n := m.node(p.at - 1)
		length, _ := n.prefix()
		p.match = k.match(n, min(length, k.bits))
		if p.match != length || length == k.bits {
			return p
		}
		p.parent, p.at = p.at, n.children()[k.bit(length)]
	}
	return p
}

// start returns a node, as entry+1, that a walk from the root to k comes to.
func (m *lpmTrie) start(k *lpmKey) uint32 {
	for _, l := range *m.levels.Load() {
		if l.bits <= k.bits {
			if at := l.load(k); at != 0 {
				return at
			}
		}
	}
	return m.root.Load()
}

// replace puts the node to, entry+1 or 0, where from was below parent. k begins
// with what all that is below to has in common.
func (m *lpmTrie) replace(parent, from, to uint32, k *lpmKey) {
	if to != 0 {
		m.node(to - 1).setParent(parent)
	}
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
	for i := range n[lpmNodeWords:] {
		n[lpmNodeWords+i] = k.word(uint32(i))
	}
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
	m.hold(&k)
	p := m.walk(&k)
	above := m.length(p.parent)
	var old lpmNode
	var oldLength uint32
	there := false // the prefix has a value
	if p.at != 0 {
		var intermediate bool
		old = m.node(p.at - 1)
		oldLength, intermediate = old.prefix()
		there = p.match == oldLength && !intermediate
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
	to, length := entry+1, k.bits // the node that comes to where the walk ended
	m.changes.Add(1)
	defer m.changes.Add(1)
	switch {
	case p.at == 0: // a free place
	case p.match == oldLength: // the same prefix
		c := old.children()
		n.setChildren(c)
		for _, child := range c {
			if child != 0 {
				m.node(child - 1).setParent(to)
			}
		}
	case p.match == k.bits: // a prefix of old's
		n.setChildren(place(old.bit(k.bits), p.at, 0))
		old.setParent(to)
	default: // both part ways behind match
		fork, ok := m.create(&k, p.match, lpmIntermediate)
		if !ok {
			m.spare.give(entry)
			return errno.ENOMEM
		}
		m.node(fork).setChildren(place(old.bit(p.match), p.at, to))
		old.setParent(fork + 1)
		n.setParent(fork + 1)
		m.setLevels(&k, int(p.match), k.bits, to)
		to, length = fork+1, p.match
	}
	m.replace(p.parent, p.at, to, &k)
	m.setLevels(&k, above, length, to)
	if p.at != 0 && p.match == oldLength {
		m.spare.retire(p.at - 1)
	}
	if !there {
		m.count++
		m.addLevel()
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
	m.hold(&k)
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
	m.changes.Add(1)
	defer m.changes.Add(1)
	c := n.children()
	if c[0] != 0 && c[1] != 0 {
		atomic.StoreUint64(&n[1], n[1]|lpmIntermediate)
		return nil
	}
	child := c[0] | c[1]
	if child == 0 && p.parent != 0 {
		if parent := m.node(p.parent - 1); isIntermediate(parent) {
			above, between := parent.parent(), m.length(p.parent)
			pc := parent.children()
			other := pc[index(pc[0] == p.at)]
			m.replace(above, p.parent, other, &k)
			m.setLevels(&k, m.length(above), uint32(between), other)
			m.setLevels(&k, between, length, 0)
			m.spare.retire(p.parent - 1)
			m.spare.retire(p.at - 1)
			return nil
		}
	}
	m.replace(p.parent, p.at, child, &k)
	m.setLevels(&k, m.length(p.parent), length, child)
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
