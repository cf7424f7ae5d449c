// Package scalar holds the domain of numbers: what is known about the 64-bit
// value of a register or stack slot that is not a pointer.
//
// A Scalar is the product of known bits (a tnum), an unsigned and a signed
// range, and both ranges once more for the low 32 bits. The components are kept
// reduced against each other (reduce.go), so that equal Scalars are equal as Go
// values and a fact in one component shows in all.
//
// The files: the ranges of one width (ranges.go); the type and its lattice
// (scalar.go), reduction (reduce.go), widening (widen.go); transfer functions by
// family: arith.go, divide.go, logic.go, shift.go, extend.go, and their dispatch
// by opcode (alu.go); what a branch teaches about its operands (assume.go); what
// a refined result teaches about the operand (backward.go); the kernel's notation
// (string.go).
//
// Each operation returns a Scalar that holds the machine's result for all
// members of its operands; ALU operations are those of RFC 9669, section 4.1.
// They are total. A Scalar is never empty: what may leave no value (Meet, Assume,
// Backward) reports it. All are pure functions of values, and none allocates but
// String and NewThresholds.
package scalar

import "github.com/skepvm/skep/verifier/internal/tnum"

// A Scalar is a non-empty set of 64-bit values: those that lie in every
// component. It is reduced, so == compares the facts. The zero Scalar is the
// constant 0.
type Scalar struct {
	part                  // of the whole value
	umin32, umax32 uint32 // of its low half
	smin32, smax32 int32
}

// A part is known bits and ranges: of whole values or, apart, of low halves.
type part struct {
	bits tnum.Tnum
	full ranges
}

// Top is the set of all values.
func Top() Scalar {
	return Scalar{
		part:   part{tnum.Tnum{Mask: wordMask}, fullRange(wordBits)},
		umax32: halfMask, smin32: int32(minSigned(halfBits)), smax32: int32(maxSigned(halfBits)),
	}
}

// Const is the set that holds v alone.
func Const(v uint64) Scalar {
	v &= wordMask
	s, low, slow := sext(v, wordBits), uint32(v&halfMask), int32(sext(v, halfBits))
	return Scalar{part{tnum.Tnum{Value: v}, ranges{v, v, s, s}}, low, low, slow, slow}
}

// Unsigned is the set of the values from min to max, which must not be less.
func Unsigned(min, max uint64) Scalar {
	s := Top()
	s.full.umin, s.full.umax = min, max
	return reduced(s)
}

// Signed is the set of the two's complement values from min to max, which must
// not be less.
func Signed(min, max int64) Scalar {
	s := Top()
	s.full.smin, s.full.smax = min, max
	return reduced(s)
}

// FromBits is the set of the members of t.
func FromBits(t tnum.Tnum) Scalar {
	s := Top()
	s.bits = t
	return reduced(s)
}

// IsConst reports whether s has one member, which UMin and UMax return.
func (s Scalar) IsConst() bool { return s.bits.Mask == 0 }

// Bits returns the known bits.
func (s Scalar) Bits() tnum.Tnum { return s.bits }

// UMin returns the least member as an unsigned number, or a lower bound of it.
func (s Scalar) UMin() uint64 { return s.full.umin }

// UMax returns the greatest member as an unsigned number, or an upper bound.
func (s Scalar) UMax() uint64 { return s.full.umax }

// SMin returns the least member as a signed number, or a lower bound of it.
func (s Scalar) SMin() int64 { return s.full.smin }

// SMax returns the greatest member as a signed number, or an upper bound.
func (s Scalar) SMax() int64 { return s.full.smax }

// U32 bounds the low 32 bits of the members, as unsigned numbers.
func (s Scalar) U32() (min, max uint32) { return s.umin32, s.umax32 }

// S32 bounds the low 32 bits of the members, as signed numbers.
func (s Scalar) S32() (min, max int32) { return s.smin32, s.smax32 }

// Contains reports whether x is a member.
func (s Scalar) Contains(x uint64) bool {
	x &= wordMask
	sx, lo, slo := sext(x, wordBits), uint32(x&halfMask), int32(sext(x, halfBits))
	return s.bits.Contains(x) && s.full.umin <= x && x <= s.full.umax && s.full.smin <= sx && sx <= s.full.smax &&
		s.umin32 <= lo && lo <= s.umax32 && s.smin32 <= slo && slo <= s.smax32
}

// low returns the ranges of the low half.
func (s *Scalar) low() ranges {
	return ranges{uint64(s.umin32), uint64(s.umax32), int64(s.smin32), int64(s.smax32)}
}

func (s *Scalar) setLow(r ranges) {
	s.umin32, s.umax32 = uint32(r.umin), uint32(r.umax)
	s.smin32, s.smax32 = int32(r.smin), int32(r.smax)
}

// Leq reports whether every component of s lies in that of o. Then every
// member of s is one of o.
func (s Scalar) Leq(o Scalar) bool {
	return s.full.umin >= o.full.umin && s.full.umax <= o.full.umax && s.full.smin >= o.full.smin && s.full.smax <= o.full.smax &&
		s.umin32 >= o.umin32 && s.umax32 <= o.umax32 && s.smin32 >= o.smin32 && s.smax32 <= o.smax32 &&
		s.bits.Leq(o.bits)
}

// Join returns the least Scalar that holds the members of both.
//
// It needs no reduction: reduction is monotone and only shrinks, so the
// component-wise join of two reduced values is at most its own reduction.
func (s Scalar) Join(o Scalar) Scalar {
	return Scalar{
		part: part{s.bits.Join(o.bits), ranges{
			min(s.full.umin, o.full.umin), max(s.full.umax, o.full.umax),
			min(s.full.smin, o.full.smin), max(s.full.smax, o.full.smax),
		}},
		umin32: min(s.umin32, o.umin32), umax32: max(s.umax32, o.umax32),
		smin32: min(s.smin32, o.smin32), smax32: max(s.smax32, o.smax32),
	}
}

// Meet returns a Scalar that holds every value in both; ok is false if there
// is none, and then the result means nothing.
func (s Scalar) Meet(o Scalar) (m Scalar, ok bool) {
	ok = s.meet(&o)
	return s, ok
}

func (s *Scalar) meet(o *Scalar) bool {
	bits, ok := s.bits.Meet(o.bits)
	if !ok {
		return false
	}
	s.bits = bits
	s.full.meet(o.full)
	s.umin32, s.umax32 = max(s.umin32, o.umin32), min(s.umax32, o.umax32)
	s.smin32, s.smax32 = max(s.smin32, o.smin32), min(s.smax32, o.smax32)
	return s.reduce()
}

// MeetLow returns a Scalar that holds the members of s whose low n bits are
// those of a member of o; ok is false if there is none, and then the result
// means nothing. It is what a fact about one of two values says about the
// other when one is a truncation or an extension of the other. n is 1 to 64.
func (s Scalar) MeetLow(o Scalar, n uint) (m Scalar, ok bool) {
	switch {
	case n >= wordBits:
		return s.Meet(o)
	case s.full.umax <= mask(n):
		return s.Meet(Trunc(o, n))
	case s.full.smin >= minSigned(n) && s.full.smax <= maxSigned(n):
		return s.Meet(SignExtend(o, n))
	}
	bits, ok := s.bits.Trunc(n).Meet(o.bits.Trunc(n))
	if !ok {
		return s, false
	}
	s.bits = s.bits.WithLow(bits, n)
	if n >= halfBits {
		low := s.low()
		low.meet(o.low())
		s.setLow(low)
	}
	return s, s.reduce()
}
