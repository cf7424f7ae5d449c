package maps

import (
	"runtime"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/mem"
)

// A layout says what the bytes of a value are to the map that keeps it.
type layout struct {
	size int // bytes
	lock int // offset of a bpf_spin_lock; -1: none
}

// lockSize is sizeof(struct bpf_spin_lock) (include/uapi/linux/bpf.h).
const lockSize = 4

func layoutOf(spec *Spec) layout {
	l := layout{size: int(spec.ValueSize), lock: -1}
	if spec.Type != Array && spec.Type != Hash { // map_check_btf (kernel/bpf/syscall.c)
		return l
	}
	if off := findLock(spec.Value, 0, 0); off >= 0 && off%4 == 0 && off+lockSize <= l.size {
		l.lock = off
	}
	return l
}

// findLock returns the offset of the bpf_spin_lock in t, which is at byte at of
// the value, or -1.
func findLock(t *btf.Type, at, depth int) int {
	u := t.Underlying()
	if u == nil || u.Kind != btf.Struct || depth > 8 {
		return -1
	}
	if u.Name == "bpf_spin_lock" && u.Size == lockSize {
		return at
	}
	for _, f := range u.Members {
		if f.Offset%8 == 0 && f.Bits == 0 {
			if off := findLock(f.Type, at+int(f.Offset/8), depth+1); off >= 0 {
				return off
			}
		}
	}
	return -1
}

// store copies src to the value dst, all but its lock, which it holds meanwhile
// if flags say so.
func (l layout) store(dst, src []byte, flags UpdateFlags) {
	if l.lock < 0 {
		mem.CopyShared(dst, src)
		return
	}
	if flags&Lock != 0 {
		defer l.acquire(dst)()
	}
	mem.CopyShared(dst[:l.lock], src[:l.lock])
	mem.CopyShared(dst[l.lock+lockSize:], src[l.lock+lockSize:])
}

// load copies the value src to dst. A lock reads as zero.
func (l layout) load(dst, src []byte) {
	mem.CopyShared(dst, src)
	if l.lock >= 0 {
		clear(dst[l.lock : l.lock+lockSize])
	}
}

// acquire takes the spin lock of value and returns what gives it back. Whoever
// holds it, program or Go code, holds it briefly.
func (l layout) acquire(value []byte) (release func()) {
	w := mem.Word32(value, l.lock)
	for !w.CompareAndSwap(0, 1) {
		runtime.Gosched()
	}
	return func() { w.Store(0) }
}
