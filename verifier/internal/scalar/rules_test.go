//go:build !smallwidth

package scalar

import (
	"math"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/tnum"
)

// neg is −x as a 64-bit value.
func neg(x uint64) uint64 { return -x }

// assumed is Assume against a constant, for edges that are feasible.
func assumed(t *testing.T, op isa.JmpOp, w Width, taken bool, a Scalar, c uint64) Scalar {
	t.Helper()
	a, _, ok := Assume(op, w, taken, a, Const(c))
	if !ok {
		t.Fatal("the edge is held impossible")
	}
	return a
}

// TestPublishedBugs has, for each unsoundness once published about a rule of
// this domain, values that the wrong rule lost.
func TestPublishedBugs(t *testing.T) {
	topHigh := tnum.Tnum{Mask: math.MaxUint32 << 32} // low half 0, high half not known
	for _, tc := range []struct {
		name string
		got  func() Scalar
		has  []uint64
	}{
		{"CVE-2017-16995: the immediate of MOV32 is zero-extended",
			func() Scalar { return ALU(isa.Mov, W32, false, Top(), Const(neg(1))) }, []uint64{math.MaxUint32}},
		{"CVE-2017-16996: bounds do not survive truncation",
			func() Scalar { return Low(Unsigned(math.MaxUint32, math.MaxUint32+2)) }, []uint64{0, 1, math.MaxUint32}},
		{"CVE-2018-18445: RSH32 shifts the low half",
			func() Scalar { return ALU(isa.Rsh, W32, false, Unsigned(1<<32, 1<<32|0xff), Const(4)) }, []uint64{0, 15}},
		{"CVE-2020-8835: a 32-bit comparison says nothing about the high half",
			func() Scalar { return assumed(t, isa.JLe, W32, true, Unsigned(1, 1<<33), 1) }, []uint64{1, 1 << 32, 1<<32 + 1, 1 << 33}},
		{"CVE-2020-27194: OR32 works on the low halves",
			func() Scalar { return ALU(isa.Or, W32, false, Unsigned(1, 1<<33), Const(0)) }, []uint64{0, 1, math.MaxUint32}},
		{"CVE-2021-3444: MOD32 by zero truncates",
			func() Scalar { return ALU(isa.Mod, W32, false, Unsigned(1<<32|5, 1<<32|6), Const(0)) }, []uint64{5, 6}},
		{"CVE-2021-3490: low halves known, high halves not: AND",
			func() Scalar {
				return And(FromBits(topHigh.Or(tnum.Const(3))), FromBits(topHigh.Or(tnum.Const(5))))
			}, []uint64{1, math.MaxUint32<<32 | 1}},
		{"CVE-2021-3490: OR",
			func() Scalar {
				return Or(FromBits(topHigh.Or(tnum.Const(3))), FromBits(topHigh.Or(tnum.Const(5))))
			}, []uint64{7, math.MaxUint32<<32 | 7}},
		{"CVE-2021-3490: XOR",
			func() Scalar {
				return Xor(FromBits(topHigh.Or(tnum.Const(3))), FromBits(topHigh.Or(tnum.Const(5))))
			}, []uint64{6, math.MaxUint32<<32 | 6}},
		{"CVE-2021-3600: a divisor that is a multiple of 2^32 is zero to DIV32",
			func() Scalar { return ALU(isa.Div, W32, false, Const(7), Unsigned(1<<32, 1<<32|2)) }, []uint64{0, 7, 3}},
		{"CVE-2021-3600: the same for MOD32",
			func() Scalar { return ALU(isa.Mod, W32, false, Const(7), Unsigned(1<<32, 1<<32|2)) }, []uint64{7, 0, 1}},
		{"CVE-2021-31440: ends with different high halves do not bound the low half",
			func() Scalar { return Low(Unsigned(1<<32|1, 2<<32|5)) }, []uint64{0, 1, 6, math.MaxUint32}},
		{"CVE-2021-45402: MOV32 of a negative number",
			func() Scalar { return ALU(isa.Mov, W32, false, Top(), Signed(-1, 0)) }, []uint64{0, math.MaxUint32}},
		{"a 32-bit MOVSX zero-extends its result",
			func() Scalar { return Low(SignExtend(Const(0x80), 8)) }, []uint64{0xffffff80}},
		{"a sign-extending load is signed",
			func() Scalar { return SignExtend(Unsigned(0, 255), 8) }, []uint64{0, 127, neg(128), neg(1)}},
		{"JSET at 32 bits says nothing about the high half",
			func() Scalar { return assumed(t, isa.JSet, W32, false, Top(), neg(1)) }, []uint64{0, 1 << 32, neg(1) << 32}},
		{"SDIV by −1 of the least number",
			func() Scalar { return SDiv(Signed(math.MinInt64, math.MinInt64+1), Signed(-1, 1)) },
			[]uint64{1 << 63, math.MaxInt64, 0}},
		{"SDIV32 by −1 of the least number",
			func() Scalar { return ALU(isa.Div, W32, true, Const(1<<31), Signed(-1, -1)) }, []uint64{1 << 31}},
	} {
		got := tc.got()
		for _, x := range tc.has {
			if !got.Contains(x) {
				t.Errorf("%s: got %v, which lacks %#x", tc.name, got, x)
			}
		}
	}
}

// TestPrecision has the facts that programs rely on to be accepted.
func TestPrecision(t *testing.T) {
	err := Const(neg(22)).Join(Const(0))
	err32 := Const(neg(22) & math.MaxUint32).Join(Const(0))
	for _, tc := range []struct {
		name       string
		got        Scalar
		umin, umax uint64
	}{
		{"x mod 10", Mod(Top(), Const(10)), 0, 9},
		{"x mod 10 at 32 bits", ALU(isa.Mod, W32, false, Top(), Const(10)), 0, 9},
		{"(x & 255) / 5", Div(And(Top(), Const(255)), Const(5)), 0, 51},
		{"1 << (x & 3)", Lsh(Const(1), And(Top(), Const(3))), 1, 8},
		{"y >> (x & 3), y up to 64", Rsh(Unsigned(0, 64), And(Top(), Const(3))), 0, 64},
		{"y >> x, y up to 64", Rsh(Unsigned(0, 64), Top()), 0, 64},
		{"ntohs(x)", ByteSwap(Top(), 16), 0, 65535},
		{"unknown 32-bit result", ALU(isa.Mul, W32, false, Top(), Top()), 0, math.MaxUint32},
		{"x = 4k, x > 5", assumed(t, isa.JGt, W64, true, FromBits(tnum.Tnum{Mask: ^uint64(3)}), 5), 8, neg(4)},
		{"x & 0xe, low bits tested", assumed(t, isa.JSet, W64, true, And(Top(), Const(0xe)), 7), 2, 14},
		{"x != 0", assumed(t, isa.JNe, W64, true, Unsigned(0, 9), 0), 1, 9},
		{"x << 32 s>> 32, x in 1..5 at 32 bits",
			Arsh(Lsh(assumed(t, isa.JLe, W32, true, assumed(t, isa.JGe, W32, true, Top(), 1), 5), Const(32)), Const(32)), 1, 5},
		{"the status after err != 0", assumed(t, isa.JNe, W64, true, err, 0), neg(22), neg(22)},
		{"the status after err32 != 0", assumed(t, isa.JNe, W32, true, err32, 0), neg(22) & math.MaxUint32, neg(22) & math.MaxUint32},
		{"~x, x up to 9", Xor(Unsigned(0, 9), Const(neg(1))), neg(10), neg(1)},
		{"x << y, x of 1 to 3, y up to 20", Lsh(Unsigned(1, 3), Unsigned(0, 20)), 1, 3 << 20},
		{"low byte of 259 to 265", Trunc(Unsigned(259, 265), 8), 3, 9},
		{"x ^ y, x up to 1, y from 127", Xor(Unsigned(0, 1), Unsigned(127, 129)), 126, 130},
		{"y ^ x, x up to 1, y from 127", Xor(Unsigned(127, 129), Unsigned(0, 1)), 126, 130},
	} {
		if tc.got.UMin() != tc.umin || tc.got.UMax() != tc.umax {
			t.Errorf("%s: got %v, want %#x to %#x", tc.name, tc.got, tc.umin, tc.umax)
		}
	}
	// err is one of −22 and 0: it cannot be nonzero and not negative.
	for _, tc := range []struct {
		w   Width
		err Scalar
	}{{W64, err}, {W32, err}, {W32, err32}} {
		nonzero := assumed(t, isa.JNe, tc.w, true, tc.err, 0)
		if left, _, ok := Assume(isa.JSGe, tc.w, true, nonzero, Const(0)); ok {
			t.Errorf("%s: %v, neither zero nor negative: got %v", tc.w, tc.err, left)
		}
	}
}

// TestString compares with lines that Linux 6.18 logged for programs that
// compute the same.
func TestString(t *testing.T) {
	for _, tc := range []struct {
		s    Scalar
		want string
	}{
		{Const(40000), "0x9c40"},
		{Const(neg(40000)), "0xffffffffffff63c0"},
		{assumed(t, isa.JSLe, W64, true, Top(), neg(6)),
			"scalar(smax=-6,umin=0x8000000000000000,umax=0xfffffffffffffffa,var_off=(0x8000000000000000; 0x7fffffffffffffff))"},
		{Lsh(Signed(-5, 100), Const(32)),
			"scalar(smin=0xfffffffb00000000,smax=0x6400000000,umax=0xffffffff00000000,smin32=0,smax32=umax32=0,var_off=(0x0; 0xffffffff00000000))"},
		{Arsh(Low(Top()), Const(3)), "scalar(smin=smin32=0,smax=umax=smax32=umax32=0x1fffffff,var_off=(0x0; 0x1fffffff))"},
		{Const(14), "14"},
		{Const(neg(1)), "-1"},
		{Const(65536), "0x10000"},
		{Top(), "scalar()"},
		{Unsigned(0, 255), "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))"},
		{Mul(Unsigned(0, 255), Const(4)), "scalar(smin=smin32=0,smax=umax=smax32=umax32=1020,var_off=(0x0; 0x3fc))"},
		{Add(Mul(Unsigned(0, 255), Const(4)), Const(14)),
			"scalar(smin=umin=smin32=umin32=14,smax=umax=smax32=umax32=1034,var_off=(0x2; 0x7fc))"},
		{Low(Top()), "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))"},
		{Signed(-5, 100), "scalar(smin=smin32=-5,smax=smax32=100)"},
	} {
		if got := tc.s.String(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}
