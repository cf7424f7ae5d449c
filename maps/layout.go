package maps

import (
	"runtime"
	"slices"

	"github.com/skepvm/skep/internal/mem"
)

// A layout says what the bytes of a value are to the map that keeps it.
type layout struct {
	size    int // bytes
	lock    int // offset of a bpf_spin_lock; -1: none
	special []Special
	plain   []stretch // what lies between special fields
	timers  bool      // some of them are timers
}

// A stretch is the bytes from lo to hi.
type stretch struct{ lo, hi int }

func layoutOf(spec *Spec) layout {
	l := layout{size: int(spec.ValueSize), lock: -1}
	l.special = SpecialOf(spec)
	at := 0
	for _, f := range l.special {
		if lo := int(f.Off); lo > at {
			l.plain = append(l.plain, stretch{at, lo})
		}
		at = max(at, int(f.Off+f.Size))
		if slices.Contains(specialIn[f.Kind], spec.Type) {
			switch f.Kind {
			case spinLock:
				l.lock = int(f.Off)
			case timer:
				l.timers = true
			}
		}
	}
	if at > 0 && at < l.size {
		l.plain = append(l.plain, stretch{at, l.size})
	}
	return l
}

// store copies src to the value dst, all but its special fields. It holds the
// value's lock meanwhile if flags say so.
func (l *layout) store(dst, src []byte, flags UpdateFlags) {
	if l.special == nil {
		mem.CopyShared(dst, src)
		return
	}
	if flags&Lock != 0 {
		defer l.acquire(dst)()
	}
	for _, p := range l.plain {
		mem.CopyShared(dst[p.lo:p.hi], src[p.lo:p.hi])
	}
}

// load copies the value src to dst, of which special fields become zeros. It
// holds the value's lock meanwhile if flags say so.
func (l *layout) load(dst, src []byte, flags UpdateFlags) {
	if flags&Lock != 0 {
		defer l.acquire(src)()
	}
	mem.CopyShared(dst, src)
	for _, f := range l.special {
		clear(dst[f.Off : f.Off+f.Size])
	}
}

// clear makes the special fields of value what they are in a new one.
func (l *layout) clear(value []byte) {
	for _, f := range l.special {
		mem.ClearShared(value[f.Off : f.Off+f.Size])
	}
}

// acquire takes the spin lock of value and returns what gives it back. Whoever
// holds it, program or Go code, holds it briefly.
func (l *layout) acquire(value []byte) (release func()) {
	w := mem.Word32(value, l.lock)
	for !mem.TryLock(w) {
		runtime.Gosched()
	}
	return func() { mem.Unlock(w) }
}
