// Package mapstest is the contract of maps.Map as a test suite. Every type of
// package maps runs it; a host that defines a map of its own can too:
//
//	func TestSessions(t *testing.T) {
//		mapstest.Run(t, func(testing.TB) maps.Map { return newSessions() })
//	}
//
// Operations that a map does not have may return ENOTSUPP or EINVAL, whatever
// their arguments, and are then left out.
package mapstest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// Run tests maps that open makes, each new and with no entries but those that
// always exist. Keys the suite uses are the numbers 0, 1, 2, … in the first
// bytes of a key, up to 8 of them and fewer if MaxEntries says so.
func Run(t *testing.T, open func(testing.TB) maps.Map) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"sizes", testSizes},
		{"update", testUpdate},
		{"flags", testFlags},
		{"full", testFull},
		{"delete", testDelete},
		{"walk", testWalk},
		{"alias", testAlias},
		{"held", testHeld},
		{"concurrent", testConcurrent},
		{"close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(t)
			c.test(t, &suite{TB: t, m: m, spec: m.Spec(), size: m.Spec().HostValueSize()})
			m.Close()
		})
	}
}

type suite struct {
	testing.TB
	m    maps.Map
	spec *maps.Spec
	size int // of a value for Go code
}

func (s *suite) key(n int) []byte {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	key := make([]byte, s.spec.KeySize)
	copy(key, b[:])
	return key
}

// keys returns how many keys the suite uses.
func (s *suite) keys() int { return int(min(s.spec.MaxEntries, 8)) }

// value returns a value for Go code whose bytes, up to each CPU's ValueSize,
// are b.
func (s *suite) value(b byte) []byte {
	v := make([]byte, s.size)
	step := (int(s.spec.ValueSize) + 7) &^ 7
	for at := 0; at < len(v); at += step {
		for i := range int(s.spec.ValueSize) {
			v[at+i] = b
		}
	}
	return v
}

func (s *suite) element(b byte) []byte { return bytes.Repeat([]byte{b}, int(s.spec.ValueSize)) }

// absent reports whether err says that the map lacks the operation.
func absent(err error) bool {
	return errors.Is(err, errno.ENOTSUPP) || errors.Is(err, errno.EOPNOTSUPP) || errors.Is(err, errno.EINVAL)
}

// needs skips the test unless Go code can store, and find, entries.
func (s *suite) needs() {
	s.Helper()
	if s.spec.KeySize == 0 || s.spec.ValueSize == 0 {
		s.Skip("the map has no keys and values")
	}
	if err := s.m.Update(s.key(0), s.value(1), maps.Any); absent(err) || errors.Is(err, errno.EBADF) {
		s.Skipf("Go code cannot store values: %v", err)
	} else if err != nil {
		s.Fatalf("update: %v", err)
	}
}

func (s *suite) want(op string, got error, want errno.Errno) {
	s.Helper()
	if want == 0 && got != nil || want != 0 && !errors.Is(got, want) {
		s.Errorf("%s: %v, want %v", op, got, want)
	}
}

// on calls f on a virtual CPU, as a program runs.
func on(f func(cpu int)) {
	c := vcpu.Lease()
	defer c.Release()
	f(c.ID())
}

func testSizes(t *testing.T, s *suite) {
	s.needs()
	long, value := make([]byte, s.spec.KeySize+1), make([]byte, s.size)
	s.want("update, long key", s.m.Update(long, value, maps.Any), errno.EINVAL)
	s.want("update, short value", s.m.Update(s.key(0), value[1:], maps.Any), errno.EINVAL)
	s.want("lookup, long key", s.m.Lookup(long, value), errno.EINVAL)
	s.want("lookup, long value", s.m.Lookup(s.key(0), append(value, 0)), errno.EINVAL)
	s.want("delete, no key", s.m.Delete(nil), errno.EINVAL)
	on(func(cpu int) {
		if s.m.LookupElem(cpu, long) != nil {
			t.Error("LookupElem finds a key of the wrong length")
		}
		s.want("update by a program, long key", s.m.UpdateElem(cpu, long, s.element(0), maps.Any), errno.EINVAL)
		s.want("update by a program, long value", s.m.UpdateElem(cpu, s.key(0), append(s.element(0), 0), maps.Any), errno.EINVAL)
		s.want("delete by a program, long key", s.m.DeleteElem(cpu, long), errno.EINVAL)
	})
}

func testUpdate(t *testing.T, s *suite) {
	s.needs()
	got := make([]byte, s.size)
	for n := range s.keys() {
		want := s.value(byte(n + 1))
		s.want("update", s.m.Update(s.key(n), want, maps.Any), 0)
		s.want("lookup", s.m.Lookup(s.key(n), got), 0)
		if !bytes.Equal(got, want) {
			t.Errorf("key %d: %x, want %x", n, got, want)
		}
		want = s.value(byte(n + 101))
		s.want("replace", s.m.Update(s.key(n), want, maps.Any), 0)
	}
	for n := range s.keys() {
		s.want("lookup", s.m.Lookup(s.key(n), got), 0)
		if want := s.value(byte(n + 101)); !bytes.Equal(got, want) {
			t.Errorf("key %d: %x, want %x", n, got, want)
		}
		on(func(cpu int) {
			if got := s.m.LookupElem(cpu, s.key(n)); !bytes.Equal(got, s.element(byte(n+101))) {
				t.Errorf("key %d: a program finds %x", n, got)
			}
		})
	}
}

func testFlags(t *testing.T, s *suite) {
	s.needs()
	s.want("update, an unknown flag", s.m.Update(s.key(0), s.value(2), 8), errno.EINVAL)
	s.want("update, both flags", s.m.Update(s.key(0), s.value(2), maps.NoExist|maps.Exist), errno.EINVAL)
	s.want("update, NoExist", s.m.Update(s.key(0), s.value(2), maps.NoExist), errno.EEXIST)
	s.want("update, Exist", s.m.Update(s.key(0), s.value(3), maps.Exist), 0)
	on(func(cpu int) {
		s.want("update by a program, an unknown flag", s.m.UpdateElem(cpu, s.key(0), s.element(2), 8), errno.EINVAL)
		s.want("update by a program, NoExist", s.m.UpdateElem(cpu, s.key(0), s.element(2), maps.NoExist), errno.EEXIST)
	})
	if s.m.Delete(s.key(0)) == nil {
		s.want("update, Exist, of no entry", s.m.Update(s.key(0), s.value(2), maps.Exist), errno.ENOENT)
		s.want("update, NoExist, of no entry", s.m.Update(s.key(0), s.value(2), maps.NoExist), 0)
	}
}

func testFull(t *testing.T, s *suite) {
	s.needs()
	if s.spec.MaxEntries > 1<<16 || s.spec.KeySize < 4 && s.spec.MaxEntries >= 1<<(8*s.spec.KeySize) {
		t.Skip("too many entries")
	}
	for n := range int(s.spec.MaxEntries) {
		s.want(fmt.Sprintf("update %d", n), s.m.Update(s.key(n), s.value(1), maps.Any), 0)
	}
	over := s.key(int(s.spec.MaxEntries))
	switch s.spec.Type {
	case maps.LRUHash, maps.LRUPerCPUHash:
		s.want("update of a full map", s.m.Update(over, s.value(1), maps.Any), 0)
		s.want("lookup of the newest", s.m.Lookup(over, make([]byte, s.size)), 0)
		return
	case maps.LPMTrie:
		s.want("update of a full map", s.m.Update(over, s.value(1), maps.Any), errno.ENOSPC)
		return
	}
	s.want("update of a full map", s.m.Update(over, s.value(1), maps.Any), errno.E2BIG)
	on(func(cpu int) {
		s.want("update of a full map by a program", s.m.UpdateElem(cpu, over, s.element(1), maps.Any), errno.E2BIG)
	})
	s.want("replace in a full map", s.m.Update(s.key(0), s.value(2), maps.Any), 0)
	s.want("lookup of what did not fit", s.m.Lookup(over, make([]byte, s.size)), errno.ENOENT)
	if s.m.Delete(s.key(0)) == nil {
		s.want("update after a delete", s.m.Update(over, s.value(1), maps.Any), 0)
	}
}

func testDelete(t *testing.T, s *suite) {
	s.needs()
	if err := s.m.Delete(s.key(0)); absent(err) {
		t.Skipf("no delete: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	s.want("lookup of a deleted key", s.m.Lookup(s.key(0), make([]byte, s.size)), errno.ENOENT)
	s.want("delete of a deleted key", s.m.Delete(s.key(0)), errno.ENOENT)
	on(func(cpu int) {
		if s.m.LookupElem(cpu, s.key(0)) != nil {
			t.Error("a program finds a deleted key")
		}
		s.want("update by a program", s.m.UpdateElem(cpu, s.key(0), s.element(4), maps.Any), 0)
		s.want("delete by a program", s.m.DeleteElem(cpu, s.key(0)), 0)
		s.want("delete of a deleted key by a program", s.m.DeleteElem(cpu, s.key(0)), errno.ENOENT)
	})
}

func testWalk(t *testing.T, s *suite) {
	s.needs()
	next := make([]byte, s.spec.KeySize)
	if err := s.m.NextKey(nil, next); absent(err) {
		t.Skipf("no walk: %v", err)
	}
	for n := range s.keys() {
		s.want("update", s.m.Update(s.key(n), s.value(byte(n)), maps.Any), 0)
	}
	seen := map[string]bool{}
	var at []byte
	err := s.m.NextKey(nil, next)
	for ; err == nil && len(seen) <= int(s.spec.MaxEntries); err = s.m.NextKey(at, next) {
		if seen[string(next)] {
			t.Fatalf("key %x comes twice", next)
		}
		seen[string(next)] = true
		at = append(at[:0], next...)
	}
	s.want("after the last key", err, errno.ENOENT)
	for n := range s.keys() {
		if !seen[string(s.key(n))] {
			t.Errorf("key %x is left out", s.key(n))
		}
	}
	first := make([]byte, s.spec.KeySize)
	s.want("first key", s.m.NextKey(nil, first), 0)
	unknown := bytes.Repeat([]byte{0xfe}, int(s.spec.KeySize))
	s.want("key after an unknown one", s.m.NextKey(unknown, next), 0)
	if !bytes.Equal(first, next) {
		t.Errorf("after an unknown key comes %x, not the first, %x", next, first)
	}
	if r, ok := s.m.(maps.Ranger); ok {
		on(func(cpu int) {
			n := 0
			r.Range(cpu, func(key, value []byte) bool {
				if n++; !seen[string(key)] || !bytes.Equal(value, s.m.LookupElem(cpu, key)) {
					t.Errorf("Range gives %x, %x", key, value)
				}
				return true
			})
			if n != len(seen) {
				t.Errorf("Range gives %d entries of %d", n, len(seen))
			}
			n = 0
			r.Range(cpu, func(_, _ []byte) bool { n++; return false })
			if n != 1 {
				t.Errorf("Range goes on %d times after being told to stop", n-1)
			}
		})
	}
}

func testAlias(t *testing.T, s *suite) {
	s.needs()
	on(func(cpu int) {
		p := s.m.LookupElem(cpu, s.key(0))
		if len(p) != int(s.spec.ValueSize) {
			t.Fatalf("LookupElem gives %d bytes of %d", len(p), s.spec.ValueSize)
		}
		if reflect.ValueOf(p).Pointer()%8 != 0 {
			t.Error("the value is not aligned to 8 bytes")
		}
		for i := range p {
			p[i] = 0x5a
		}
		if q := s.m.LookupElem(cpu, s.key(0)); &q[0] != &p[0] {
			t.Error("the value moved")
		}
		got := make([]byte, s.size)
		s.want("lookup", s.m.Lookup(s.key(0), got), 0)
		if !bytes.Contains(got, s.element(0x5a)) {
			t.Errorf("Go code does not see a program's store: %x", got)
		}
		if m, ok := s.m.(maps.Slabber); ok {
			for _, slab := range m.Slabs() {
				if off, ok := mem.Index(slab.Bytes, p); ok {
					if off%int(slab.Stride) != 0 || slab.Size != s.spec.ValueSize {
						t.Errorf("the value is at %d of a slab with stride %d and size %d", off, slab.Stride, slab.Size)
					}
					return
				}
			}
			t.Error("the value is in no slab")
		}
	})
}

// testHeld checks that a deleted value keeps its bytes while a run holds it.
func testHeld(t *testing.T, s *suite) {
	s.needs()
	on(func(cpu int) {
		p := s.m.LookupElem(cpu, s.key(0))
		if err := s.m.Delete(s.key(0)); err != nil {
			t.Skipf("no delete: %v", err)
		}
		for i := range 500 {
			for n := range s.keys() {
				s.m.Update(s.key(n), s.value(byte(i)|0x80), maps.Any)
				s.m.Delete(s.key(n))
			}
		}
		if !bytes.Equal(p, s.element(1)) {
			t.Errorf("a held value became %x", p)
		}
	})
}

// testConcurrent is for the race detector, and checks that values come whole
// from Go code's side when Go code alone writes, one entry per goroutine.
func testConcurrent(t *testing.T, s *suite) {
	s.needs()
	var wg sync.WaitGroup
	for n := range s.keys() {
		wg.Add(2)
		go func() {
			defer wg.Done()
			got := make([]byte, s.size)
			for i := range 300 {
				s.m.Update(s.key(n), s.value(byte(i)), maps.Any)
				if err := s.m.Lookup(s.key(n), got); err == nil && !bytes.Equal(got, s.value(got[0])) {
					t.Errorf("key %d: %x", n, got)
				}
				if i%3 == 0 {
					s.m.Delete(s.key(n))
				}
			}
		}()
		go func() {
			defer wg.Done()
			next := make([]byte, s.spec.KeySize)
			for range 300 {
				on(func(cpu int) { s.m.LookupElem(cpu, s.key(n)) })
				s.m.NextKey(s.key(n), next)
			}
		}()
	}
	wg.Wait()
}

func testClose(t *testing.T, s *suite) {
	s.want("close", s.m.Close(), 0)
	s.want("second close", s.m.Close(), 0)
}
