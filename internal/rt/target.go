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
	// Plain are helpers.Func.Plain of Helpers, where there is one; none if none has.
	Plain []func(helpers.Env, []byte) uint64
	Owner any
}

// Enter sets where code enters t; 0 ends that for all that come later.
func (t *Target) Enter(entry uintptr) { atomic.StoreUint64(&t.entry, uint64(entry)) }

// Addr returns the address of t.
func (t *Target) Addr() uint64 { return uint64(uintptr(unsafe.Pointer(t))) }

// Identity returns a number that no other T has while v is in use.
func Identity[T any](v *T) uint64 { return uint64(uintptr(unsafe.Pointer(v))) }

// Go makes t what code runs in, whoever led there. The caller keeps it alive until
// the run is over, or code runs in another: r does not.
func (r *Run) Go(t *Target) {
	r.at = t.Addr()
	r.impls = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(t.Helpers))))
	r.plain = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(t.Plain))))
	r.Context.target = r.at
}

// Again makes what code ran in when a run began what the next begins in, too, if it
// has not left since for what follows tail calls.
func (r *Run) Again() { r.Context.target = r.at }

// Target returns what code runs in, as far as it has left since; nil: nothing.
func (r *Run) Target() *Target { return targetAt(r.at) }

// Leave forgets what code runs in, after a run.
func (r *Run) Leave() { r.impls, r.plain, r.at, r.Context.target = 0, 0, 0, 0 }

func targetAt(addr uint64) *Target {
	p := uintptr(addr)
	return *(**Target)(unsafe.Pointer(&p))
}

// impl returns what stands for the helper that code calls index.
func (r *Run) impl(index uint32) helpers.Impl {
	p := uintptr(r.impls) + uintptr(index)*unsafe.Sizeof(helpers.Impl(nil))
	return **(**helpers.Impl)(unsafe.Pointer(&p))
}

// plainCall returns what stands for the helper that code calls index, and its memory,
// if it is a plain function of some.
func (r *Run) plainCall(index uint32) (fn func(helpers.Env, []byte) uint64, b []byte) {
	a := &r.Context.Arg
	p := uintptr(r.plain) + uintptr(index)*unsafe.Sizeof(fn)
	if fn = **(**func(helpers.Env, []byte) uint64)(unsafe.Pointer(&p)); fn == nil || a[1]-1 >= helpers.PlainMem {
		return nil, nil
	}
	at := uintptr(a[0])
	return fn, unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), int(a[1]))
}

// follow tells Go where code has gone on since it last left.
//
// Sound: code has found the target in memory that keeps it alive for as long as
// a run lasts that could find it there.
func (r *Run) follow() {
	t := targetAt(r.Context.target)
	atomic.LoadUint64(&t.entry) // as code has done: what was there before Enter is seen after it
	r.Moved(t)
	r.Go(t)
}
