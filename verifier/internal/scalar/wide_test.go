//go:build !smallwidth

package scalar

import (
	"bytes"
	"math"
	"math/bits"
	"math/rand"
	"os"
	"os/exec"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/tnum"
)

// TestSmallWidth compiles the package for 8-bit values with 4-bit low halves
// and runs the tests that list every value.
func TestSmallWidth(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	for _, name := range []string{"width_small.go", "small_test.go"} {
		// Opened here, so that a cached result does not outlive a change to them.
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"test", "-tags=smallwidth", "-v"}
	if testing.Short() {
		args = append(args, "-short")
	}
	cmd := exec.Command(tool, append(args, ".")...)
	cmd.Env = append(os.Environ(), "GOARCH=") // the host's: this one may be emulated
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: TestALU ")) {
		t.Fatalf("the tests did not run:\n%s", out)
	}
}

var wideEdges = []uint64{
	0, 1, 2, math.MaxInt32 - 1, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt32 + 2,
	math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint32 + 2,
	0x5_ffff_fffe, 0x6_0000_0001, 0xffff_fffe_ffff_ffff, 0xffff_ffff_0000_0000, 0xffff_ffff_7fff_ffff,
	0xffff_ffff_8000_0000, math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxInt64 + 2,
	math.MaxUint64 - 1, math.MaxUint64, 3, 7, 10, 255, 4096,
}

// A wideSource makes random values with a known member.
type wideSource struct{ *rand.Rand }

func (r wideSource) value() uint64 {
	switch r.Intn(4) {
	case 0:
		return r.Uint64() >> r.Intn(64)
	case 1:
		return wideEdges[r.Intn(len(wideEdges))] + uint64(r.Intn(5)) - 2
	default:
		return wideEdges[r.Intn(len(wideEdges))]
	}
}

// around returns a Scalar that holds x: components between edges, cut down to
// those that hold x.
func (r wideSource) around(x uint64) Scalar {
	s := Top()
	kinds := r.Intn(64)
	if kinds == 63 {
		return Const(x)
	}
	if kinds&1 != 0 {
		m := r.Uint64()
		if r.Intn(2) == 0 {
			m = ^uint64(0) << r.Intn(64) >> r.Intn(64)
		}
		s.bits = tnum.Tnum{Value: x &^ m, Mask: m}
	}
	if kinds&2 != 0 {
		a, b := r.value(), r.value()
		s.full.umin, s.full.umax = min(a, b, x), max(a, b, x)
	}
	if kinds&4 != 0 {
		a, b := int64(r.value()), int64(r.value())
		s.full.smin, s.full.smax = min(a, b, int64(x)), max(a, b, int64(x))
	}
	if kinds&8 != 0 {
		a, b := uint32(r.value()), uint32(r.value())
		s.umin32, s.umax32 = min(a, b, uint32(x)), max(a, b, uint32(x))
	}
	if kinds&16 != 0 {
		a, b := int32(r.value()), int32(r.value())
		s.smin32, s.smax32 = min(a, b, int32(x)), max(a, b, int32(x))
	}
	if kinds&32 != 0 { // near x
		s.full.umin = max(s.full.umin, x-min(x, uint64(r.Intn(100))))
		s.full.umax = min(s.full.umax, x+min(^x, uint64(r.Intn(100))))
	}
	return s
}

// TestWide runs every operation on random members of random values of 64 bits.
func TestWide(t *testing.T) {
	r := wideSource{rand.New(rand.NewSource(1))}
	n := 30000
	if !testing.Short() {
		n = 300000 // some ten seconds
	}
	for range n {
		x, y := r.value(), r.value()
		raw := r.around(x)
		a, b := raw, r.around(y)
		if !a.reduce() || !b.reduce() || !a.Contains(x) || !b.Contains(y) {
			t.Fatalf("%+v, %+v: reduction lost %#x or %#x: %v, %v", raw, b, x, y, a, b)
		}
		if again := a; !again.reduce() || again != a {
			t.Fatalf("%v reduces again, to %v", a, again)
		}
		more := raw.Join(r.around(r.value()))
		if !more.reduce() || !a.Leq(more) {
			t.Fatalf("%+v: reduces to %v, but a larger set to %v", raw, a, more)
		}
		if j := a.Join(b); !j.Contains(x) || !j.Contains(y) || !a.Leq(j) || !b.Leq(j) {
			t.Fatalf("join of %v and %v: %v", a, b, j)
		}
		holdX := r.around(x)
		if m, ok := a.Meet(holdX); !ok || !m.Contains(x) {
			t.Fatalf("meet of %v and %v: %v %v lacks %#x", a, holdX, m, ok, x)
		}
		checkWide(t, r, a, b, x, y)
	}
}

func checkWide(t *testing.T, r wideSource, a, b Scalar, x, y uint64) {
	t.Helper()
	for _, op := range aluOps {
		for _, w := range []Width{W64, W32} {
			want := machine(op.op, bitsOf(w), op.signed, x, y)
			if got := ALU(op.op, w, op.signed, a, b); !got.Contains(want) {
				t.Fatalf("%s %s of %v (%#x) and %v (%#x): %v lacks %#x", w, op.name, a, x, b, y, got, want)
			}
			if got := ALU(op.op, w, op.signed, a, Const(y)); !got.Contains(want) {
				t.Fatalf("%s %s of %v (%#x) and %#x: %v lacks %#x", w, op.name, a, x, y, got, want)
			}
			if op.op == isa.Div || op.op == isa.Mod {
				continue
			}
			post := r.around(want)
			if !post.reduce() {
				t.Fatalf("reduction lost %#x", want)
			}
			if got, ok := Backward(op.op, w, a, post, y); !ok || !got.Contains(x) {
				t.Fatalf("%s %s by %#x gives %v, from %v: got %v %v, which lacks %#x", w, op.name, y, post, a, got, ok, x)
			}
		}
	}
	for _, op := range jmpOps {
		for _, w := range []Width{W64, W32} {
			taken := branch(op.op, bitsOf(w), x, y)
			a2, b2, ok := Assume(op.op, w, taken, a, b)
			if !ok || !a2.Contains(x) || !b2.Contains(y) {
				t.Fatalf("%s %v (%#x) %s %v (%#x): got %v and %v %v", w, a, x, op.name, b, y, a2, b2, ok)
			}
		}
	}
	for n := uint(1); n <= 64; n++ {
		if got := Trunc(a, n); !got.Contains(x << (64 - n) >> (64 - n)) {
			t.Fatalf("%v (%#x) to %d bits: %v", a, x, n, got)
		}
		if got := SignExtend(a, n); !got.Contains(uint64(int64(x<<(64-n)) >> (64 - n))) {
			t.Fatalf("%v (%#x), sign extended from %d bits: %v", a, x, n, got)
		}
		low := y&^mask(n) | x&mask(n)
		post := r.around(low)
		if !post.reduce() {
			t.Fatalf("reduction lost %#x", low)
		}
		if got, ok := a.MeetLow(post, n); !ok || !got.Contains(x) {
			t.Fatalf("%v (%#x) with low %d bits of %v: %v %v", a, x, n, post, got, ok)
		}
	}
	for _, swap := range []struct {
		n    uint
		want uint64
	}{
		{16, uint64(bits.ReverseBytes16(uint16(x)))},
		{32, uint64(bits.ReverseBytes32(uint32(x)))},
		{64, bits.ReverseBytes64(x)},
	} {
		if got := ByteSwap(a, swap.n); !got.Contains(swap.want) {
			t.Fatalf("%d bytes of %v (%#x) swapped: %v lacks %#x", swap.n, a, x, got, swap.want)
		}
	}
}

// TestWidenEnds joins into a value, again and again, a number just outside one
// of its ends, or one that differs in a known bit, and counts the steps until
// there is none. Each chain stays with one or two ways to choose the number, so
// that nothing but widening makes it short.
func TestWidenEnds(t *testing.T) {
	r := wideSource{rand.New(rand.NewSource(2))}
	th := NewThresholds(16, 64, 255, 1500, 4096, math.MaxUint16, math.MaxUint32, ^uint64(0))
	outside := []func(s Scalar) uint64{
		func(s Scalar) uint64 { return s.UMax() + 1 },
		func(s Scalar) uint64 { return s.UMin() - 1 },
		func(s Scalar) uint64 { return uint64(s.SMax() + 1) },
		func(s Scalar) uint64 { return uint64(s.SMin() - 1) },
		func(s Scalar) uint64 { return s.UMin()&^math.MaxUint32 | uint64(s.umin32-1) },
		func(s Scalar) uint64 { return s.UMin()&^math.MaxUint32 | uint64(s.umax32+1) },
		func(s Scalar) uint64 { return s.UMax()&^math.MaxUint32 | uint64(uint32(s.smin32-1)) },
		func(s Scalar) uint64 { return s.UMax()&^math.MaxUint32 | uint64(uint32(s.smax32+1)) },
		func(s Scalar) uint64 { return s.UMax() + 8 },
		func(s Scalar) uint64 { return s.UMin() ^ 1<<bits.TrailingZeros64(^s.Bits().Mask) },
		func(s Scalar) uint64 { return s.UMin() ^ 1<<max(bits.Len64(^s.Bits().Mask)-1, 0) },
	}
	// Each of eight ends passes each threshold once; each bit is lost once.
	const most = 8*9 + 64
	longest := 0
	for range 5000 {
		start := r.value()
		s := Const(start)
		ways := []int{r.Intn(len(outside)), r.Intn(len(outside))}
		steps := 0
		for fails := 0; fails < 10 && steps <= most; {
			x := outside[ways[r.Intn(2)]](s)
			if s.Contains(x) {
				fails++
				continue
			}
			fails = 0
			next := Widen(s, Const(x), &th)
			if !next.Contains(x) || !s.Leq(next) {
				t.Fatalf("widening of %v by %#x: %v", s, x, next)
			}
			s = next
			steps++
		}
		if steps > most {
			t.Fatalf("a chain from %#x by ways %v is still growing at %v", start, ways, s)
		}
		longest = max(longest, steps)
	}
	t.Logf("longest chain: %d", longest)
	if s := Widen(Const(0), Const(4), &th); !s.Bits().IsAligned(4) || s.UMax() != 16 {
		t.Errorf("0 widened by 4: %v, want the multiples of 4 up to 16", s)
	}
}

func BenchmarkOps(b *testing.B) {
	x, y := Unsigned(0, 1500), FromBits(tnum.Tnum{Value: 2, Mask: 0xfc})
	cross := Signed(-5, 100)
	top := Top()
	for _, bc := range []struct {
		name string
		f    func(a, b Scalar) Scalar
		a, b Scalar
	}{
		{"add/const", Add, Const(5), Const(9)},
		{"add/range", Add, x, y},
		{"add/offset", Add, x, Const(14)},
		{"add/top", Add, top, top},
		{"sub/cross", Sub, cross, x},
		{"and/mask", And, top, Const(0xff)},
		{"and/range", And, x, y},
		{"mul/const", Mul, x, Const(12)},
		{"lsh/const", Lsh, x, Const(3)},
		{"join", Scalar.Join, x, y},
		{"meet", func(a, b Scalar) Scalar { m, _ := a.Meet(b); return m }, x, cross},
		{"leq", func(a, b Scalar) Scalar {
			if a.Leq(b) {
				return a
			}
			return b
		}, x, top},
		{"low/top", func(a, b Scalar) Scalar { return Low(a) }, top, top},
		{"add32/range", func(a, b Scalar) Scalar { return ALU(isa.Add, W32, false, a, b) }, x, y},
		{"add64/range", func(a, b Scalar) Scalar { return ALU(isa.Add, W64, false, a, b) }, x, y},
		{"assume/lt const", func(a, b Scalar) Scalar { a, _, _ = Assume(isa.JLt, W64, true, a, b); return a }, top, Const(64)},
		{"assume/lt range", func(a, b Scalar) Scalar { a, _, _ = Assume(isa.JLt, W64, true, a, b); return a }, x, y},
		{"assume/eq const", func(a, b Scalar) Scalar { a, _, _ = Assume(isa.JEq, W64, true, a, b); return a }, x, Const(8)},
		{"assume/ne const", func(a, b Scalar) Scalar { a, _, _ = Assume(isa.JNe, W64, true, a, b); return a }, top, Const(0)},
		{"assume32/slt", func(a, b Scalar) Scalar { a, _, _ = Assume(isa.JSLt, W32, true, a, b); return a }, top, Const(64)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = bc.f(bc.a, bc.b)
			}
		})
	}
}

var sink Scalar

// TestWords reads ranges as sentences have them.
func TestWords(t *testing.T) {
	for _, tc := range []struct {
		s    Scalar
		want string
	}{
		{Const(7), "7"},
		{Const(math.MaxUint64), "-1"},
		{Top(), "unbounded"},
		{Unsigned(0, 255), "0 to 255"},
		{Lsh(Unsigned(0, 255), Const(3)), "0 to 2040 in steps of 8"},
		{Signed(-8, 8), "-8 to 8"},
		{Signed(math.MinInt64, 5), "5 or less"},
		{Unsigned(3, math.MaxInt64), "3 or more"},
		{Unsigned(1<<63-1, 1<<63+5), "0x7fffffffffffffff to 0x8000000000000005"},
	} {
		if got := tc.s.Words(); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.s, got, tc.want)
		}
	}
}
