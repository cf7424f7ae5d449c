package emit

import "sort"

// A mark says that code from off on belongs to pc.
type mark struct {
	off Off
	pc  PC
}

// Mark says that the code that follows was made from pc, up to the next Mark.
func (b *Buffer) Mark(pc PC) {
	if n := len(b.marks); n > 0 && b.marks[n-1].off == Off(b.n) {
		b.marks[n-1].pc = pc // no code was made from the place before
		return
	}
	b.marks = append(b.marks, mark{Off(b.n), pc})
}

// A PCMap maps code to the program it was made from. It never changes, and the
// zero value knows no code.
type PCMap struct {
	marks []mark
	end   Off
}

// PCMap returns the map of the finished code. It does not alias b.
func (b *Buffer) PCMap() PCMap {
	return PCMap{append([]mark(nil), b.marks...), Off(b.n)}
}

// PC returns the place that the code at off was made from; ok is false where
// there is none.
func (m PCMap) PC(off Off) (pc PC, ok bool) {
	i := sort.Search(len(m.marks), func(i int) bool { return m.marks[i].off > off })
	if i == 0 || off >= m.end {
		return 0, false
	}
	return m.marks[i-1].pc, true
}

// All calls yield for each stretch of code and its place, in order of offsets,
// until it returns false.
func (m PCMap) All(yield func(start, end Off, pc PC) bool) {
	for i, k := range m.marks {
		end := m.end
		if i+1 < len(m.marks) {
			end = m.marks[i+1].off
		}
		if k.off < end && !yield(k.off, end, k.pc) {
			return
		}
	}
}
