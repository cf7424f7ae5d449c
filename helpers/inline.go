package helpers

import (
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
)

// An Inline says what a helper does, to engines that can do the same without
// calling it.
type Inline uint8

const (
	InlineNone         Inline = iota
	InlineMapLookup           // as MapLookupElem
	InlineMapUpdate           // as MapUpdateElem
	InlineMapDelete           // as MapDeleteElem
	InlinePerCPULookup        // as MapLookupPerCPUElem
	InlineCPU                 // as GetSMPProcessorID
	InlineMemset              // as the C library's functions of these names
	InlineMemcpy
	InlineMemmove
	InlineMemcmp
	InlineRingReserve // as RingBufReserve
	InlineRingSubmit  // as RingBufSubmit
	InlineRingDiscard // as RingBufDiscard
	InlineRingOutput  // as RingBufOutput
	InlineLoadBytes   // skb_load_bytes: copies R4 bytes at R2 in the packet to R3
	InlineLoadNear    // the same, if R2 is at most 65,535
	InlineStoreBytes  // skb_store_bytes: copies R4 bytes at R3 to R2 in the packet, if R5 is 0 or 1
	InlineStoreNear   // the same, whatever R5 is, if R2 is at most 65,535
	InlineCsumDiff    // as CsumDiff
	InlineRandom      // as GetPrandomU32
	InlineIterNew     // as IterNumNew, IterNumNext, IterNumDestroy
	InlineIterNext
	InlineIterDestroy
	InlineBound // as what Bound returns for the call's map
)

// inlined is the promise that a Func makes. It names the Func, so that a copy,
// whose Impl may be another, makes none.
type inlined struct {
	by   *Func
	form Inline
	bind func(maps.Map) Impl
}

// Inlines returns f with the promise that its Impl does what form says and
// nothing else, so that an engine need not call it.
func (f *Func) Inlines(form Inline) *Func {
	f.inline = inlined{by: f, form: form}
	return f
}

// Binds returns f with the promise that bind(m), if it is not nil, does what f's
// Impl does in calls whose map argument is m, so that an engine that knows the map
// may call it instead.
func (f *Func) Binds(bind func(m maps.Map) Impl) *Func {
	f.inline = inlined{by: f, form: InlineBound, bind: bind}
	return f
}

// Bound returns what does the same as f's Impl in calls whose map argument is m;
// nil if f promises nothing of the kind (see Inline).
func (f *Func) Bound(m maps.Map) Impl {
	if f.Inline() != InlineBound {
		return nil
	}
	return f.inline.bind(m)
}

// Inline returns what f promises to do. It is InlineNone for every Func that a
// host makes, be it a copy of one that promises something: what replaces a
// helper is called.
func (f *Func) Inline() Inline {
	if f.inline.by != f {
		return InlineNone
	}
	return f.inline.form
}

// A trust is an Impl that takes memory arguments at their word.
type trust struct {
	instead Impl   // what it does the same as
	args    [5]Arg // if this is what a proof held the call to
	impl    Impl

	plain func(Env, []byte) uint64 // see Plain
}

// A MemFunc returns the n bytes of program memory at addr: Mem, or one that takes
// them at their word.
type MemFunc func(env Env, addr, n uint64) []byte

// WithMem gives f the Impl that body makes of Mem, and another one for calls that the
// verifier has held to f.Proto. Body's Impl must ask the MemFunc for nothing but
// memory arguments of f.Proto, of the sizes that it says they have, or, as the
// bundled helpers do, memory of dynptrs among them.
func (f *Func) WithMem(body func(MemFunc) Impl) *Func {
	f.Impl = body(Mem)
	f.trusting = trust{instead: f.Impl, args: f.Proto.Args, impl: body(provenMem)}
	return f
}

func provenMem(env Env, addr, n uint64) []byte {
	if n >= largeMem {
		return Mem(env, addr, n)
	}
	return mem.At(addr, int(n))
}

// PlainMem is how many bytes a Plain function may get at most.
const PlainMem = largeMem - 1

// Plain returns what Trusting's function calls if R2 is from 1 to PlainMem, with the
// memory that R1 and R2 say; nil if it is not of this form.
func (f *Func) Plain() func(Env, []byte) uint64 {
	if t := &f.trusting; t.plain != nil && t.args == f.Proto.Args && mem.SameFunc(f.Impl, t.instead) {
		return t.plain
	}
	return nil
}

// Trusting returns what does the same as f's Impl in calls that the verifier has
// held to f.Proto, without a look at where memory arguments lie: f.Impl itself
// unless New0 to New4 or WithMem made it, and nobody has changed it or f's arguments
// since.
func (f *Func) Trusting() Impl {
	if t := &f.trusting; t.impl != nil && t.args == f.Proto.Args && mem.SameFunc(f.Impl, t.instead) {
		return t.impl
	}
	return f.Impl
}
