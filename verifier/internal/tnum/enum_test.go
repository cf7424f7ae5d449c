package tnum

import (
	"flag"
	"math/bits"
	"math/rand"
	"testing"
)

var report = flag.Bool("report", false, "log the precision of each operation")

// A space is every Tnum of n bits, in an order in which each comes after the
// Tnums that it contains.
type space struct {
	n    uint
	all  []Tnum
	rank map[Tnum]int
}

func newSpace(n uint) *space {
	s := &space{n: n, rank: map[Tnum]int{}}
	for unknown := 0; unknown <= int(n); unknown++ {
		for m := uint64(0); m < 1<<n; m++ {
			if bits.OnesCount64(m) != unknown {
				continue
			}
			for v := uint64(0); v < 1<<n; v++ {
				if v&m == 0 {
					s.rank[Tnum{v, m}] = len(s.all)
					s.all = append(s.all, Tnum{v, m})
				}
			}
		}
	}
	return s
}

// halves returns t with its highest unknown bit zero, and one.
func halves(t Tnum) (lo, hi Tnum) {
	b := uint64(1) << (bits.Len64(t.Mask) - 1)
	return Tnum{t.Value, t.Mask &^ b}, Tnum{t.Value | b, t.Mask &^ b}
}

// members calls f with each member of t.
func members(t Tnum, f func(x uint64)) {
	for s := uint64(0); ; s = (s - t.Mask) & t.Mask {
		f(t.Value | s)
		if s == t.Mask {
			return
		}
	}
}

// TestBinary compares each operation with the least Tnum that holds all
// results of the machine operation, for every pair of Tnums of n bits. That
// least Tnum is computed without the operation under test: for constants it is
// the machine's result, and otherwise the join of the results for the two
// halves of an operand.
func TestBinary(t *testing.T) {
	n := uint(8)
	if testing.Short() {
		n = 6 // all 43 million pairs of 8 bits take seconds
	}
	s := newSpace(n)
	least := make([][2]uint8, len(s.all)*len(s.all))
	half := make([][2]int, len(s.all))
	for i, a := range s.all {
		if !a.IsConst() {
			lo, hi := halves(a)
			half[i] = [2]int{s.rank[lo], s.rank[hi]}
		}
	}
	for _, tc := range []struct {
		name     string
		abstract func(a, b Tnum) Tnum
		concrete func(x, y uint64) uint64
		exact    bool
	}{
		{"add", Tnum.Add, func(x, y uint64) uint64 { return x + y }, true},
		{"sub", Tnum.Sub, func(x, y uint64) uint64 { return x - y }, true},
		{"and", Tnum.And, func(x, y uint64) uint64 { return x & y }, true},
		{"or", Tnum.Or, func(x, y uint64) uint64 { return x | y }, true},
		{"xor", Tnum.Xor, func(x, y uint64) uint64 { return x ^ y }, true},
		{"mul", Tnum.Mul, func(x, y uint64) uint64 { return x * y }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wide := 0
			for i, a := range s.all {
				for j, b := range s.all {
					at := i*len(s.all) + j
					var want Tnum
					switch {
					case !a.IsConst():
						lo, hi := least[half[i][0]*len(s.all)+j], least[half[i][1]*len(s.all)+j]
						want = Tnum{uint64(lo[0]), uint64(lo[1])}.Join(Tnum{uint64(hi[0]), uint64(hi[1])})
					case !b.IsConst():
						lo, hi := least[i*len(s.all)+half[j][0]], least[i*len(s.all)+half[j][1]]
						want = Tnum{uint64(lo[0]), uint64(lo[1])}.Join(Tnum{uint64(hi[0]), uint64(hi[1])})
					default:
						want = Const(tc.concrete(a.Value, b.Value)).Trunc(n)
					}
					least[at] = [2]uint8{uint8(want.Value), uint8(want.Mask)}
					got := tc.abstract(a, b)
					if got.Value&got.Mask != 0 {
						t.Fatalf("%v, %v: got %v, which is not a Tnum", a, b, got)
					}
					got = got.Trunc(n)
					if got == want {
						continue
					}
					if !want.Leq(got) {
						t.Fatalf("%v, %v: got %v, which lacks part of %v", a, b, got, want)
					}
					if tc.exact {
						t.Fatalf("%v, %v: got %v, want %v", a, b, got, want)
					}
					wide++
				}
			}
			if *report {
				t.Logf("%d bits: %d of %d pairs are not the least", n, wide, len(least))
			}
		})
	}
}

// TestUnary does the same for the operations on one Tnum and for shifts by
// every amount.
func TestUnary(t *testing.T) {
	const n = 8
	s := newSpace(n)
	sext := func(x uint64, n uint) uint64 { return uint64(int64(x<<(64-n)) >> (64 - n)) }
	for _, tc := range []struct {
		name     string
		abstract func(a Tnum, k uint) Tnum
		concrete func(x uint64, k uint) uint64
	}{
		{"neg", func(a Tnum, _ uint) Tnum { return a.Neg() }, func(x uint64, _ uint) uint64 { return -x }},
		{"lsh", Tnum.Lsh, func(x uint64, k uint) uint64 { return x << k }},
		{"rsh", Tnum.Rsh, func(x uint64, k uint) uint64 { return x >> k }},
		{"arsh", func(a Tnum, k uint) Tnum { return a.SignExtend(n).Arsh(k).Trunc(n) },
			func(x uint64, k uint) uint64 { return uint64(uint8(int8(x) >> k)) }},
		{"trunc", Tnum.Trunc, func(x uint64, k uint) uint64 { return x & (1<<k - 1) }},
		{"signextend", func(a Tnum, k uint) Tnum { return a.SignExtend(k + 1) },
			func(x uint64, k uint) uint64 { return sext(x, k+1) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, a := range s.all {
				for k := range uint(n) {
					var want Tnum
					first := true
					members(a, func(x uint64) {
						y := Const(tc.concrete(x, k))
						if first {
							want, first = y, false
						}
						want = want.Join(y)
					})
					if got := tc.abstract(a, k); got != want {
						t.Fatalf("%v, %d: got %v, want %v", a, k, got, want)
					}
				}
			}
		})
	}
}

// TestByteSwap permutes the bytes of every member of Tnums with up to six
// unknown bits in random places.
func TestByteSwap(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 10000 {
		var a Tnum
		for range 6 {
			a.Mask |= 1 << r.Intn(64)
		}
		a.Value = r.Uint64() &^ a.Mask
		for n, swap := range map[uint]func(uint64) uint64{
			16: func(x uint64) uint64 { return uint64(bits.ReverseBytes16(uint16(x))) },
			32: func(x uint64) uint64 { return uint64(bits.ReverseBytes32(uint32(x))) },
			64: bits.ReverseBytes64,
		} {
			got, count := a.ByteSwap(n), 0
			seen := map[uint64]bool{}
			members(a, func(x uint64) {
				y := swap(x)
				if !got.Contains(y) {
					t.Fatalf("swap of %#x is %#x, not in %v", x, y, got)
				}
				if !seen[y] {
					seen[y] = true
					count++
				}
			})
			if count != 1<<bits.OnesCount64(got.Mask) {
				t.Fatalf("%v, %d bits: got %v, which has more than %d members", a, n, got, count)
			}
		}
	}
}

// TestLattice checks order, join and meet of every pair against sets.
func TestLattice(t *testing.T) {
	const n = 5
	s := newSpace(n)
	sets := make([]uint32, len(s.all)) // 1<<n possible members
	for i, a := range s.all {
		members(a, func(x uint64) { sets[i] |= 1 << x })
		for x := range uint64(1 << n) {
			if a.Contains(x) != (sets[i]>>x&1 != 0) {
				t.Fatalf("%v contains %d: got %v", a, x, a.Contains(x))
			}
		}
		if low, high := uint64(bits.TrailingZeros32(sets[i])), uint64(bits.Len32(sets[i])-1); a.Min() != low || a.Max() != high {
			t.Fatalf("%v: got %d to %d, want %d to %d", a, a.Min(), a.Max(), low, high)
		}
	}
	for i, a := range s.all {
		for j, b := range s.all {
			if got, want := a.Leq(b), sets[i]&^sets[j] == 0; got != want {
				t.Fatalf("%v <= %v: got %v", a, b, got)
			}
			m, ok := a.Meet(b)
			if ok != (sets[i]&sets[j] != 0) {
				t.Fatalf("meet of %v and %v: ok is %v", a, b, ok)
			}
			if ok && sets[s.rank[m]] != sets[i]&sets[j] {
				t.Fatalf("meet of %v and %v: got %v", a, b, m)
			}
			join := a.Join(b)
			for k, c := range s.all {
				if (sets[i]|sets[j])&^sets[k] == 0 && !join.Leq(c) {
					t.Fatalf("join of %v and %v: got %v, want at most %v", a, b, join, c)
				}
			}
			if (sets[i]|sets[j])&^sets[s.rank[join]] != 0 {
				t.Fatalf("join of %v and %v: got %v, which lacks a member", a, b, join)
			}
		}
	}
}

// TestBounds compares AtLeast, AtMost and Range with a search, in both the low
// and the high bits of the word.
func TestBounds(t *testing.T) {
	const n = 8
	s := newSpace(n)
	for _, shift := range []uint{0, 64 - n} {
		for _, a := range s.all {
			var in [1 << n]bool
			members(a, func(x uint64) { in[x] = true })
			for x := range uint64(1 << n) {
				up, down := -1, -1
				for y := range in {
					if in[y] && uint64(y) <= x {
						down = y
					}
					if in[y] && uint64(y) >= x && up < 0 {
						up = y
					}
				}
				if got, ok := a.Lsh(shift).AtLeast(x << shift); ok != (up >= 0) || ok && got != uint64(up)<<shift {
					t.Fatalf("%v at least %d, shifted by %d: got %#x %v, want %d", a, x, shift, got, ok, up)
				}
				if got, ok := a.Lsh(shift).AtMost(x << shift); ok != (down >= 0) || ok && got != uint64(down)<<shift {
					t.Fatalf("%v at most %d, shifted by %d: got %#x %v, want %d", a, x, shift, got, ok, down)
				}
			}
		}
	}
	for lo := range uint64(1 << n) {
		want := Const(lo)
		for hi := lo; hi < 1<<n; hi++ {
			want = want.Join(Const(hi))
			if got := Range(lo, hi); got != want {
				t.Fatalf("range %d to %d: got %v, want %v", lo, hi, got, want)
			}
		}
	}
	if got := Range(0, ^uint64(0)); got != Top() {
		t.Errorf("full range: got %v", got)
	}
}

// TestWide repeats what the small widths cannot show: carries and borrows
// through all 64 bits, on random members of random Tnums.
func TestWide(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	random := func() Tnum {
		m := r.Uint64() & r.Uint64()
		if r.Intn(4) == 0 {
			m = ^uint64(0) << r.Intn(64) >> r.Intn(64)
		}
		return Tnum{r.Uint64() &^ m, m}
	}
	member := func(t Tnum) uint64 { return t.Value | r.Uint64()&t.Mask }
	for range 200000 {
		a, b := random(), random()
		x, y := member(a), member(b)
		k := uint(r.Intn(64))
		for _, tc := range []struct {
			name string
			got  Tnum
			want uint64
		}{
			{"add", a.Add(b), x + y},
			{"sub", a.Sub(b), x - y},
			{"mul", a.Mul(b), x * y},
			{"neg", a.Neg(), -x},
			{"lsh", a.Lsh(k), x << k},
			{"rsh", a.Rsh(k), x >> k},
			{"arsh", a.Arsh(k), uint64(int64(x) >> k)},
			{"signextend", a.SignExtend(k + 1), uint64(int64(x<<(63-k)) >> (63 - k))},
			{"withlow", a.WithLow(b, k), x>>k<<k | y&(1<<k-1)},
		} {
			if !tc.got.Contains(tc.want) {
				t.Fatalf("%s of %v (%#x) and %v (%#x), %d: %v lacks %#x", tc.name, a, x, b, y, k, tc.got, tc.want)
			}
		}
		if up, ok := a.AtLeast(y); ok && (up < y || !a.Contains(up)) || x >= y && (!ok || up > x) {
			t.Fatalf("%v at least %#x: got %#x %v, and %#x is a member", a, y, up, ok, x)
		}
		if down, ok := a.AtMost(y); ok && (down > y || !a.Contains(down)) || x <= y && (!ok || down < x) {
			t.Fatalf("%v at most %#x: got %#x %v, and %#x is a member", a, y, down, ok, x)
		}
		if got, want := a.IsAligned(1<<k), a.TrailingZeros() >= k; got != want {
			t.Fatalf("%v aligned to %d bits: got %v, want %v", a, k, got, want)
		}
	}
}

func BenchmarkOps(b *testing.B) {
	x, y := Tnum{0x100, 0xff}, Tnum{0x20, 0xfff00}
	for _, bc := range []struct {
		name string
		op   func(a, b Tnum) Tnum
	}{{"add", Tnum.Add}, {"and", Tnum.And}, {"join", Tnum.Join}, {"mul", Tnum.Mul}} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				x.Mask = bc.op(x, y).Mask&0xff | 0xf
			}
		})
	}
}
