package state

import (
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// TestLearns checks what states must know: each row is something that real
// programs are accepted for. TestWalk checks that nothing known is false.
func TestLearns(t *testing.T) {
	between := func(s *State, lo, hi uint64) Reg { return s.Fresh(scalar.Unsigned(lo, hi)) }
	atMost := func(s *State, x, y Reg, c int64) bool { d, ok := s.DiffReg(x, y); return ok && d <= c }
	num := func(s *State, r Reg, lo, hi uint64) bool { return s.Num(r).UMin() == lo && s.Num(r).UMax() == hi }
	plus := func(r Reg, c int64) Reg { r.C += c; return r }
	for _, tc := range []struct {
		name  string
		holds func(s *State) bool
	}{
		{"x & x is x", func(s *State) bool { x := s.Unknown(); return s.ALU64(isa.And, 0, x, x) == x }},
		{"x | x is x", func(s *State) bool { x := s.Unknown(); return s.ALU64(isa.Or, 0, x, x) == x }},
		{"x ^ x is 0", func(s *State) bool { x := s.Unknown(); return s.ALU64(isa.Xor, 0, x, x) == Const(0) }},
		{"w & w is its low half", func(s *State) bool { x := s.Unknown(); return s.ALU32(isa.And, 0, x, x) == s.Zext(x) }},
		{"w | w is its low half", func(s *State) bool { x := s.Unknown(); return s.ALU32(isa.Or, 0, x, x) == s.Zext(x) }},
		{"w ^ w is 0", func(s *State) bool { x := s.Unknown(); return s.ALU32(isa.Xor, 0, x, x) == Const(0) }},
		{"x − x is the constants' difference", func(s *State) bool {
			x := s.Unknown()
			return s.ALU64(isa.Sub, 0, plus(x, 7), x) == Const(7) && s.ALU32(isa.Sub, 0, x, plus(x, 1)) == Const(1<<32-1)
		}},
		{"sums do not depend on the order", func(s *State) bool {
			x, y := s.Unknown(), s.Unknown()
			return s.ALU64(isa.Add, 0, x, plus(y, 3)) == s.ALU64(isa.Add, 0, plus(y, 2), plus(x, 1))
		}},
		{"differences carry the constants", func(s *State) bool {
			x, y := s.Unknown(), s.Unknown()
			return s.ALU64(isa.Sub, 0, plus(x, 9), plus(y, 4)) == plus(s.ALU64(isa.Sub, 0, x, y), 5)
		}},
		{"up and down again extends the low bits", func(s *State) bool {
			x := s.Unknown()
			for _, bytes := range []int{1, 2, 4} {
				k := Const(uint64(64 - 8*bytes))
				up := s.ALU64(isa.Lsh, 0, x, k)
				if s.ALU64(isa.Rsh, 0, up, k) != s.Truncate(x, bytes) || s.ALU64(isa.Arsh, 0, up, k) != s.ALU64(isa.Mov, int16(8*bytes), x, x) {
					return false
				}
			}
			return true
		}},
		{"up and further down", func(s *State) bool {
			x := s.Unknown()
			up := s.ALU64(isa.Lsh, 0, x, Const(32))
			return s.ALU64(isa.Rsh, 0, up, Const(35)) == s.ALU64(isa.Rsh, 0, s.Zext(x), Const(3))
		}},
		{"a mask of bits that are shifted out", func(s *State) bool {
			x := between(s, 0, 1<<20)
			masked := s.ALU64(isa.And, 0, x, Const(^uint64(7)))
			return s.ALU64(isa.Rsh, 0, masked, Const(3)) == s.ALU64(isa.Rsh, 0, x, Const(3))
		}},
		{"equal expressions are one value", func(s *State) bool {
			x, y := s.Unknown(), s.Unknown()
			wide, again := s.ALU64(isa.Mul, 0, x, y), s.ALU64(isa.Mul, 0, x, y)
			narrow, anew := s.ALU32(isa.Mul, 0, x, y), s.ALU32(isa.Mul, 0, x, y)
			return wide == again && narrow == anew
		}},
		{"32-bit sums that fit are sums", func(s *State) bool {
			x, y := between(s, 0, 1<<31), between(s, 0, 1<<31-1)
			return s.ALU32(isa.Add, 0, x, y) == s.ALU64(isa.Add, 0, x, y)
		}},
		{"32-bit differences that fit are differences", func(s *State) bool {
			x, y := between(s, 0, 1<<32-1), between(s, 0, 1<<32-1)
			return s.Assume(isa.JGe, false, true, x, y) && s.ALU32(isa.Sub, 0, x, y) == s.ALU64(isa.Sub, 0, x, y)
		}},
		{"the low half of a low half and a constant", func(s *State) bool {
			x := s.Unknown()
			return s.Zext(plus(s.Zext(x), 5)) == s.Zext(plus(x, 5))
		}},
		{"a truncation of what fits", func(s *State) bool {
			x := between(s, 0, 255)
			return s.Truncate(x, 1) == x && s.Truncate(x, 2) == x && s.Zext(x) == x
		}},
		{"a sign extension of what fits", func(s *State) bool {
			x := s.Fresh(scalar.Signed(-128, 127))
			return s.ALU64(isa.Mov, 8, x, x) == x
		}},

		{"x & y is at most x, and at most y", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			v := s.ALU64(isa.And, 0, x, y)
			return atMost(s, v, x, 0) && atMost(s, v, y, 0)
		}},
		{"x & x−1 is below x", func(s *State) bool {
			x := between(s, 1, 1<<40)
			return atMost(s, s.ALU64(isa.And, 0, x, plus(x, -1)), x, -1) && atMost(s, s.ALU64(isa.And, 0, plus(x, -1), x), x, -1)
		}},
		{"x >> 1 is below x", func(s *State) bool {
			x, y := between(s, 1, 1<<40), between(s, 0, 1<<40)
			return atMost(s, s.ALU64(isa.Rsh, 0, x, Const(1)), x, -1) && atMost(s, s.ALU64(isa.Rsh, 0, y, Const(1)), y, 0)
		}},
		{"x / 2 is below x", func(s *State) bool {
			x, y := between(s, 1, 1<<40), between(s, 0, 1<<40)
			return atMost(s, s.ALU64(isa.Div, 0, x, Const(3)), x, -1) && atMost(s, s.ALU64(isa.Div, 0, y, Const(3)), y, 0)
		}},
		{"x % y is at most x and below y", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 1, 1<<40)
			v := s.ALU64(isa.Mod, 0, x, y)
			return atMost(s, v, x, 0) && atMost(s, v, y, -1)
		}},
		{"a sum is at least its parts", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 5, 1<<40)
			v := s.ALU64(isa.Add, 0, x, y)
			return atMost(s, x, v, -5) && atMost(s, y, v, 0)
		}},
		{"a difference is at most what it is of", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 5, 1<<40)
			return atMost(s, s.ALU64(isa.Sub, 0, x, y), x, -5)
		}},
		{"the middle lies between", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			if !s.Assume(isa.JLt, false, true, x, y) {
				return false
			}
			v := s.ALU64(isa.Rsh, 0, s.ALU64(isa.Add, 0, x, y), Const(1))
			return atMost(s, x, v, 0) && atMost(s, v, y, -1)
		}},

		{"a copy less a constant", func(s *State) bool {
			x := between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, plus(x, 8), Const(64)) && num(s, x, 0, 56)
		}},
		{"a result teaches its operand", func(s *State) bool {
			x := between(s, 0, 1<<40)
			y := s.ALU64(isa.Rsh, 0, plus(x, 4), Const(3))
			return s.Assume(isa.JLt, false, true, y, Const(4)) && s.Num(x).UMax() == 27
		}},
		{"the low half teaches the whole", func(s *State) bool {
			x := s.Unknown()
			w := s.Zext(x)
			return s.Assume(isa.JLe, false, true, x, Const(100)) && num(s, w, 0, 100)
		}},
		{"a sum teaches both parts", func(s *State) bool {
			x, y := between(s, 0, 100), between(s, 0, 100)
			v := s.ALU64(isa.Add, 0, x, y)
			return s.Assume(isa.JLe, false, true, v, Const(10)) && num(s, x, 0, 10) && num(s, y, 0, 10)
		}},
		{"a difference teaches both parts", func(s *State) bool {
			x, y := between(s, 0, 100), between(s, 50, 60)
			v := s.ALU64(isa.Sub, 0, x, y)
			return s.Assume(isa.JSGe, false, true, v, Const(30)) && num(s, x, 80, 100)
		}},
		{"a difference teaches what is taken away", func(s *State) bool {
			x, y := between(s, 50, 60), between(s, 0, 100)
			v := s.ALU64(isa.Sub, 0, x, y)
			return s.Assume(isa.JSGe, false, true, v, Const(30)) && num(s, y, 0, 30)
		}},
		{"operands teach results", func(s *State) bool {
			x := s.Unknown()
			v := s.ALU64(isa.Lsh, 0, x, Const(3))
			return s.Assume(isa.JLe, false, true, x, Const(5)) && num(s, v, 0, 40)
		}},
		{"bounds carry over", func(s *State) bool {
			x, y, z := between(s, 0, 1<<40), between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLt, false, true, x, y) && s.Assume(isa.JLe, false, true, plus(y, 3), z) && atMost(s, x, z, -4)
		}},
		{"a bound teaches the lesser", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, x, y) && s.Assume(isa.JLe, false, true, y, Const(9)) && num(s, x, 0, 9)
		}},
		{"a bound teaches the greater", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, x, y) && s.Assume(isa.JGe, false, true, x, Const(9)) && num(s, y, 9, 1<<40)
		}},
		{"the tighter of two bounds", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, x, plus(y, 5)) && s.Assume(isa.JLe, false, true, x, plus(y, 9)) && atMost(s, x, y, 5)
		}},
		{"not equal, at most: less", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, x, y) && s.Assume(isa.JNe, false, true, x, y) && atMost(s, x, y, -1)
		}},
		{"not equal, at least: greater", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JGe, false, true, x, y) && s.Assume(isa.JNe, false, true, x, y) && atMost(s, y, x, -1)
		}},
		{"what contradicts a bound is impossible", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLt, false, true, x, y) && !s.Assume(isa.JGe, false, true, x, y)
		}},
		{"what contradicts both bounds is impossible", func(s *State) bool {
			x, y := between(s, 0, 1<<40), between(s, 0, 1<<40)
			return s.Assume(isa.JLe, false, true, x, y) && s.Assume(isa.JGe, false, true, x, y) && !s.Clone().Assume(isa.JNe, false, true, x, y)
		}},
		{"equal values are one", func(s *State) bool {
			x, y := s.Unknown(), s.Unknown()
			s.SetReg(1, x)
			s.SetReg(2, plus(y, 3))
			return s.Assume(isa.JEq, false, true, x, plus(y, 3)) && s.Reg(1) == s.Reg(2)
		}},
		{"what is found equal to the packet's end", func(s *State) bool {
			x := between(s, 0, 1<<14)
			s.SetReg(1, x)
			return s.Assume(isa.JEq, false, true, x, Reg{Kind: Scalar, V: PacketLen}) && s.Reg(1).V == PacketLen
		}},
		{"what is found equal to the metadata's end", func(s *State) bool {
			x := between(s, 0, 1<<14)
			s.SetReg(1, x)
			return s.Assume(isa.JEq, false, true, Reg{Kind: Scalar, V: MetaLen}, x) && s.Reg(1).V == MetaLen
		}},
		{"a defined value found equal to the packet's end", func(s *State) bool {
			x := s.ALU64(isa.Mul, 0, between(s, 0, 1<<14), Const(4))
			s.SetReg(1, x)
			return s.Assume(isa.JEq, false, true, Reg{Kind: Scalar, V: PacketLen}, x) && s.Reg(1).V == PacketLen
		}},
		{"a sum's part that gets another name", func(s *State) bool {
			x, y, z := between(s, 0, 200), between(s, 0, 10), s.ALU64(isa.Mul, 0, between(s, 0, 100), Const(2))
			v := s.ALU64(isa.Add, 0, x, y)
			s.SetReg(1, v)
			s.SetReg(2, z)
			if !s.Assume(isa.JEq, false, true, x, plus(z, 4)) || !s.Assume(isa.JGe, false, true, s.Reg(1), Const(100)) {
				return false
			}
			return s.Num(s.Reg(2)).Contains(86) // 86 + 4 + 10
		}},
		{"a difference's part that gets another name", func(s *State) bool {
			x, y, z := between(s, 0, 200), between(s, 0, 10), s.ALU64(isa.Mul, 0, between(s, 0, 100), Const(2))
			v := s.ALU64(isa.Sub, 0, x, y)
			s.SetReg(1, v)
			s.SetReg(2, z)
			if !s.Assume(isa.JEq, false, true, x, plus(z, 4)) || !s.Assume(isa.JSGe, false, true, s.Reg(1), Const(100)) {
				return false
			}
			return s.Num(s.Reg(2)).Contains(96) // 96 + 4 − 0
		}},
		{"bounds of a value that gets another name", func(s *State) bool {
			x, y, z := between(s, 0, 1<<40), between(s, 0, 1<<40), between(s, 0, 1<<40)
			s.SetReg(1, x)
			s.SetReg(2, y)
			s.SetReg(3, z)
			if !s.Assume(isa.JLt, false, true, x, z) || !s.Assume(isa.JLt, false, true, z, plus(y, 10)) || !s.Assume(isa.JEq, false, true, x, plus(y, 4)) {
				return false
			}
			return atMost(s, s.Reg(2), s.Reg(3), -5) && atMost(s, s.Reg(3), s.Reg(1), 5)
		}},

		{"bytes of a stored number", func(s *State) bool {
			x := s.Unknown()
			s.Store(0, -8, 8, x)
			return s.Load(0, -8, 8) == x && s.Load(0, -8, 4) == s.Zext(x) &&
				s.Load(0, -4, 4) == s.ALU64(isa.Rsh, 0, x, Const(32)) && s.Load(0, -1, 1) == s.ALU64(isa.Rsh, 0, x, Const(56))
		}},
		{"constants side by side", func(s *State) bool {
			s.Store(0, -8, 4, Const(0x11223344))
			s.Store(0, -4, 4, Const(0x55667788))
			return s.Load(0, -8, 8) == Const(0x5566778811223344) && s.Load(0, -6, 4) == Const(0x77881122)
		}},
		{"a gap between constants", func(s *State) bool {
			s.Store(0, -8, 2, Const(1))
			s.Store(0, -4, 4, Const(1))
			return !s.Load(0, -8, 8).IsConst()
		}},
		{"a byte over a constant", func(s *State) bool {
			s.Store(0, -8, 8, Const(0x1122334455667788))
			s.Store(0, -5, 1, Const(0))
			return s.Load(0, -8, 8) == Const(0x1122334400667788) && s.Load(0, -4, 4) == Const(0x11223344)
		}},
		{"pointers on the stack", func(s *State) bool {
			s.Store(0, -16, 8, s.Reg(10))
			m := &s.Frames[0].Stack
			return m.HasPointer(-16, 1) && m.HasPointer(-9, 1) && !m.HasPointer(-8, 8) && !m.HasPointer(-24, 8)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := New(&Pool{}, 0, 1<<16)
			if !tc.holds(s) {
				t.Errorf("not known in%v", s)
			}
		})
	}
}

// TestJoinKeeps checks what a join of two states must still know.
func TestJoinKeeps(t *testing.T) {
	for _, tc := range []struct {
		name     string
		widening bool
		make     func(s *State, which int)
		holds    func(s *State) bool
	}{
		{"a bound that both have", false, func(s *State, which int) {
			x, y := s.Fresh(scalar.Unsigned(0, 1<<40)), s.Fresh(scalar.Unsigned(0, 1<<40))
			s.Assume(isa.JLe, false, true, Reg{Kind: Scalar, V: x.V, C: int64(2 + which)}, y)
			s.SetReg(1, x)
			s.SetReg(2, y)
		}, func(s *State) bool { d, ok := s.DiffReg(s.Reg(1), s.Reg(2)); return ok && d == -2 }},
		{"the looser of two bounds, the other way", false, func(s *State, which int) {
			x, y := s.Fresh(scalar.Unsigned(0, 1<<40)), s.Fresh(scalar.Unsigned(0, 1<<40))
			s.Assume(isa.JLe, false, true, Reg{Kind: Scalar, V: x.V, C: int64(3 - which)}, y)
			s.SetReg(1, x)
			s.SetReg(2, y)
		}, func(s *State) bool { d, ok := s.DiffReg(s.Reg(1), s.Reg(2)); return ok && d == -2 }},
		{"a bound of one that the other's ranges have", false, func(s *State, which int) {
			x, y := s.Fresh(scalar.Unsigned(0, 1<<40)), s.Fresh(scalar.Unsigned(0, 1<<40))
			if which == 1 {
				x, y = s.Fresh(scalar.Unsigned(0, 5)), s.Fresh(scalar.Unsigned(10, 20))
			}
			s.Assume(isa.JLe, false, true, Reg{Kind: Scalar, V: x.V, C: 2}, y)
			s.SetReg(1, x)
			s.SetReg(2, y)
		}, func(s *State) bool { d, ok := s.DiffReg(s.Reg(1), s.Reg(2)); return ok && d == -2 }},
		{"a bound that the ranges of the other have", false, func(s *State, which int) {
			x, y := s.Fresh(scalar.Unsigned(0, 1<<40)), s.Fresh(scalar.Unsigned(0, 1<<40))
			if which == 0 {
				x, y = s.Fresh(scalar.Unsigned(0, 5)), s.Fresh(scalar.Unsigned(10, 20))
			}
			s.Assume(isa.JLe, false, true, Reg{Kind: Scalar, V: x.V, C: 2}, y)
			s.SetReg(1, x)
			s.SetReg(2, y)
		}, func(s *State) bool { d, ok := s.DiffReg(s.Reg(1), s.Reg(2)); return ok && d == -2 }},
		{"a constant distance", false, func(s *State, which int) {
			s.SetReg(1, Const(uint64(10*which)))
			s.SetReg(2, Const(uint64(10*which+3)))
		}, func(s *State) bool {
			a, b := s.Reg(1), s.Reg(2)
			return a.V == b.V && b.C-a.C == 3 && s.Num(a).UMax() == 10
		}},
		{"a definition", false, func(s *State, which int) {
			x := s.Fresh(scalar.Unsigned(0, uint64(100+which)))
			s.SetReg(1, x)
			s.SetReg(2, s.ALU64(isa.Lsh, 0, x, Const(3)))
		}, func(s *State) bool {
			return s.Assume(isa.JLe, false, true, s.Reg(1), Const(2)) && s.Num(s.Reg(2)).UMax() == 16
		}},
		{"a multiple", true, func(s *State, which int) {
			s.SetReg(1, Const(uint64(2*which)))
			s.SetReg(2, Const(uint64(16*which+24)))
		}, func(s *State) bool {
			return s.Assume(isa.JLe, false, true, s.Reg(1), Const(5)) && s.Num(s.Reg(2)).UMax() == 56
		}},
		{"the metadata's end", false, func(s *State, which int) {
			s.SetReg(1, Reg{Kind: PacketMeta, Obj: s.PacketObj(true), V: MetaLen})
		}, func(s *State) bool { return s.Reg(1).V == MetaLen && s.Reg(1).C == 0 }},
		{"the packet's bytes", false, func(s *State, which int) {
			s.Assume(isa.JGe, false, true, Reg{Kind: Scalar, V: PacketLen}, Const(uint64(14+which)))
		}, func(s *State) bool { return s.Vals[PacketLen].Num.UMin() == 14 }},
		{"an address and the packet's end", false, func(s *State, which int) {
			x := s.Fresh(scalar.Unsigned(0, 1<<14))
			s.Assume(isa.JLe, false, true, Reg{Kind: Scalar, V: x.V, C: int64(14 + which)}, Reg{Kind: Scalar, V: PacketLen})
			s.SetReg(1, Reg{Kind: Packet, Obj: s.PacketObj(false), V: x.V})
		}, func(s *State) bool {
			d, ok := s.DiffReg(Reg{Kind: Scalar, V: s.Reg(1).V, C: s.Reg(1).C}, Reg{Kind: Scalar, V: PacketLen})
			return ok && d == -14
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pool := &Pool{}
			var ms [2]*State
			for i := range ms {
				ms[i] = New(pool, 0, 1<<16)
				tc.make(ms[i], i)
				ms[i].Canon()
			}
			merge := Union
			if tc.widening {
				merge = Widening(&scalar.Thresholds{})
			}
			if u := Join(ms[0], ms[1], merge, tc.widening); !tc.holds(u) {
				t.Errorf("not known in%v\nof%v\nand%v", u, ms[0], ms[1])
			}
		})
	}
}

// TestSheds checks which results surely have fewer bits than their operand.
func TestSheds(t *testing.T) {
	s := New(&Pool{}, 0, 1<<16)
	x, y := s.Fresh(scalar.Unsigned(1, 1<<40)), s.Fresh(scalar.Unsigned(1, 1<<40))
	zero := s.Fresh(scalar.Unsigned(0, 1<<40))
	less := func(r Reg) Reg { r.C--; return r }
	amount := s.Fresh(scalar.Unsigned(1, 63))
	for _, tc := range []struct {
		name string
		then Reg
		now  Reg
		want bool
	}{
		{"x >> 1", x, s.ALU64(isa.Rsh, 0, x, Const(1)), true},
		{"x >> 1 to 63", x, s.ALU64(isa.Rsh, 0, x, amount), true},
		{"x >> 0 to 62", x, s.ALU64(isa.Rsh, 0, x, less(amount)), false},
		{"x s>> 1", x, s.ALU64(isa.Arsh, 0, x, Const(1)), false},
		{"x & x−1", x, s.ALU64(isa.And, 0, x, less(x)), true},
		{"x−1 & x", x, s.ALU64(isa.And, 0, less(x), x), true},
		{"y & x−1", x, s.ALU64(isa.And, 0, y, less(x)), false},
		{"x & y−1", x, s.ALU64(isa.And, 0, x, less(y)), false},
		{"x & x−2", x, s.ALU64(isa.And, 0, x, less(less(x))), false},
		{"y >> 1", x, s.ALU64(isa.Rsh, 0, y, Const(1)), false},
		{"x−1 >> 1", x, s.ALU64(isa.Rsh, 0, less(x), Const(1)), false},
		{"x itself", x, x, false},
		{"0 >> 1", zero, s.ALU64(isa.Rsh, 0, zero, Const(1)), false},
		{"x >> 1, and one more", x, func() Reg { r := s.ALU64(isa.Rsh, 0, x, Const(1)); r.C++; return r }(), false},
	} {
		if got := s.Sheds(tc.then, tc.now); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestSame checks which differences of shape keep states apart.
func TestSame(t *testing.T) {
	value := func(s *State, size uint32, null bool) Reg {
		return Reg{Kind: MapValue, Obj: s.NewObj(Obj{Kind: MapValue, Size: size, Nullable: null})}
	}
	base := func(s *State) {
		a, b := value(s, 8, false), value(s, 8, false)
		s.SetReg(1, a)
		s.SetReg(2, b)
		s.SetReg(3, a)
		s.SetReg(4, s.Unknown())
		s.Store(0, -8, 8, b)
	}
	for _, tc := range []struct {
		name   string
		change func(s *State)
		same   bool
	}{
		{"nothing", func(s *State) {}, true},
		{"a number", func(s *State) { s.SetReg(4, Const(3)) }, true},
		{"a number on the stack", func(s *State) { s.Store(0, -16, 8, Const(3)) }, true},
		{"a number for nothing", func(s *State) { s.SetReg(4, Reg{}) }, false},
		{"a pointer for a number", func(s *State) { s.SetReg(4, s.Reg(1)) }, false},
		{"another of the objects", func(s *State) { s.SetReg(3, s.Reg(2)) }, false},
		{"another of the objects on the stack", func(s *State) { s.Store(0, -8, 8, s.Reg(1)) }, false},
		{"elsewhere on the stack", func(s *State) { s.Store(0, -8, 8, Const(0)); s.Store(0, -16, 8, s.Reg(2)) }, false},
		{"one more on the stack", func(s *State) { s.Store(0, -16, 8, s.Reg(2)) }, false},
		{"the object's size", func(s *State) { s.Objs[s.Reg(1).Obj].Size = 16 }, false},
		{"whether it may be null", func(s *State) { s.Objs[s.Reg(1).Obj].Nullable = true }, false},
		{"a reference that nothing points to", func(s *State) { s.NewObj(Obj{Kind: RingBufMem, Ref: true}) }, false},
		{"a lock", func(s *State) { s.Held.Lock = s.Reg(1).Obj }, false},
		{"where the lock lies", func(s *State) { s.Held.LockOff = 4 }, false},
		{"the RCU read lock", func(s *State) { s.Held.RCU = true }, false},
		{"preemption", func(s *State) { s.Held.Preempt = 1 }, false},
		{"a frame", func(s *State) { s.Push(1, 5, Subprogram) }, false},
		{"a mark", func(s *State) { s.Ghosts = append(s.Ghosts, Ghost{Loop: 1, Reg: Const(0)}) }, false},
		{"ends of the packet", func(s *State) { s.SetReg(4, Reg{Kind: Scalar, V: MetaLen, C: 1}); s.SetReg(3, s.Reg(1)) }, true},
		{"the packet", func(s *State) { s.SetReg(5, Reg{Kind: Packet, Obj: s.PacketObj(false)}) }, false},
	} {
		pool := &Pool{}
		s, u := New(pool, 0, 1<<16), New(pool, 0, 1<<16)
		base(s)
		base(u)
		tc.change(u)
		s.Canon()
		u.Canon()
		if got := s.Same(u) && u.Same(s); got != tc.same {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.same)
		}
		if v := u.Clone(); !u.Same(v) || !u.Leq(v) {
			t.Errorf("%s: not below itself", tc.name)
		}
	}
	// The same frames, entered from elsewhere.
	for _, f := range []Frame{{Func: 2, Call: 5}, {Func: 1, Call: 6}, {Func: 1, Call: 5, Kind: CallbackBody}, {Func: 1, Call: 5, Refs: 1}} {
		pool := &Pool{}
		s, u := New(pool, 0, 1<<16), New(pool, 0, 1<<16)
		s.Push(1, 5, Subprogram)
		u.Push(f.Func, f.Call, f.Kind)
		u.Top().Refs = f.Refs
		if s.Same(u) {
			t.Errorf("frame of function %d, called at %d, kind %d, with %d references", f.Func, f.Call, f.Kind, f.Refs)
		}
	}
}

// TestLeq checks which states describe more than others: the first of each row
// is below the second, or is not.
func TestLeq(t *testing.T) {
	unknown := func(s *State) {
		s.SetReg(1, s.Unknown())
		s.SetReg(2, s.Fresh(scalar.Unsigned(0, 1<<32-1)))
	}
	low := func(s *State) {
		x := s.Unknown()
		s.SetReg(1, x)
		s.SetReg(2, s.Zext(x))
	}
	number := func(lo, hi uint64) func(*State) {
		return func(s *State) {
			s.SetReg(1, s.Fresh(scalar.Unsigned(lo, hi)))
			s.SetReg(2, s.Fresh(scalar.Unsigned(0, 9)))
		}
	}
	ordered := func(c int64) func(*State) {
		return func(s *State) {
			x, y := s.Fresh(scalar.Unsigned(0, 1<<40)), s.Fresh(scalar.Unsigned(0, 1<<40))
			s.Assume(isa.JLe, false, true, x, Reg{Kind: Scalar, V: y.V, C: c})
			s.SetReg(1, x)
			s.SetReg(2, y)
		}
	}
	copies := func(s *State) {
		s.SetReg(1, s.Unknown())
		s.SetReg(2, s.Reg(1))
	}
	apart := func(s *State) {
		s.SetReg(1, s.Unknown())
		s.SetReg(2, s.Unknown())
	}
	constants := func(a, b uint64) func(*State) {
		return func(s *State) {
			s.SetReg(1, Const(a))
			s.SetReg(2, Const(b))
		}
	}
	written := func(n int) func(*State) { return func(s *State) { unknown(s); s.Frames[0].Stack.Forget(-n, n) } }
	does := func(op isa.ALUOp, n, most uint64) func(*State) {
		return func(s *State) {
			x := s.Fresh(scalar.Unsigned(0, most))
			s.SetReg(1, x)
			s.SetReg(2, s.ALU64(op, 0, x, Const(n)))
		}
	}
	by := func(n uint64) func(*State) { return does(isa.Mul, n, 100) }
	times := by(8)
	for _, tc := range []struct {
		name string
		s, t func(*State)
		want bool
	}{
		{"a low half is a number", low, unknown, true},
		{"a number is no low half", unknown, low, false},
		{"the low half of a constant", constants(1<<32+5, 5), low, true},
		{"not the low half of a constant", constants(1<<32+5, 6), low, false},
		{"fewer numbers", number(3, 7), number(2, 8), true},
		{"more numbers", number(2, 8), number(3, 7), false},
		{"a tighter bound", ordered(3), ordered(4), true},
		{"a looser bound", ordered(4), ordered(3), false},
		{"constants within a bound", constants(7, 3), ordered(4), true},
		{"constants outside of a bound", constants(8, 3), ordered(4), false},
		{"copies are two numbers", copies, apart, true},
		{"two numbers are no copies", apart, copies, false},
		{"equal constants are copies", constants(4, 4), copies, true},
		{"other constants are no copies", constants(4, 5), copies, false},
		{"a multiple", constants(4, 32), times, true},
		{"not a multiple", constants(4, 33), times, false},
		{"a lesser multiple", by(4), times, false},
		{"another multiple of fewer numbers", does(isa.Mul, 12, 2), by(6), false},
		{"a multiple of fewer numbers", does(isa.Mul, 6, 2), by(6), true},
		{"a product is no quotient", by(7), does(isa.Div, 7, 1<<20), false},
		{"a product is no sum of bits", by(6), does(isa.Xor, 6, 1<<20), false},
		{"multiples are numbers", times, number(0, 100), false},
		{"more stack is written", written(16), written(8), true},
		{"less stack is written", written(8), written(16), false},
	} {
		pool := &Pool{}
		s, u := New(pool, 0, 1<<16), New(pool, 0, 1<<16)
		tc.s(s)
		tc.t(u)
		s.Canon()
		u.Canon()
		if !s.Same(u) {
			t.Errorf("%s: not of one shape", tc.name)
		} else if got := s.Leq(u); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
