// Package emit holds what every assembler needs and no instruction set owns:
// a buffer of code bytes, labels with their fixups, alignment, and the map from
// code offsets back to the program.
//
// An assembler writes a draft, in which each branch whose target is not yet
// known and each alignment takes the most bytes it may need. Finish then only
// ever removes bytes: it picks the short form of each branch whose target is
// near enough, closes the gaps and patches the distances. Distances can only
// shrink while it does so, hence one pass decides and time is linear.
//
// A Buffer is used by one goroutine, and is meant to be reused: Reset keeps its
// memory, so that compiling allocates nothing per instruction. The package
// knows neither instructions nor programs.
package emit

import (
	"encoding/binary"
	"fmt"
)

// Off is an offset into code, in bytes.
type Off int32

// A PC is a place in the program that code was made from. Its unit is the
// caller's: a prog.PC, in slots.
type PC int32

// A Buffer collects the code of one compilation. The zero value is not usable;
// NewBuffer says which forms of branches it must know.
type Buffer struct {
	code  []byte // draft; after Finish, the code
	n     int    // bytes used
	forms []Form
	pad   PadFunc

	labels []Off   // draft offset by label; unbound if it has none
	bound  []Label // in the order of Bind, hence of offsets
	sites  []site  // branches and alignments, in order of offsets
	marks  []mark  // in order of offsets

	finished bool
}

// NewBuffer returns an empty buffer for an instruction set whose branches have
// the given forms and whose padding pad writes. It keeps forms, which must not
// change.
func NewBuffer(forms []Form, pad PadFunc) *Buffer {
	return &Buffer{forms: forms, pad: pad, code: make([]byte, 4096)}
}

// Reset empties b and keeps its memory. What Finish returned is overwritten by
// what follows.
func (b *Buffer) Reset() {
	b.n = 0
	b.labels = b.labels[:0]
	b.bound = b.bound[:0]
	b.sites = b.sites[:0]
	b.marks = b.marks[:0]
	b.finished = false
}

// Len returns how many bytes the draft has, or, after Finish, the code.
func (b *Buffer) Len() Off { return Off(b.n) }

// Put appends the low n bytes of v, in little-endian order; n is at most 8.
func (b *Buffer) Put(v uint64, n int) {
	if len(b.code)-b.n < 8 {
		b.grow(8)
	}
	binary.LittleEndian.PutUint64(b.code[b.n:], v)
	b.n += n
}

// PutBytes appends p.
func (b *Buffer) PutBytes(p []byte) {
	b.grow(len(p))
	b.n += copy(b.code[b.n:], p)
}

// grow makes room for n more bytes.
func (b *Buffer) grow(n int) {
	if len(b.code)-b.n >= n {
		return
	}
	b.code = append(b.code, make([]byte, len(b.code)+n)...)
}

// Bytes returns the bytes so far, aliased until the next call that adds any.
func (b *Buffer) Bytes() []byte { return b.code[:b.n:b.n] }

// MaxCode is how large a draft may be. It keeps each distance within the 32
// bits of an Off.
const MaxCode = 1 << 30

// check reports what makes a draft unusable.
func (b *Buffer) check() error {
	if b.n > MaxCode {
		return fmt.Errorf("emit: %d bytes of code; the limit is %d", b.n, MaxCode)
	}
	for i := range b.sites {
		if s := &b.sites[i]; s.form != alignment && b.labels[s.label] == unbound {
			return fmt.Errorf("emit: label %d, used at offset %d, is not bound", s.label, s.off)
		}
	}
	return nil
}
