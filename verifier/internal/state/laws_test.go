package state

import (
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A body is what a loop does in one iteration: random operations on R0 to R8
// and eight cells of the stack, which hold numbers throughout, and on R9, which
// points into the packet.
type body struct{ r *rand.Rand }

// newState returns a state with numbers everywhere, and a note of some as a
// loop makes it.
func (b body) newState() *State {
	s := New(&Pool{}, 0, 1<<16)
	for r := range uint8(9) {
		s.SetReg(r, b.number(s))
	}
	s.SetReg(9, Reg{Kind: Packet, Obj: s.PacketObj(false)})
	for i := range 8 {
		s.Store(0, -8*(i+1), 8, b.number(s))
	}
	s.Ghosts = append(s.Ghosts,
		Ghost{Loop: 1, Place: Place{0, 6}, Reg: s.Reg(6)},
		Ghost{Loop: 1, Place: Place{0, 7}, Reg: s.Reg(7)})
	s.Canon()
	return s
}

func (b body) number(s *State) Reg {
	x := b.r.Uint64() >> b.r.IntN(64)
	switch b.r.IntN(5) {
	case 0:
		return s.Unknown()
	case 1:
		return s.Fresh(scalar.Unsigned(0, x))
	case 2:
		return s.Fresh(scalar.Signed(-int64(x>>1), int64(x>>1)))
	}
	return Const(uint64(b.r.IntN(20)) - 5)
}

// step does one operation. It reports false if the state describes no run any
// more.
func (b body) step(s *State) bool {
	dst, src := uint8(b.r.IntN(9)), uint8(b.r.IntN(9))
	x, y := s.Reg(dst), s.Reg(src)
	if b.r.IntN(2) == 0 {
		y = Const(uint64(int64(int32(b.r.Uint32()) >> b.r.IntN(32))))
	}
	off := -8 * (1 + b.r.IntN(8))
	switch b.r.IntN(12) {
	case 0:
		s.SetReg(dst, y)
	case 1, 2, 3:
		s.SetReg(dst, s.ALU64(isa.Add, 0, x, Const(uint64(1+b.r.IntN(8)))))
	case 4, 5:
		ops := []isa.ALUOp{isa.Add, isa.Sub, isa.Mul, isa.Div, isa.Or, isa.And, isa.Lsh, isa.Rsh, isa.Mod, isa.Xor, isa.Arsh}
		s.SetReg(dst, s.ALU64(ops[b.r.IntN(len(ops))], 0, x, y))
	case 6:
		ops := []isa.ALUOp{isa.Add, isa.Sub, isa.Mul, isa.And, isa.Mov}
		s.SetReg(dst, s.ALU32(ops[b.r.IntN(len(ops))], 0, x, y))
	case 7:
		s.Store(0, off, 8, x)
	case 8:
		s.SetReg(dst, s.Load(0, off, 8))
	case 9:
		s.SetReg(dst, b.number(s))
	case 10:
		p := s.Reg(9)
		if n := s.Num(x); n.UMax() < 1<<12 {
			o := s.ALU64(isa.Add, 0, Reg{Kind: Scalar, V: p.V, C: p.C}, x)
			s.SetReg(9, Reg{Kind: Packet, Obj: p.Obj, V: o.V, C: o.C})
		}
		return s.Assume(isa.JSLe, false, true, s.Reg(9), Reg{V: PacketLen})
	default:
		ops := []isa.JmpOp{isa.JEq, isa.JNe, isa.JGt, isa.JGe, isa.JLt, isa.JLe, isa.JSGt, isa.JSGe, isa.JSLt, isa.JSLe, isa.JSet}
		return s.Assume(ops[b.r.IntN(len(ops))], b.r.IntN(3) == 0, b.r.IntN(2) == 0, x, y)
	}
	return true
}

// iteration returns what n operations make of s; nil if no run gets through.
func (b body) iteration(s *State, n int) *State {
	t := s.Clone()
	for range n {
		if !b.step(t) {
			return nil
		}
	}
	t.Canon()
	return t
}

// TestWidenChainsStop widens a state, again and again, by what some loop body
// makes of it. However the bodies change on the way, the chain grows a limited
// number of times: each of the locations has a number with eight ends, each of
// which stops at every threshold at most, and 64 bits; two locations that were
// known to differ by a constant, or by at most one, part once.
//
// With one and the same body the chain soon grows no more. Whatever the state
// was then, the body leaves it: that is what Leq or Equal must see.
func TestWidenChainsStop(t *testing.T) {
	thresholds := []uint64{0, 1, 14, 64, 1500}
	th := scalar.NewThresholds(thresholds...)
	widen := Widening(&th)
	const locations = 10 + 8 + 2
	bound := locations*(8*(len(thresholds)+1)+64) + 2*locations*locations
	chains, steps := 120, 400
	if testing.Short() {
		chains = 40
	}
	grew, longest, slowest := 0, 0, 0
	for seed := range uint64(chains) {
		b := body{rand.New(rand.NewPCG(seed, 1))}
		fixed := seed%2 == 0
		w := b.newState()
		again := seed * 7
		growths, last := 0, 0
		for i := range steps {
			if fixed {
				b.r = rand.New(rand.NewPCG(again, 2))
			}
			next := b.iteration(w, 1+b.r.IntN(12))
			if next == nil {
				if fixed {
					break
				}
				continue
			}
			u := Join(w, next, widen, true)
			u.Canon()
			if !u.Equal(w) {
				growths, last = growths+1, i
			}
			next.Free()
			w.Free()
			w = u
		}
		grew += growths
		longest = max(longest, growths)
		if fixed {
			slowest = max(slowest, growths)
			if last >= steps/2 {
				t.Errorf("seed %d: the same iteration still grows the state after %d steps:\n%v", seed, last, w)
			}
		}
		if growths > bound {
			t.Errorf("seed %d: grew %d times, more than %d", seed, growths, bound)
		}
	}
	t.Logf("%d chains of %d: grew %d times, one of them %d times, with one body at most %d times; the bound is %d", chains, steps, grew, longest, slowest, bound)
	if grew < chains {
		t.Error("the chains hardly grow: they test nothing")
	}
}

// TestLeqIsReflexive checks the order on states that random operations make.
func TestLeqIsReflexive(t *testing.T) {
	for seed := range uint64(2000) {
		b := body{rand.New(rand.NewPCG(seed, 3))}
		s := b.newState()
		for range 6 {
			u := b.iteration(s, 6)
			if u == nil {
				break
			}
			if !u.Same(u) || !u.Leq(u) || !u.Equal(u) {
				t.Fatalf("seed %d: not below itself:\n%v", seed, u)
			}
			s = u
		}
	}
}

// TestZext checks the low half of a sum against the machine's, for the values
// at the ends of the range and constants of either sign, and that it stays a sum
// where no bit is lost.
func TestZext(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	sums := 0
	for range 20_000 {
		s := New(&Pool{}, 0, 1<<16)
		lo := r.Uint64() >> (16 + r.IntN(48))
		hi := lo + 1 + r.Uint64()>>(16+r.IntN(48))
		a := s.Fresh(scalar.Unsigned(lo, hi))
		a.C = int64(r.Uint64()) >> r.IntN(64)
		if r.IntN(2) == 0 {
			a.C = int64(uint32(a.C))
		}
		z := s.Zext(a)
		for _, x := range []uint64{lo, lo + 1, (lo + hi) / 2, hi - 1, hi} {
			want := uint64(uint32(x + uint64(a.C)))
			if !s.Num(z).Contains(want) || z.V == a.V && x+uint64(z.C) != want {
				t.Fatalf("low half of %d to %d, plus %d: for %d it is %#x, not %s", lo, hi, a.C, x, want, s.Text(z))
			}
		}
		if z.V == a.V {
			sums++
		} else if c := uint64(int32(a.C)); lo+c <= hi+c && hi+c < 1<<32 {
			t.Fatalf("low half of %d to %d, plus %d: %s is no sum", lo, hi, a.C, s.Text(z))
		}
	}
	if sums == 0 {
		t.Error("no sum among them")
	}
}

// TestCanonDropsUnreachableSteps has a value that only another's definition
// mentions, and that definition goes because its other operand does: then
// nothing leads to the value, and no bound on it can be compared.
func TestCanonDropsUnreachableSteps(t *testing.T) {
	s := New(&Pool{}, 0, 1<<16)
	base := s.Fresh(scalar.Unsigned(0, 1000))
	s.SetReg(1, base)
	gone := s.Fresh(scalar.Unsigned(1, 7))
	step := s.ALU64(isa.Rsh, 0, base, Const(3))
	s.SetReg(2, s.ALU64(isa.Sub, 0, step, gone))
	s.SetReg(3, s.Fresh(scalar.Unsigned(0, 1000)))
	s.AddEdge(s.Reg(3).V, step.V, 0)
	s.Canon()
	if !s.Leq(s) {
		t.Errorf("not below itself:\n%v", s)
	}
}

// TestLeqOfMultiples has two numbers that move in step, as an index and the
// offset that goes with it: one iteration later each is known by where it was.
func TestLeqOfMultiples(t *testing.T) {
	s := New(&Pool{}, 0, 1<<16)
	i := s.Fresh(scalar.Unsigned(0, 1000))
	s.SetReg(6, i)
	s.SetReg(7, s.ALU64(isa.Mul, 0, i, Const(4)))
	s.Canon()
	u := s.Clone()
	u.SetReg(6, u.ALU64(isa.Add, 0, u.Reg(6), Const(1)))
	u.SetReg(7, u.ALU64(isa.Add, 0, u.Reg(7), Const(4)))
	if !u.Assume(isa.JLt, false, true, u.Reg(6), Const(1000)) {
		t.Fatal("not possible")
	}
	u.Canon()
	if !u.Same(s) || !u.Leq(s) {
		t.Errorf("\n%vis not below\n%v", u, s)
	}
	u.SetReg(7, u.ALU64(isa.Add, 0, u.Reg(7), Const(1)))
	u.Canon()
	if u.Leq(s) {
		t.Errorf("\n%vis below\n%v", u, s)
	}
}
