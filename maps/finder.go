package maps

import (
	"sync/atomic"

	"github.com/skepvm/skep/internal/mem"
)

// A Finder looks keys up in a hash whose keys are words of 4 or 8 bytes, for runs
// that call it again and again. It may be used by any number of goroutines.
type Finder hash

// FinderOf returns the Finder of m, nil if it has none.
func FinderOf(m Map) *Finder {
	var h *hash
	switch m := m.(type) {
	case *hash:
		h = m
	case *perCPUHash:
		h = &m.hash
	}
	if h == nil || h.kind != keyWord || h.clock != nil {
		return nil
	}
	return (*Finder)(h)
}

// PerCPU reports whether each CPU has a value of its own.
func (f *Finder) PerCPU() bool { return f.cpus > 1 }

// Find returns the address of cpu's value for the key at addr, 0 if there is none.
// It is LookupElem for callers who vouch for addr, and whose cpu is one of the
// map's.
//
// Keys are looked for where they prefer to lie first, as machine code does.
func (f *Finder) Find(cpu int, addr uint64) uint64 {
	m := (*hash)(f)
	key := mem.At(addr, int(m.spec.KeySize))
	word := wordOf(key)
	h := m.seeds.word(word)
	t := m.segment(h).table.Load()
	if m.lines != 0 {
		i, ok := m.find(t, key, h)
		return f.address(i, cpu, ok)
	}
	tag := tagOf(h)
	w := t.bucket(t.home(tag))
	if s := atomic.LoadUint64(&w[prefers(tag)&7]); uint32(s>>32) == tag && m.pool.keyWord(uint32(s)) == word {
		return f.address(uint32(s), cpu, true)
	}
	for i := range slots {
		if s := atomic.LoadUint64(&w[i]); uint32(s>>32) == tag && m.pool.keyWord(uint32(s)) == word {
			return f.address(uint32(s), cpu, true)
		}
	}
	if passed(w) == 0 {
		return 0
	}
	i, ok := m.search(t, key, tag)
	return f.address(i, cpu, ok)
}

// address returns that of entry i's value on cpu, 0 if there is no entry.
func (f *Finder) address(i uint32, cpu int, ok bool) uint64 {
	if !ok {
		return 0
	}
	return mem.Addr(f.pool.value(i, cpu, f.value.size))
}
