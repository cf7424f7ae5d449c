package maps_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
)

// TestWriteJSON is about what bpftool cannot dump; TestKernelDump compares the
// rest with it.
func TestWriteJSON(t *testing.T) {
	for _, tc := range []struct {
		typ  maps.Type
		want string
	}{
		{maps.Queue, `[{"value":["0x01"]},{"value":["0x02"]},{"value":["0x03"]}]` + "\n"},
		{maps.Stack, `[{"value":["0x03"]},{"value":["0x02"]},{"value":["0x01"]}]` + "\n"},
	} {
		m, err := maps.New(&maps.Spec{Type: tc.typ, ValueSize: 1, MaxEntries: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []byte{9, 1, 2, 3} { // the fourth drives out the first
			if err := m.Update(nil, []byte{v}, maps.Exist); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // a dump takes nothing out
			var b strings.Builder
			if err := maps.WriteJSON(&b, m); err != nil || b.String() != tc.want {
				t.Errorf("%v: %s, %v", tc.typ, b.String(), err)
			}
		}
		m.Close()
		if err := maps.WriteJSON(new(strings.Builder), m); !errors.Is(err, errno.EBADF) {
			t.Errorf("closed %v: %v", tc.typ, err)
		}
	}
	for _, s := range []maps.Spec{
		{Type: maps.RingBuf, MaxEntries: 4096},
		{Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: maps.BloomFilter, ValueSize: 1, MaxEntries: 3},
	} {
		m, err := maps.New(&s)
		if err != nil {
			t.Fatal(err)
		}
		if err := maps.WriteJSON(new(strings.Builder), m); !errors.Is(err, errno.ENOTSUPP) {
			t.Errorf("%v: %v", s.Type, err)
		}
	}
	m := typesMap(t, "words")
	if err := m.Update([]byte{1, 0, 0, 0}, make([]byte, 8), maps.Any); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if err := maps.WriteJSON(writer{full}, m); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// A writer fails.
type writer struct{ err error }

func (w writer) Write([]byte) (int, error) { return 0, w.err }
