package state

import (
	"math"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A Def says how a value was computed: Op applied to A + AC and B + BC. Two
// values of one state with equal Defs are the same value. The zero Def says
// nothing.
type Def struct {
	Op     DefOp
	ALU    isa.ALUOp // OpALU64, OpALU32
	Off    int16     // the instruction's offset field: signed division, sign extension
	A, B   ValID
	AC, BC int64
}

// A DefOp is a kind of definition.
type DefOp uint8

const (
	NoDef   DefOp = iota
	OpALU64       // 64-bit ALU operation
	OpALU32       // 32-bit ALU operation, result zero-extended
	OpZext        // the low 32 bits of A + AC
)

func (s *State) newVal(num scalar.Scalar, def Def) ValID {
	s.Vals = append(s.Vals, Val{Num: num, Def: def})
	return ValID(len(s.Vals) - 1)
}

// Fresh returns a scalar of which num is known. A constant needs no value.
func (s *State) Fresh(num scalar.Scalar) Reg {
	if num.IsConst() {
		return Const(num.Bits().Value)
	}
	return Reg{Kind: Scalar, V: s.newVal(num, Def{})}
}

// Unknown returns a scalar of which nothing is known.
func (s *State) Unknown() Reg { return s.Fresh(scalar.Top()) }

// Num returns what is known of the scalar r, or of a pointer's offset.
func (s *State) Num(r Reg) scalar.Scalar { return s.num(r.V, r.C) }

func (s *State) num(v ValID, c int64) scalar.Scalar {
	switch {
	case v == Zero:
		return scalar.Const(uint64(c))
	case c == 0:
		return s.Vals[v].Num
	default:
		return scalar.Add(s.Vals[v].Num, scalar.Const(uint64(c)))
	}
}

// eval computes what d says of its value from what is known of its operands.
func (s *State) eval(d *Def) scalar.Scalar {
	a := s.num(d.A, d.AC)
	switch d.Op {
	case OpALU64:
		if b := s.num(d.B, d.BC); d.ALU != isa.Mov {
			num := scalar.ALU(d.ALU, scalar.W64, d.Off != 0, a, b)
			if d.ALU == isa.Sub && d.AC == 0 && d.BC == 0 {
				return s.apart(num, d.A, d.B)
			}
			return num
		} else {
			return scalar.SignExtend(b, uint(d.Off))
		}
	case OpALU32:
		if b := s.num(d.B, d.BC); d.ALU != isa.Mov {
			return scalar.ALU(d.ALU, scalar.W32, d.Off != 0, a, b)
		} else {
			return scalar.Low(scalar.SignExtend(b, uint(d.Off)))
		}
	case OpZext:
		return scalar.Low(a)
	}
	panic("BUG: eval of a value without a definition")
}

// apart returns what is left of num, the difference x − y, by the bounds of that
// difference as an integer. With one on either side it does not wrap.
func (s *State) apart(num scalar.Scalar, x, y ValID) scalar.Scalar {
	most, ok := s.Diff(x, y)
	if !ok {
		return num
	}
	least, ok := s.Diff(y, x)
	if !ok || least == math.MinInt64 || -least > most {
		return num
	}
	if n, ok := num.Meet(scalar.Signed(-least, most)); ok {
		return n
	}
	return num
}

// define returns the scalar that d computes: a constant if it is one, the
// value that already has this definition, or a new one.
func (s *State) define(d Def) Reg {
	num := s.eval(&d)
	if num.IsConst() {
		return Const(num.Bits().Value)
	}
	for i := int(firstVal); i < len(s.Vals); i++ {
		if s.Vals[i].Def == d {
			return Reg{Kind: Scalar, V: ValID(i)}
		}
	}
	v := s.newVal(num, d)
	s.relate(v)
	return Reg{Kind: Scalar, V: v}
}

// ALU64 returns a op b for scalars (RFC 9669, section 4.1). Constant additions
// keep the value; everything else names a new one.
func (s *State) ALU64(op isa.ALUOp, off int16, a, b Reg) Reg {
	switch op {
	case isa.Mov:
		if off == 0 {
			return b
		}
		// A sign extension that changes nothing is a copy.
		if n, top := s.Num(b), int64(1)<<(off-1); n.SMin() >= -top && n.SMax() < top {
			return b
		}
	case isa.Add:
		switch {
		case b.V == Zero:
			return Reg{Kind: Scalar, V: a.V, C: a.C + b.C}
		case a.V == Zero:
			return Reg{Kind: Scalar, V: b.V, C: a.C + b.C}
		}
		if a.V > b.V {
			a, b = b, a
		}
		r := s.define(Def{Op: OpALU64, ALU: isa.Add, A: a.V, B: b.V})
		r.C += a.C + b.C
		return r
	case isa.Sub:
		switch {
		case a.V == b.V:
			return Const(uint64(a.C - b.C))
		case b.V == Zero:
			return Reg{Kind: Scalar, V: a.V, C: a.C - b.C}
		}
		r := s.define(Def{Op: OpALU64, ALU: isa.Sub, A: a.V, B: b.V})
		r.C += a.C - b.C
		return r
	case isa.Rsh, isa.Arsh:
		if op == isa.Rsh {
			a = s.unmasked(a, b)
		}
		// Up and down again is an extension of the low bits: what compilers
		// write where there are no 32-bit instructions.
		if low, bits, ok := s.shiftedUp(a, b); ok {
			if op == isa.Arsh {
				low = s.ALU64(isa.Mov, bits, low, low)
			} else {
				low = s.Truncate(low, int(bits)/8)
			}
			if b.C += int64(bits) - 64; b.C == 0 {
				return low
			}
			return s.ALU64(op, 0, low, b)
		}
	case isa.And:
		if a == b {
			return a
		}
	case isa.Or:
		if a == b {
			return a
		}
	case isa.Xor:
		if a == b {
			return Const(0)
		}
	}
	return s.define(Def{Op: OpALU64, ALU: op, Off: off, A: a.V, AC: a.C, B: b.V, BC: b.C})
}

// shiftedUp reports whether a is low shifted to the left, such that 8, 16 or 32
// bits of it are left, by no more than the constant b.
func (s *State) shiftedUp(a, b Reg) (low Reg, bits int16, ok bool) {
	if b.V != Zero || a.V == Zero || a.C != 0 || uint64(b.C) >= 64 {
		return Reg{}, 0, false
	}
	d := &s.Vals[a.V].Def
	if d.Op != OpALU64 || d.ALU != isa.Lsh || d.B != Zero || d.BC != 32 && d.BC != 48 && d.BC != 56 || b.C < d.BC {
		return Reg{}, 0, false
	}
	return Reg{Kind: Scalar, V: d.A, C: d.AC}, int16(64 - d.BC), true
}

// maxMasks bounds how many masks unmasked looks behind. Without it there is no
// end: where x & 7 was found to equal x, x is defined by itself.
const maxMasks = 4

// unmasked returns a without masks whose zeros a shift to the right by the
// constant b drops anyway.
func (s *State) unmasked(a, b Reg) Reg {
	for range maxMasks {
		if b.V != Zero || a.V == Zero || a.C != 0 || uint64(b.C) >= 64 {
			return a
		}
		d := &s.Vals[a.V].Def
		if d.Op != OpALU64 || d.ALU != isa.And || d.B != Zero {
			return a
		}
		x := Reg{Kind: Scalar, V: d.A, C: d.AC}
		if bits := s.Num(x).Bits(); (bits.Value|bits.Mask)&^uint64(d.BC) >= 1<<b.C {
			return a
		}
		a = x
	}
	return a
}

// ALU32 returns the 32-bit a op b, zero-extended.
//
// Sound: addition, subtraction and the low half commute, so an addition of a
// constant is the low half of the 64-bit sum.
func (s *State) ALU32(op isa.ALUOp, off int16, a, b Reg) Reg {
	switch {
	case op == isa.Mov && off == 0:
		return s.Zext(b)
	case op == isa.Add && (b.V == Zero || a.V == Zero), op == isa.Sub && b.V == Zero:
		return s.Zext(s.ALU64(op, 0, a, b))
	case op == isa.Sub && a.V == b.V:
		return Const(uint64(uint32(a.C - b.C)))
	case (op == isa.And || op == isa.Or) && a == b:
		return s.Zext(a)
	case op == isa.Xor && a == b:
		return Const(0)
	case op == isa.Div && off == 0, op == isa.Mod && off == 0, op == isa.Xor:
		// On zero-extended operands these equal the 64-bit operations.
		return s.ALU64(op, 0, s.Zext(a), s.Zext(b))
	case op == isa.And && b.V == Zero:
		// The mask clears the upper half by itself.
		return s.ALU64(op, 0, a, Const(uint64(uint32(b.C))))
	case op == isa.Or && b.V == Zero && int32(b.C) >= 0,
		op == isa.Rsh && b.V == Zero && uint64(b.C) < 32:
		return s.ALU64(op, 0, s.Zext(a), Const(uint64(uint32(b.C))))
	}
	if s.fits32(op, off, a, b) {
		return s.ALU64(op, off, a, b)
	}
	return s.define(Def{Op: OpALU32, ALU: op, Off: off, A: a.V, AC: a.C, B: b.V, BC: b.C})
}

// fits32 reports whether the 64-bit a op b equals the 32-bit one: the operands
// and the result need no more than 32 bits.
func (s *State) fits32(op isa.ALUOp, off int16, a, b Reg) bool {
	const max32 = 1<<32 - 1
	x, y := s.Num(a), s.Num(b)
	if off != 0 || x.UMax() > max32 || y.UMax() > max32 {
		return false
	}
	switch op {
	case isa.Add, isa.Mul:
	case isa.Sub:
		d, ok := s.DiffReg(b, a)
		return ok && d <= 0
	case isa.Lsh:
		if y.UMax() >= 32 {
			return false
		}
	default:
		return false
	}
	return scalar.ALU(op, scalar.W64, false, x, y).UMax() <= max32
}

// Zext returns the low 32 bits of a, zero-extended: a itself if it fits.
func (s *State) Zext(a Reg) Reg {
	if a.V == Zero {
		return Const(uint64(uint32(a.C)))
	}
	if s.Num(a).UMax() <= 1<<32-1 {
		return a
	}
	// The low half does not depend on the upper half of what is added: adding
	// 2^32 − 1 is subtracting 1.
	if r := (Reg{Kind: Scalar, V: a.V, C: int64(int32(a.C))}); r.C != a.C && s.Num(r).UMax() <= 1<<32-1 {
		return r
	}
	// The low half of a low half plus a constant is one low half.
	if d := &s.Vals[a.V].Def; d.Op == OpZext {
		r := Reg{Kind: Scalar, V: d.A, C: d.AC + a.C}
		if s.Num(r).UMax() <= 1<<32-1 {
			return r
		}
		return s.zext(r)
	}
	return s.zext(a)
}

func (s *State) zext(a Reg) Reg {
	return s.define(Def{Op: OpZext, A: a.V, AC: int64(int32(a.C))})
}

// relate adds the difference bounds that v's definition implies and that its
// numeric facts do not show. Each holds because the operands are known to be
// non-negative and V + C is known not to wrap.
func (s *State) relate(v ValID) {
	d := s.Vals[v].Def
	if d.Op != OpALU64 || d.Off != 0 || !s.exact(d.A, d.AC) || !s.exact(d.B, d.BC) {
		return
	}
	a, b := s.num(d.A, d.AC), s.num(d.B, d.BC)
	if a.SMin() < 0 || b.SMin() < 0 {
		return
	}
	switch d.ALU {
	case isa.And: // clearing bits of a number does not increase it
		s.AddEdge(v, d.A, d.AC)
		s.AddEdge(v, d.B, d.BC)
	case isa.Rsh:
		if b.UMin() == 1 && b.IsConst() {
			s.relateMiddle(v, d.A, d.AC)
		}
		s.AddEdge(v, d.A, d.AC-boolInt(a.SMin() >= 1 && b.UMin() >= 1 && b.UMax() < 64))
	case isa.Div:
		s.AddEdge(v, d.A, d.AC-boolInt(a.SMin() >= 1 && b.UMin() >= 2))
	case isa.Mod:
		s.AddEdge(v, d.A, d.AC)
		if b.SMin() >= 1 {
			s.AddEdge(v, d.B, d.BC-1)
		}
	case isa.Add:
		if s.Vals[v].Num.SMin() >= 0 { // the sum did not wrap either
			s.AddEdge(d.A, v, -b.SMin())
			s.AddEdge(d.B, v, -a.SMin())
		}
	case isa.Sub:
		s.AddEdge(v, d.A, -b.SMin())
	}
}

// relateMiddle adds what is known of v = (sum + c)/2 if sum + c = x + y with
// x < y: the middle is at least x and below y.
func (s *State) relateMiddle(v, sum ValID, c int64) {
	d := s.Vals[sum].Def
	if d.Op != OpALU64 || d.ALU != isa.Add || d.AC != 0 || d.BC != 0 || s.num(sum, c).SMin() < 0 {
		return
	}
	for _, p := range [4][2]Reg{
		{{V: d.A, C: c}, {V: d.B}}, {{V: d.A}, {V: d.B, C: c}},
		{{V: d.B, C: c}, {V: d.A}}, {{V: d.B}, {V: d.A, C: c}},
	} {
		x, y := p[0], p[1]
		if s.Num(x).SMin() < 0 || s.Num(y).SMin() < 0 {
			continue
		}
		if diff, ok := s.DiffReg(x, y); ok && diff <= -1 {
			s.AddEdge(x.V, v, -x.C)
			s.AddEdge(v, y.V, y.C-1)
		}
	}
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Sheds reports whether now is then with fewer bits: then shifted to the right
// by at least one, or without its lowest set bit; and then is not 0.
func (s *State) Sheds(then, now Reg) bool {
	if then.V == Zero || then.C != 0 || now.V == Zero || now.C != 0 {
		return false
	}
	if s.Vals[then.V].Num.UMin() == 0 && s.Vals[now.V].Num.UMin() == 0 {
		return false // 0 has no bit to lose
	}
	d := &s.Vals[now.V].Def
	if d.Op != OpALU64 || d.Off != 0 {
		return false
	}
	switch d.ALU {
	case isa.Rsh:
		b := s.num(d.B, d.BC)
		return d.A == then.V && d.AC == 0 && b.UMin() >= 1 && b.UMax() < 64
	case isa.And:
		return d.A == then.V && d.B == then.V && (d.AC == 0 && d.BC == -1 || d.AC == -1 && d.BC == 0)
	}
	return false
}

// compute is eval for operands of which the values are known, by the machine's
// own arithmetic.
func (d *Def) compute(a, b uint64) uint64 {
	a, b = a+uint64(d.AC), b+uint64(d.BC)
	switch d.Op {
	case OpALU64:
		return isa.Compute64(d.ALU, d.Off, a, b)
	case OpALU32:
		return isa.Compute32(d.ALU, d.Off, uint32(a), uint32(b))
	}
	return uint64(uint32(a))
}
