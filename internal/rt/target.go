package rt

import (
	"sync/atomic"
	"unsafe"

	"github.com/skepvm/skep/helpers"
)

// A Target is a program as the machine code of another finds it that goes on in
// it. Code reads its numbers by offset, and says in Context.Target which it is in;
// the rest is for Go. It must not move or be freed while code can find it.
type Target struct {
	entry uint64 // where code enters it, with its context in R1; 0: it leaves to the host
	// Kind is the same for programs that can stand for each other, and never 0.
	Kind uint64
	// Weight is what the meter is charged, and Span how far the frames reach
	// beyond the first one's Frame, in bytes.
	Weight, Span uint64

	Helpers []helpers.Impl
	Owner   any
}

// Enter sets where code enters t; 0 ends that for all that come later.
func (t *Target) Enter(entry uintptr) { atomic.StoreUint64(&t.entry, uint64(entry)) }

// Addr returns the address of t.
func (t *Target) Addr() uint64 { return uint64(uintptr(unsafe.Pointer(t))) }

// Identity returns a number that no other T has while v is in use.
func Identity[T any](v *T) uint64 { return uint64(uintptr(unsafe.Pointer(v))) }

// Go makes t what code runs in, whoever led there.
func (r *Run) Go(t *Target) {
	r.Helpers = t.Helpers
	r.at = t.Addr()
	r.Context.target = r.at
}

// Leave forgets what code runs in, after a run.
func (r *Run) Leave() { r.Helpers, r.at, r.Context.target = nil, 0, 0 }

// follow tells Go where code has gone on since it last left.
//
// Sound: code has found the target in memory that keeps it alive for as long as
// a run lasts that could find it there.
func (r *Run) follow() {
	p := uintptr(r.Context.target)
	t := *(**Target)(unsafe.Pointer(&p))
	atomic.LoadUint64(&t.entry) // as code has done: what was there before Enter is seen after it
	r.Go(t)
	r.Moved(t)
}
