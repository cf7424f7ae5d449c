package emit

import "fmt"

// Finish turns the draft into code: it shortens branches and padding, and
// writes the distances. The result aliases b and is valid until Reset; offsets
// of labels and marks then refer to it. Nothing can be added afterwards.
//
// It fails if a label is not bound, or a branch is too far for its form.
func (b *Buffer) Finish() ([]byte, error) {
	if b.finished {
		panic("BUG: Finish called twice")
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	b.finished = true
	b.shorten()
	b.close()
	if err := b.patch(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// shorten picks the short form of each branch that it suits.
//
// Sound: the bytes between a branch and its target in the draft are at least as
// many as in the code, whatever else is shortened, for everything in the draft
// has its greatest size.
func (b *Buffer) shorten() {
	for i := range b.sites {
		s := &b.sites[i]
		if s.form == alignment {
			continue
		}
		f := &b.forms[s.form]
		if f.Shrink == nil {
			continue
		}
		short := &b.forms[f.Short]
		target, end := b.labels[s.label], s.off+s.size
		var dist Off
		if target >= end {
			dist = target - end + short.Size - short.From
		} else {
			dist = target - s.off - short.From
		}
		if int32(dist) >= short.Min && int32(dist) <= short.Max {
			s.form = f.Short
		}
	}
}

// close moves the code together over the bytes that are not needed, and gives
// sites, labels and marks their final offsets. All four lists are in order of
// offsets, so it is one merge.
func (b *Buffer) close() {
	var src, dst Off // code[:src] of the draft has become code[:dst]
	labels, marks := b.bound, b.marks
	// move brings the draft up to offset to, and the places in it, along.
	move := func(to Off, last bool) {
		shift := src - dst
		if shift > 0 {
			copy(b.code[dst:], b.code[src:to])
		}
		for len(labels) > 0 && (last || b.labels[labels[0]] <= to) {
			b.labels[labels[0]] -= shift
			labels = labels[1:]
		}
		for len(marks) > 0 && (last || marks[0].off <= to) {
			marks[0].off -= shift
			marks = marks[1:]
		}
		src, dst = to, to-shift
	}
	for i := range b.sites {
		s := &b.sites[i]
		if s.form == s.draft && s.form != alignment {
			if src == dst {
				continue // nothing before has moved, and this stays
			}
			s.off -= src - dst
			continue
		}
		move(s.off, false)
		s.off = dst
		draft := b.code[src : src+s.size]
		if s.form == alignment {
			pad := b.padding(i, src, dst)
			b.pad(b.code[dst : dst+pad])
			dst += pad
		} else {
			size := b.forms[s.form].Size
			b.forms[s.draft].Shrink(b.code[dst:dst+size], draft)
			dst += size
		}
		src += s.size
	}
	move(Off(b.n), true)
	b.n = int(dst)
}

// padding returns how many bytes to write for the alignment that is site i, when
// code[:src] of the draft has become code[:dst]. What follows is still a draft.
func (b *Buffer) padding(i int, src, dst Off) Off {
	s := &b.sites[i]
	pad := -dst & (s.align - 1)
	if s.label == noLabel {
		return pad
	}
	for _, end := range [...]Label{s.far, s.label} {
		if size := b.sizeAfter(i, src+s.size, b.labels[end], s.align); size <= s.align {
			if size <= pad {
				return 0 // it ends before the next multiple
			}
			break
		}
	}
	return pad
}

// sizeAfter returns how many bytes of code the draft from begin to end becomes,
// without padding, where begin follows site i; more than limit if it has
// several times as many bytes.
func (b *Buffer) sizeAfter(i int, begin, end, limit Off) Off {
	size := end - begin
	if size > 8*limit {
		return size
	}
	for i++; i < len(b.sites) && b.sites[i].off < end; i++ {
		switch s := &b.sites[i]; {
		case s.form == alignment:
			size -= s.size
		case s.form != s.draft:
			size -= s.size - b.forms[s.form].Size
		}
	}
	return size
}

// patch writes the distances.
func (b *Buffer) patch() error {
	for i := range b.sites {
		s := &b.sites[i]
		if s.form == alignment {
			continue
		}
		f := &b.forms[s.form]
		dist := int32(b.labels[s.label] - s.off - f.From)
		if dist < f.Min || dist > f.Max {
			return fmt.Errorf("emit: %s at offset %d: distance %d to label %d; the form reaches %d to %d",
				f.Name, s.off, dist, s.label, f.Min, f.Max)
		}
		f.Patch(b.code[s.off:s.off+f.Size], dist)
	}
	return nil
}

// Offset returns where l is in the code. Finish must have returned.
func (b *Buffer) Offset(l Label) Off { return b.labels[l] }
