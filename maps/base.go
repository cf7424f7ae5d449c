package maps

import (
	"fmt"

	"github.com/skepvm/skep/errno"
)

// Base gives a host-defined map that embeds it the kernel's answer for every
// operation that it does not define itself: ENOTSUPP, and no entries for
// programs. Set Description before use.
//
// A host's map has to do as Map says: what LookupElem returns stays valid, and
// is not used for another entry, until the run that asked has ended. Values
// that are never removed, or never used again, do.
type Base struct{ Description Spec }

func (b *Base) Spec() *Spec { return &b.Description }

func (b *Base) unsupported(op string) error {
	return fmt.Errorf("map %q: %s: %w", b.Description.Name, op, errno.ENOTSUPP)
}

func (b *Base) LookupElem(int, []byte) []byte { return nil }

func (b *Base) UpdateElem(int, []byte, []byte, UpdateFlags) error { return b.unsupported("update") }

func (b *Base) DeleteElem(int, []byte) error { return b.unsupported("delete") }

func (b *Base) Lookup(_, _ []byte) error { return b.unsupported("lookup") }

func (b *Base) Update(_, _ []byte, _ UpdateFlags) error { return b.unsupported("update") }

func (b *Base) Delete([]byte) error { return b.unsupported("delete") }

func (b *Base) NextKey(_, _ []byte) error { return b.unsupported("next key") }

// Close does nothing.
func (b *Base) Close() error { return nil }
