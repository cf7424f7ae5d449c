package mem

import (
	"math/rand/v2"
	"testing"
)

// TestSpace compares look-ups with a model: which byte of which slice every
// address is. Regions are cut from one block, so that neighbours touch.
func TestSpace(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		_, block := Alloc(64)
		base := Addr(block)
		owner := make([]int, len(block)) // object that the byte is part of; 0: none
		readOnly := map[int]bool{}
		var s Space
		var fixed []Region
		objects := 0
		var live []Region
		for at := rnd.IntN(8); at < len(block)-40; {
			stride := 1 + rnd.IntN(12)
			size := 1 + rnd.IntN(stride)
			n := 1 + rnd.IntN(3)
			slab := Slab{Bytes: block[at : at+n*stride], Stride: uint32(stride), Size: uint32(size), ReadOnly: rnd.IntN(2) == 0}
			dynamic := rnd.IntN(2) == 0
			if dynamic {
				slab.Stride, slab.Size, size, stride, n = 0, 0, n*stride, n*stride, 1
			}
			for i := range n {
				objects++
				readOnly[objects] = slab.ReadOnly
				for j := range size {
					owner[at+i*stride+j] = objects
				}
			}
			if dynamic {
				live = append(live, NewRegion("live", slab))
			} else {
				fixed = append(fixed, NewRegion("fixed", slab))
			}
			at += n*stride + rnd.IntN(4)
		}
		rnd.Shuffle(len(fixed), func(i, j int) { fixed[i], fixed[j] = fixed[j], fixed[i] })
		s.Reset(NewFixed(fixed))
		rnd.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
		for _, r := range live {
			if got := s.Add(r.Name, Plain, r.Bytes, r.ReadOnly); got != r.base {
				t.Fatalf("Add gave %#x, not %#x", got, r.base)
			}
			s.Add(r.Name, Plain, r.Bytes[:1], !r.ReadOnly) // live already
		}
		check := func() {
			t.Helper()
			for at := range block {
				for _, n := range []int{1, 2, 3, 8} {
					want := owner[at] != 0 && at+n <= len(block)
					for i := at; want && i < at+n; i++ {
						want = owner[i] == owner[at]
					}
					b := s.Bytes(base+uint64(at), n)
					if (b != nil) != want || b != nil && (len(b) != n || &b[0] != &block[at]) {
						t.Fatalf("byte %d, %d bytes: got %v, want %v", at, n, b != nil, want)
					}
					if w, ok := s.Find(base + uint64(at)); ok && w.ReadOnly() != readOnly[owner[at]] {
						t.Fatalf("byte %d: read-only is %v", at, w.ReadOnly())
					}
				}
			}
		}
		check()
		for _, r := range live {
			before := s.Generation()
			s.Remove(r.base)
			if s.Generation() == before {
				t.Fatal("Remove left the generation")
			}
			for i := range r.Bytes {
				owner[int(r.base-base)+i] = 0
			}
			check()
		}
	}
}

// TestLoans: what is borrowed more than once is live until it was given back as
// often, and what was shared besides until the end.
func TestLoans(t *testing.T) {
	_, b := Alloc(4)
	var s Space
	live := func(want bool) {
		t.Helper()
		if got := s.Bytes(Addr(b), 4) != nil; got != want {
			t.Errorf("live: %v", got)
		}
	}
	a := s.Add("loan", Reference, b, true)
	s.Add("loan", Reference, b, true)
	s.Remove(a)
	live(true)
	s.Remove(a)
	live(false)
	s.Remove(a)
	for _, first := range []Kind{Plain, Reference} {
		s.Add("first", first, b, true)
		s.Add("second", Plain+Reference-first, b, true)
		if !s.IsReference(a) {
			t.Error("no reference")
		}
		s.Remove(a)
		live(true)
		if s.IsReference(a) {
			t.Error("a reference is left")
		}
		s.Remove(a)
		live(false)
	}
}

// TestOutside: addresses around and far from a region, up to the wrap.
func TestOutside(t *testing.T) {
	b := make([]byte, 16)
	var s Space
	a := s.Add("b", Plain, b, false)
	for _, tc := range []struct {
		addr uint64
		n    int
		ok   bool
	}{
		{a, 16, true}, {a, 17, false}, {a + 15, 1, true}, {a + 15, 2, false}, {a + 16, 1, false}, {a - 1, 1, false},
		{a - 1, 2, false}, {0, 1, false}, {^uint64(0), 1, false}, {^uint64(0), 2, false}, {a, -1, false}, {a + 1<<32, 1, false}, {a + 1<<63, 1, false},
	} {
		if got := s.Bytes(tc.addr, tc.n) != nil; got != tc.ok {
			t.Errorf("%#x, %d bytes: %v", tc.addr, tc.n, got)
		}
		w, found := s.Find(tc.addr)
		if !found {
			continue
		}
		if _, ok := w.Load8(tc.addr); ok != (tc.addr <= a+8) {
			t.Errorf("Load8 at %+d: %v", int64(tc.addr-a), ok)
		}
	}
	var zero Window
	if _, ok := zero.Load1(0); ok || zero.Store1(0, 1) || zero.Bytes(0, 0) != nil {
		t.Error("the zero window lets an access pass")
	}
	if s.Bytes(a+99, 0) == nil {
		t.Error("no bytes at all is nil")
	}
}

// TestWindow: every width, at every offset, against the bytes.
func TestWindow(t *testing.T) {
	b := make([]byte, 16)
	for i := range b {
		b[i] = byte(0x81 + 7*i)
	}
	w := Window{base: 1000, b: b}
	ro := Window{base: 1000, b: b, ro: true}
	for off := -9; off < 18; off++ {
		addr := uint64(1000 + off)
		for _, n := range []int{1, 2, 4, 8} {
			load := map[int]func(uint64) (uint64, bool){1: w.Load1, 2: w.Load2, 4: w.Load4, 8: w.Load8}[n]
			store := map[int]func(uint64, uint64) bool{1: w.Store1, 2: w.Store2, 4: w.Store4, 8: w.Store8}[n]
			refuse := map[int]func(uint64, uint64) bool{1: ro.Store1, 2: ro.Store2, 4: ro.Store4, 8: ro.Store8}[n]
			inside := off >= 0 && off+n <= len(b)
			v, ok := load(addr)
			if ok != inside {
				t.Fatalf("load of %d at %d: %v", n, off, ok)
			}
			if refuse(addr, 0) {
				t.Fatalf("store of %d at %d in a read-only window", n, off)
			}
			if !inside {
				if store(addr, 0) {
					t.Fatalf("store of %d at %d", n, off)
				}
				continue
			}
			var want uint64
			for i := range n {
				want |= uint64(b[off+i]) << (8 * i)
			}
			if v != want || Load(b[off:off+n]) != want {
				t.Fatalf("load of %d at %d: %#x, want %#x", n, off, v, want)
			}
			before := string(b)
			if !store(addr, ^want) || !store(addr, want) || string(b) != before {
				t.Fatalf("store of %d at %d does not undo itself", n, off)
			}
		}
	}
}

// TestAtomics: what each operation leaves and returns, at every aligned place,
// and that neighbours of a narrow store stay.
func TestAtomics(t *testing.T) {
	_, b := Alloc(2)
	for _, n := range []int{1, 2, 4, 8} {
		for off := 0; off+n <= len(b); off += n {
			for i := range b {
				b[i] = 0xee
			}
			v := uint64(0x8877665544332211)
			mask := ^uint64(0) >> (64 - 8*n)
			StoreRelease(b[off:off+n], v)
			if got := LoadAcquire(b[off : off+n]); got != v&mask || Load(b[off:off+n]) != v&mask {
				t.Errorf("%d bytes at %d: %#x", n, off, got)
			}
			for i := range b {
				if (i < off || i >= off+n) && b[i] != 0xee {
					t.Errorf("%d bytes at %d: byte %d changed", n, off, i)
				}
			}
		}
	}
	Store(b, 40)
	if old := Add64(b[:8], 2); old != 40 || Load(b[:8]) != 42 {
		t.Errorf("Add64: %d, %d", old, Load(b[:8]))
	}
	if old := Update64(b[:8], func(old uint64) uint64 { return old * 2 }); old != 42 || Load(b[:8]) != 84 {
		t.Errorf("Update64: %d, %d", old, Load(b[:8]))
	}
	Store(b[8:12], 1<<32-1)
	if old := Add32(b[8:12], 2); old != 1<<32-1 || Load(b[8:12]) != 1 {
		t.Errorf("Add32: %d, %d", old, Load(b[8:12]))
	}
}

func TestBorrow(t *testing.T) {
	type s struct{ n int }
	if n := testing.AllocsPerRun(100, func() {
		v := s{7}
		if got := Borrow(&v).(*s); got.n != 7 {
			t.Error("another value")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
