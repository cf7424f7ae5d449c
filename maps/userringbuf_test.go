package maps

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/skepvm/skep/errno"
)

func newUserRing(t testing.TB, size uint32) (*userRingBuf, *UserRingBufProducer) {
	t.Helper()
	m, err := New(&Spec{Name: "ring", Type: UserRingBuf, MaxEntries: size})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewUserRingBufProducer(m)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*userRingBuf), p
}

// TestUserRingBufSubmitsOne submits each of many open records while all others are
// made unrecognisable: it looks at its own, and so takes as long as for a few.
func TestUserRingBufSubmitsOne(t *testing.T) {
	m, p := newUserRing(t, 1<<16)
	var open [][]byte
	for round := range 3 { // the ring and the list of records go round
		for p.Free() >= 24 {
			b, err := p.Reserve(9 + len(open)%7)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, b)
		}
		if round == 2 {
			break
		}
		for _, b := range open {
			if err := p.Submit(b); err != nil {
				t.Fatal(err)
			}
		}
		open = open[:0]
		rest := 1000
		if n, err := m.Drain(0, func([]byte) bool { rest--; return rest > 0 }); n != 1000 || err != nil {
			t.Fatalf("drained %d, %v", n, err)
		}
	}
	if len(open) < 500 {
		t.Fatalf("%d records are open", len(open))
	}
	records := m.records[len(m.records)-len(open):]
	kept := append([]userRecord(nil), records...)
	for k := range open {
		i := k * 37 % len(open) // in another order
		for j := range records {
			records[j] = userRecord{pos: 1 << 60, n: 1 << 60, state: recordSkipped}
		}
		records[i] = kept[i]
		if err := p.Submit(open[i]); err != nil {
			t.Fatalf("record %d of %d: %v", i, len(open), err)
		}
		if err := p.Submit(open[i]); !errors.Is(err, errno.EINVAL) {
			t.Fatalf("record %d submitted twice: %v", i, err)
		}
	}
}

// TestUserRingBufForgedNumber submits a part of a record before which lies what
// would be the record's number.
func TestUserRingBufForgedNumber(t *testing.T) {
	_, p := newUserRing(t, 4096)
	for number := range uint64(3) {
		b, err := p.Reserve(64)
		if err != nil {
			t.Fatal(err)
		}
		for at := 8; at < 64; at += 8 {
			for other := range number + 2 {
				binary.NativeEndian.PutUint64(b[at-8:], other)
				if err := p.Submit(b[at:]); !errors.Is(err, errno.EINVAL) {
					t.Errorf("record %d from byte %d as record %d: %v", number, at, other, err)
				}
			}
		}
	}
}
