package maps_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// diffOps returns how many operations per map type are compared with the
// kernel: SKEP_DIFF_OPS, or a number that takes a moment.
func diffOps(t *testing.T) int {
	if s := os.Getenv("SKEP_DIFF_OPS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SKEP_DIFF_OPS: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 2000
	}
	return 20000
}

// number returns the error number in err, 0 for nil.
func number(err error) errno.Errno {
	var e errno.Errno
	if err != nil && !errors.As(err, &e) {
		panic("an error without a number: " + err.Error())
	}
	return e
}

// text names an error number for a message.
func text(e errno.Errno) string {
	if e == 0 {
		return "ok"
	}
	return e.Error()
}

// TestKernelCreate compares which descriptions are refused, and how.
func TestKernelCreate(t *testing.T) {
	oracle.Skip(t)
	sizes := []uint32{0, 1, 2, 3, 4, 5, 7, 8, 9, 64, 512, 513, 4096, 32760, 32761, 32768, 32769,
		4<<20 - 60, 4<<20 - 53, 4<<20 - 52, 4<<20 - 51, 4<<20 - 49, 4<<20 - 48, 4<<20 - 44, 1 << 22, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	entries := []uint32{0, 1, 2, 3, 1000, 4096, 4097, 8192, 12288}
	flags := []maps.Flags{0}
	for i := range 13 {
		flags = append(flags, 1<<i)
	}
	flags = append(flags, maps.ReadOnly|maps.WriteOnly, maps.ReadOnlyProg|maps.WriteOnlyProg,
		maps.NoPrealloc|maps.ZeroSeed, maps.NoPrealloc|maps.NUMANode|maps.ReadOnlyProg, 1<<13, 1<<20, 1<<31)
	count := 0
	check := func(s maps.Spec) {
		count++
		theirs, want := oracle.NewMap(&s, nil)
		if want == nil {
			theirs.Close()
		}
		ours, got := maps.New(&s)
		if got == nil {
			ours.Close()
		}
		if number(want) != number(got) {
			t.Errorf("%v, key %d, value %d, entries %d, flags %v, extra %d: %v, the kernel: %s",
				s.Type, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, s.Extra, got, text(number(want)))
		}
	}
	for _, typ := range []maps.Type{maps.Hash, maps.Array, maps.ProgArray, maps.PerCPUHash, maps.PerCPUArray, maps.RingBuf,
		maps.Queue, maps.Stack, maps.BloomFilter, maps.LPMTrie, maps.PerfEventArray,
		maps.LRUHash, maps.LRUPerCPUHash, maps.DevMap, maps.DevMapHash, maps.CPUMap, maps.XSKMap,
		maps.SockMap, maps.SockHash, maps.ReuseportSockArray, maps.StackTrace, maps.CgroupArray} {
		base := maps.Spec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4}
		switch typ {
		case maps.StackTrace:
			base.ValueSize = 64
			for v := uint32(0); v < 4200; v += 4 {
				for _, f := range []maps.Flags{0, maps.StackBuildID} {
					s := base
					s.ValueSize, s.Flags = v, f
					check(s)
				}
			}
		case maps.RingBuf:
			base = maps.Spec{Type: typ, MaxEntries: 4096}
		case maps.Queue, maps.Stack, maps.BloomFilter:
			base.KeySize = 0
		case maps.LPMTrie:
			base.KeySize = 8
			flags = append(flags, maps.NoPrealloc|maps.ReadOnly, maps.NoPrealloc|maps.WriteOnlyProg, maps.NoPrealloc|maps.MMapable)
			base.Flags = maps.NoPrealloc
			for _, k := range []uint32{259, 260, 261} {
				s := base
				s.KeySize = k
				check(s)
			}
			for v := uint32(4<<20 - 340); v < 4<<20-260; v++ {
				s := base
				s.ValueSize = v
				check(s)
			}
		}
		for _, f := range flags {
			for _, k := range sizes {
				s := base
				s.Flags, s.KeySize = f, k
				check(s)
			}
			for _, v := range sizes {
				if v > 1<<30 && typ == maps.Array {
					v = 1 << 31 // below, both have memory or do not: no question of form
				}
				s := base
				s.Flags, s.ValueSize = f, v
				check(s)
			}
			for _, n := range entries {
				if typ == maps.CPUMap && n >= 64 && n <= 8192 {
					continue // how many CPUs there can be is the kernel's configuration
				}
				s := base
				s.Flags, s.MaxEntries = f, n
				check(s)
			}
			s := base
			for _, x := range []uint64{1, 15, 16, 1 << 32} {
				s.Flags, s.Extra = f, x
				check(s)
			}
			s.Extra, s.KeySize, s.ValueSize, s.MaxEntries = 0, 0, 0, 0
			check(s)
		}
		for _, k := range sizes {
			for _, v := range sizes {
				if typ == maps.Array && v > 1<<29 {
					continue
				}
				s := base
				s.KeySize, s.ValueSize = k, v
				check(s)
			}
		}
	}
	t.Logf("%d descriptions", count)
}

// A pair is the same map here and in the kernel.
type pair struct {
	spec   maps.Spec
	ours   maps.Map
	theirs *oracle.Map
	r      *rand.Rand
	vsize  int
	values func() []byte // nil: any bytes

	ourAt   maps.Cursor // of a walk in pieces
	theirAt []byte      // nil: at the start
}

func newPair(t *testing.T, s maps.Spec, seed uint64) *pair {
	t.Helper()
	theirs, err := oracle.NewMap(&s, nil)
	if err != nil {
		t.Fatalf("%+v: the kernel: %v", s, err)
	}
	t.Cleanup(theirs.Close)
	ours, err := maps.New(&s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return &pair{spec: s, ours: ours, theirs: theirs, r: rand.New(rand.NewPCG(seed, 1)), vsize: s.HostValueSize()}
}

// key returns one of half as many keys again as the map holds.
func (p *pair) key() []byte {
	key := make([]byte, p.spec.KeySize)
	if p.spec.Type == maps.LPMTrie {
		return p.prefix(key)
	}
	n := p.r.Uint32N(p.spec.MaxEntries + p.spec.MaxEntries/2 + 2)
	if p.spec.Type == maps.LRUHash || p.spec.Type == maps.LRUPerCPUHash {
		n %= 50
	}
	if p.r.IntN(50) == 0 {
		n = ^uint32(0) - n
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], n)
	copy(key, b[:])
	if len(key) > 4 {
		copy(key[len(key)-4:], b[:])
	}
	return key
}

// prefix fills key with a prefix, of few enough for some to lie in others, and
// now and then too long.
func (p *pair) prefix(key []byte) []byte {
	n := (len(key) - 4) * 8
	bits := p.r.IntN(n + 1)
	switch p.r.IntN(8) {
	case 0:
		bits = n
	case 1:
		bits = min(p.r.IntN(6), n)
	case 2:
		if p.r.IntN(4) == 0 {
			bits = n + 1 + p.r.IntN(3)
		}
	}
	binary.NativeEndian.PutUint32(key, uint32(bits))
	fill := []byte{0, 0xff, 0x80, 0x01}[p.r.IntN(4)]
	for i := 4; i < len(key); i++ {
		key[i] = fill
	}
	for range p.r.IntN(3) {
		key[4+p.r.IntN(len(key)-4)] ^= 1 << p.r.IntN(8)
	}
	return key
}

// keyless reports whether values have no keys.
func (p *pair) keyless() bool { return p.spec.KeySize == 0 }

func (p *pair) value() []byte {
	if p.values != nil {
		return p.values()
	}
	v := make([]byte, p.vsize)
	if p.spec.Type == maps.BloomFilter { // of few values
		v[len(v)-1] = byte(p.r.Uint32N(p.spec.MaxEntries*2 + 2))
		return v
	}
	for i := range v {
		v[i] = byte(p.r.Uint32())
	}
	return v
}

func (p *pair) flags() maps.UpdateFlags {
	return [...]maps.UpdateFlags{0, 0, 0, 0, 1, 2, 3, 4, 5, 8, 1 << 40}[p.r.IntN(11)]
}

// step does one random operation on both maps and compares.
func (p *pair) step() error {
	if p.spec.KeySize > 0 {
		switch p.r.IntN(100) {
		case 0:
			return p.emptyByBatch()
		case 1, 2, 3, 4:
			return p.piece()
		}
	}
	key := p.key()
	a, b := make([]byte, p.vsize), make([]byte, p.vsize)
	if p.keyless() { // a bloom filter reads what it is asked for
		a = p.value()
		copy(b, a)
	}
	diff := func(op string, got, want error) error {
		if g, w := number(got), number(want); g != w {
			return fmt.Errorf("%s %x: %s, the kernel: %s", op, key, text(g), text(w))
		}
		if got == nil && !bytes.Equal(a, b) {
			return fmt.Errorf("%s %x: %x, the kernel: %x", op, key, a, b)
		}
		return nil
	}
	switch p.r.IntN(16) {
	default: // update
		value, flags := p.value(), p.flags()
		return diff(fmt.Sprintf("update, flags %#x,", flags), p.ours.Update(key, value, flags), p.theirs.Update(key, value, flags))
	case 0, 1, 2:
		if p.r.IntN(8) == 0 {
			return diff("lookup, locked,", maps.LookupLocked(p.ours, key, a), p.theirs.Lookup(key, b, maps.Lock))
		}
		return diff("lookup", p.ours.Lookup(key, a), p.theirs.Lookup(key, b, 0))
	case 3, 4:
		return diff("delete", p.ours.Delete(key), p.theirs.Delete(key))
	case 5:
		if p.r.IntN(8) == 0 {
			return diff("lookup and delete, locked,", maps.LookupAndDeleteLocked(p.ours, key, a), p.theirs.LookupAndDelete(key, b, maps.Lock))
		}
		return diff("lookup and delete", p.ours.(maps.LookupDeleter).LookupAndDelete(key, a), p.theirs.LookupAndDelete(key, b, 0))
	case 6:
		if p.r.IntN(4) == 0 {
			key = nil
		}
		if p.keyless() {
			return diff("next key", p.ours.NextKey(key, nil), p.theirs.NextKey(key, nil))
		}
		a, b = make([]byte, p.spec.KeySize), make([]byte, p.spec.KeySize)
		got, want := p.ours.NextKey(key, a), p.theirs.NextKey(key, b)
		if p.unordered() {
			if key != nil && number(p.theirs.Lookup(key, make([]byte, p.vsize), 0)) != errno.ENOENT {
				return nil // which keys follow is each map's own affair; walks are compared
			}
			a, b = nil, nil
		}
		return diff("next key", got, want)
	case 7:
		n := p.r.IntN(6)
		var keys, values []byte
		for range n {
			keys, values = append(keys, p.key()...), append(values, p.value()...)
		}
		flags := maps.UpdateFlags(0)
		if p.r.IntN(8) == 0 {
			flags = p.flags()
		}
		got, e1 := maps.UpdateBatch(p.ours, keys, values, flags)
		want, e2 := p.theirs.Batch(oracle.BatchUpdate, nil, nil, keys, values, uint32(n), flags)
		return p.diffBatch("update batch", got, int(want), e1, e2)
	case 8:
		n := p.r.IntN(4)
		var keys []byte
		for range n {
			keys = append(keys, p.key()...)
		}
		got, e1 := maps.DeleteBatch(p.ours, keys)
		want, e2 := p.theirs.Batch(oracle.BatchDelete, nil, nil, keys, nil, uint32(n), 0)
		return p.diffBatch("delete batch", got, int(want), e1, e2)
	}
}

// emptyByBatch looks up and deletes everything, in one batch on each side.
func (p *pair) emptyByBatch() error {
	if p.r.IntN(4) == 0 {
		return p.walkBatch("lookup and delete batch, locked", maps.LookupAndDeleteBatchLocked, oracle.BatchLookupDelete, maps.Lock)
	}
	return p.walkBatch("lookup and delete batch", maps.LookupAndDeleteBatch, oracle.BatchLookupDelete, 0)
}

// piece continues a walk in pieces, with whatever happened to the map between
// them, where both sides have the same order.
func (p *pair) piece() error {
	if p.unordered() {
		if p.r.IntN(4) == 0 {
			return p.walkBatch("lookup batch, locked", maps.LookupBatchLocked, oracle.BatchLookup, maps.Lock)
		}
		return p.walkBatch("lookup batch", maps.LookupBatch, oracle.BatchLookup, 0)
	}
	lookup, flags := maps.LookupBatch, maps.UpdateFlags(0)
	if p.r.IntN(4) == 0 {
		lookup, flags = maps.LookupBatchLocked, maps.Lock
	}
	n := p.r.IntN(5)
	k := int(p.spec.KeySize)
	keys1, values1 := make([]byte, n*k), make([]byte, n*p.vsize)
	keys2, values2 := bytes.Clone(keys1), bytes.Clone(values1)
	got, e1 := lookup(p.ours, &p.ourAt, keys1, values1)
	out := bytes.Clone(p.theirAt)
	if out == nil {
		out = make([]byte, max(4, k))
	}
	want, e2 := p.theirs.Batch(oracle.BatchLookup, p.theirAt, out, keys2, values2, uint32(n), flags)
	if err := p.diffBatch("piece of a walk", got, int(want), e1, e2); err != nil {
		return err
	}
	if e1 != nil && number(e1) != errno.ENOENT {
		return nil
	}
	if !bytes.Equal(keys1[:got*k], keys2[:got*k]) || !bytes.Equal(values1[:got*p.vsize], values2[:got*p.vsize]) {
		return fmt.Errorf("piece of a walk after %x: %x, %x; the kernel: %x, %x", p.theirAt, keys1, values1, keys2, values2)
	}
	if want > 0 {
		p.theirAt = out
	}
	if e1 != nil {
		p.ourAt, p.theirAt = maps.Cursor{}, nil
	}
	return nil
}

// diffBatch compares a batch's outcome; how many entries it reached is not
// written when the batch as such is refused.
func (p *pair) diffBatch(op string, got, want int, e1, e2 error) error {
	g, w := number(e1), number(e2)
	refused := w == errno.EINVAL || w == errno.ENOTSUPP || w == errno.EPERM
	if g != w || got != want && !refused {
		return fmt.Errorf("%s: %d, %s, the kernel: %d, %s", op, got, text(g), want, text(w))
	}
	return nil
}

func (p *pair) unordered() bool {
	switch p.spec.Type {
	case maps.Hash, maps.PerCPUHash, maps.LRUHash, maps.LRUPerCPUHash, maps.SockHash:
		return true
	}
	return false
}

// walk compares all entries, by NextKey and by batches, the last of which empties
// the maps.
func (p *pair) walk() error {
	if p.keyless() {
		return p.drain()
	}
	ours, e1 := p.list(p.ours.NextKey, p.ours.Lookup)
	theirs, e2 := p.list(p.theirs.NextKey, func(k, v []byte) error { return p.theirs.Lookup(k, v, 0) })
	if number(e1) != number(e2) || !bytes.Equal(ours, theirs) {
		return fmt.Errorf("walk: %x, %v; the kernel: %x, %v", ours, e1, theirs, e2)
	}
	if err := p.walkBatch("lookup batch", maps.LookupBatch, oracle.BatchLookup, 0); err != nil {
		return err
	}
	return p.walkBatch("lookup and delete batch", maps.LookupAndDeleteBatch, oracle.BatchLookupDelete, 0)
}

// drain compares what is left in maps without keys.
func (p *pair) drain() error {
	for i := 0; ; i++ {
		a, b := make([]byte, p.vsize), make([]byte, p.vsize)
		e1, e2 := p.ours.(maps.LookupDeleter).LookupAndDelete(nil, a), p.theirs.LookupAndDelete(nil, b, 0)
		if number(e1) != number(e2) || !bytes.Equal(a, b) {
			return fmt.Errorf("value %d: %x, %v; the kernel: %x, %v", i, a, e1, b, e2)
		}
		if e1 != nil {
			return nil
		}
	}
}

func (p *pair) walkBatch(name string, ours func(maps.Map, *maps.Cursor, []byte, []byte) (int, error), theirs oracle.BatchOp, flags maps.UpdateFlags) error {
	n := min(int(p.spec.MaxEntries), 250) + p.r.IntN(4) // of the LRU maps' few keys, too
	keys1, values1 := make([]byte, n*int(p.spec.KeySize)), make([]byte, n*p.vsize)
	keys2, values2 := bytes.Clone(keys1), bytes.Clone(values1)
	var c maps.Cursor
	got, e1 := ours(p.ours, &c, keys1, values1)
	out := make([]byte, max(4, p.spec.KeySize))
	want, e2 := p.theirs.Batch(theirs, nil, out, keys2, values2, uint32(n), flags)
	if err := p.diffBatch(name, got, int(want), e1, e2); err != nil {
		return err
	}
	if e1 != nil && number(e1) != errno.ENOENT {
		return nil
	}
	a, b := p.join(keys1, values1, got), p.join(keys2, values2, got)
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s: %x; the kernel: %x", name, a, b)
	}
	return nil
}

// join returns n entries, sorted if the map has no order, in one piece.
func (p *pair) join(keys, values []byte, n int) []byte {
	var all []string
	for i := range n {
		all = append(all, string(keys[i*int(p.spec.KeySize):][:p.spec.KeySize])+string(values[i*p.vsize:][:p.vsize]))
	}
	if p.unordered() {
		sort.Strings(all)
	}
	var out []byte
	for _, s := range all {
		out = append(out, s...)
	}
	return out
}

// list walks a map by its next key operation.
func (p *pair) list(next func(_, _ []byte) error, lookup func(_, _ []byte) error) ([]byte, error) {
	var keys, values, at []byte
	key, value := make([]byte, p.spec.KeySize), make([]byte, p.vsize)
	n := 0
	for ; n <= int(p.spec.MaxEntries); n++ {
		if err := next(at, key); err != nil {
			return p.join(keys, values, n), err
		}
		at = append(at[:0], key...)
		if err := lookup(key, value); err != nil {
			return nil, err
		}
		keys, values = append(keys, key...), append(values, value...)
	}
	return nil, errors.New("a walk without end")
}

// TestKernelOps compares random operations on every type with entries.
func TestKernelOps(t *testing.T) {
	oracle.Skip(t)
	if n, err := oracle.PossibleCPUs(); err != nil || n != maps.NumCPU() {
		t.Skipf("per-CPU values differ in length: %d possible CPUs, %d virtual ones, %v", n, maps.NumCPU(), err)
	}
	lock := &btf.Type{Kind: btf.Struct, Name: "bpf_spin_lock", Size: 4}
	access := []maps.Flags{0, 0, 0, maps.ReadOnly, maps.WriteOnly, maps.ReadOnlyProg, maps.WriteOnlyProg}
	sizes := [][2]uint32{{4, 8}, {8, 8}, {1, 1}, {3, 5}, {12, 4}, {16, 24}, {5, 16}, {64, 100}, {8, 4096}}
	for _, typ := range []maps.Type{maps.Array, maps.PerCPUArray, maps.Hash, maps.PerCPUHash,
		maps.Queue, maps.Stack, maps.BloomFilter, maps.LPMTrie, maps.LRUHash, maps.LRUPerCPUHash} {
		t.Run(typ.String(), func(t *testing.T) {
			ops, total := diffOps(t), 0
			for round := 0; total < ops; round++ {
				s := maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: sizes[round%len(sizes)][1]}
				s.MaxEntries = []uint32{1, 2, 3, 8, 30, 200}[round%6]
				s.Flags = access[round%len(access)]
				switch typ {
				case maps.Queue, maps.Stack:
					s.KeySize = 0
				case maps.BloomFilter:
					s.KeySize, s.Extra = 0, uint64(round%16)
					s.ValueSize = []uint32{8, 1, 5, 12, 13, 24, 27, 100}[round%8]
					s.Flags |= maps.ZeroSeed
				case maps.LPMTrie:
					s.KeySize = 4 + []uint32{4, 1, 8, 16, 5, 13, 256}[round%7]
					s.Flags |= maps.NoPrealloc
				case maps.LRUHash, maps.LRUPerCPUHash:
					// Of fewer keys than entries: which one gives way is each map's
					// own affair.
					s.KeySize = sizes[round%len(sizes)][0]
					s.MaxEntries = 4000
					s.Flags |= []maps.Flags{0, maps.NoCommonLRU, maps.ZeroSeed}[round%3]
				case maps.Hash, maps.PerCPUHash:
					s.KeySize = sizes[round%len(sizes)][0]
					s.Flags |= []maps.Flags{0, maps.NoPrealloc, maps.ZeroSeed}[round%3]
				}
				if (typ == maps.Array || typ == maps.Hash) && round%4 == 3 && s.ValueSize >= 8 && s.Flags&(maps.ReadOnlyProg|maps.WriteOnlyProg) == 0 {
					at := s.ValueSize / 2 &^ 3
					s.Value = &btf.Type{Kind: btf.Struct, Name: "v", Size: s.ValueSize,
						Members: []btf.Member{{Name: "lock", Type: lock, Offset: at * 8}}}
					if s.KeySize != 8 && s.KeySize != 16 {
						s.KeySize = 4 // an integer
					}
				}
				p := newPair(t, s, uint64(round))
				n := max(100, min(1000, ops/60))
				for i := range n {
					if err := p.step(); err != nil {
						t.Fatalf("%v, key %d, value %d, entries %d, flags %v, step %d: %v", typ, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, i, err)
					}
					total++
				}
				if s.Flags&(maps.ReadOnly|maps.WriteOnly) == 0 {
					if err := p.walk(); err != nil {
						t.Fatalf("%v, key %d, value %d, entries %d, flags %v: %v", typ, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, err)
					}
				}
				for range 2 { // the second time it is frozen already
					if g, w := number(p.ours.(maps.Freezer).Freeze()), number(p.theirs.Freeze()); g != w {
						t.Fatalf("%v, flags %v: freeze: %s, the kernel: %s", typ, s.Flags, text(g), text(w))
					}
				}
				for i := range n / 10 {
					if err := p.step(); err != nil {
						t.Fatalf("%v, flags %v, frozen, step %d: %v", typ, s.Flags, i, err)
					}
					total++
				}
				p.theirs.Close()
			}
			t.Logf("%d operations", total)
		})
	}
}
