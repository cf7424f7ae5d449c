package helpers

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
	InlineIterNew     // as IterNumNew, IterNumNext, IterNumDestroy
	InlineIterNext
	InlineIterDestroy
)

// inlined is the promise that a Func makes. It names the Func, so that a copy,
// whose Impl may be another, makes none.
type inlined struct {
	by   *Func
	form Inline
}

// Inlines returns f with the promise that its Impl does what form says and
// nothing else, so that an engine need not call it.
func (f *Func) Inlines(form Inline) *Func {
	f.inline = inlined{f, form}
	return f
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
