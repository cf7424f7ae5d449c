// Package tnum holds the domain of known bits: for each bit of a 64-bit value,
// zero, one or not known ("tristate number").
//
// The operations are those of Vishwanathan, Shachnai, Narayana and Nagarakatte,
// "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers"
// (CGO 2022); multiplication is the long multiplication that joins, at each bit
// of the multiplier that is not known, the sums with and without the summand.
//
// The order of the files: the lattice (tnum.go), arithmetic and logic
// (arith.go), change of width and byte order (width.go), and how known bits and
// ranges inform each other (range.go).
//
// A narrower value is a Tnum whose upper bits are known to be zero. Add, Sub,
// Neg, Mul, And, Or, Xor and Lsh carry information from low bits to high bits
// only, so the operation at n bits is the operation at 64 bits, then Trunc(n).
//
// A Tnum is a plain value: every operation is a pure function and none
// allocates.
package tnum

import "fmt"

// A Tnum is a non-empty set of 64-bit values: x is a member if it equals Value
// in every bit that Mask does not have. Value and Mask have no bit in common;
// every operation requires and keeps that. The zero Tnum is the constant 0. The
// empty set is not a Tnum: Meet reports it.
type Tnum struct {
	Value uint64 // bits known to be one
	Mask  uint64 // bits not known
}

// Top is the set of all values.
func Top() Tnum { return Tnum{Mask: ^uint64(0)} }

// Const is the set that holds v alone.
func Const(v uint64) Tnum { return Tnum{Value: v} }

// IsConst reports whether t has one member, which is then Value.
func (t Tnum) IsConst() bool { return t.Mask == 0 }

// IsTop reports whether t holds every value.
func (t Tnum) IsTop() bool { return t.Mask == ^uint64(0) }

// Min returns the least member, as an unsigned number.
func (t Tnum) Min() uint64 { return t.Value }

// Max returns the greatest member, as an unsigned number. Its bits are those
// that some member has.
func (t Tnum) Max() uint64 { return t.Value | t.Mask }

// Contains reports whether x is a member.
func (t Tnum) Contains(x uint64) bool { return x&^t.Mask == t.Value }

// Leq reports whether every member of t is a member of u.
func (t Tnum) Leq(u Tnum) bool {
	return t.Mask&^u.Mask == 0 && (t.Value^u.Value)&^u.Mask == 0
}

// Join returns the least Tnum that holds the members of both.
func (t Tnum) Join(u Tnum) Tnum {
	m := t.Mask | u.Mask | (t.Value ^ u.Value)
	return Tnum{t.Value &^ m, m}
}

// Meet returns the members of both; ok is false if there are none, and then
// the result means nothing.
func (t Tnum) Meet(u Tnum) (m Tnum, ok bool) {
	both := t.Mask & u.Mask
	return Tnum{t.Value | u.Value, both}, (t.Value^u.Value)&^(t.Mask|u.Mask) == 0
}

// String returns t in the kernel's notation: value, then mask.
func (t Tnum) String() string { return fmt.Sprintf("(%#x; %#x)", t.Value, t.Mask) }
