package emit

import (
	"fmt"
	"slices"
)

// A Label is a place in the code of one Buffer, known or yet to come.
type Label int32

const unbound Off = -1

// A FormID is the index of a Form in the table given to NewBuffer.
type FormID uint8

// alignment stands in a site's form for padding; such a site has no label.
const alignment FormID = 255

// A Form is one way to encode a reference to a label.
type Form struct {
	Name string
	Size Off // bytes of the instructions
	From Off // the distance counts from this many bytes after their start

	Min, Max int32 // distances that the form can encode

	// Patch writes the distance into the instructions, which it may read.
	Patch func(code []byte, dist int32)

	// Shrink, if not nil, makes the instructions of Short from those of this
	// form. dst has the size of the short form and may overlap src.
	Shrink func(dst, src []byte)
	Short  FormID
}

// A site is a stretch of code that Finish completes.
type site struct {
	off   Off    // start, in the draft and later in the code
	size  Off    // in the draft
	label Label  // of an alignment: where the loop ends, or noLabel
	far   Label  // alignment only: where it ends otherwise
	align Off    // alignment only: the power of two
	draft FormID // as written
	form  FormID // as chosen
}

// noLabel stands for no label.
const noLabel Label = -1

// A PadFunc fills p with instructions that do nothing.
type PadFunc func(p []byte)

// NewLabel returns a label that is not bound yet.
func (b *Buffer) NewLabel() Label {
	b.labels = append(b.labels, unbound)
	return Label(len(b.labels) - 1)
}

// NewLabels returns the first of n new labels with consecutive numbers.
func (b *Buffer) NewLabels(n int) Label {
	first := len(b.labels)
	b.labels = slices.Grow(b.labels, n)[:first+n]
	for i := range b.labels[first:] {
		b.labels[first+i] = unbound
	}
	return Label(first)
}

// Bind makes l the current place. A label is bound once.
func (b *Buffer) Bind(l Label) {
	if b.labels[l] != unbound {
		panic(fmt.Sprintf("BUG: label %d bound twice", l))
	}
	b.labels[l] = Off(b.n)
	b.bound = append(b.bound, l)
}

// Bound reports whether l has a place, and how many bytes of draft lie between
// it and the current place. In the code there are at most as many.
func (b *Buffer) Bound(l Label) (distance Off, ok bool) {
	if o := b.labels[l]; o != unbound {
		return Off(b.n) - o, true
	}
	return 0, false
}

// Ref says that the last forms[f].Size bytes written refer to l in the form f.
func (b *Buffer) Ref(f FormID, l Label) {
	size := b.forms[f].Size
	b.sites = append(b.sites, site{off: Off(b.n) - size, size: size, label: l, draft: f, form: f})
}

// Align makes the next instruction start at a multiple of align, a power of two
// that divides the alignment of the code in memory. unit is the size of the
// smallest instruction.
func (b *Buffer) Align(align, unit Off) { b.AlignLoop(align, unit, noLabel, noLabel) }

// AlignLoop is Align for a loop that begins here and ends at near or, taking in
// what is run less often, at far: no padding is written if the loop up to far,
// or else up to near, is no longer than align and crosses none of its multiples
// as it is. The labels must be bound, and not before this place.
func (b *Buffer) AlignLoop(align, unit Off, near, far Label) {
	most := align - unit
	if most <= 0 {
		return
	}
	b.grow(int(most) + 8)
	clear(b.code[b.n : b.n+int(most)])
	b.sites = append(b.sites, site{off: Off(b.n), size: most, label: near, far: far, align: align, draft: alignment, form: alignment})
	b.n += int(most)
}
