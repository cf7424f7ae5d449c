package tnum

import "math/bits"

// Add returns the sums, which wrap. No smaller Tnum holds them all.
//
// Sound: the sum of the least members has the fewest carries and the sum of the
// greatest the most. A bit in which those two sums agree, and in which neither
// operand is unknown, receives the same carry from every pair.
func (t Tnum) Add(u Tnum) Tnum {
	v := t.Value + u.Value
	carries := (v + t.Mask + u.Mask) ^ v
	m := carries | t.Mask | u.Mask
	return Tnum{v &^ m, m}
}

// Sub returns the differences t−u, which wrap. No smaller Tnum holds them all.
//
// Sound: as for Add, with borrows. The fewest are those of the greatest t less
// the least u, the most those of the least t less the greatest u.
func (t Tnum) Sub(u Tnum) Tnum {
	d := t.Value - u.Value
	borrows := (d + t.Mask) ^ (d - u.Mask)
	m := borrows | t.Mask | u.Mask
	return Tnum{d &^ m, m}
}

// Neg returns the two's complements. No smaller Tnum holds them all.
func (t Tnum) Neg() Tnum { return Tnum{}.Sub(t) }

// And returns the bitwise conjunctions, exactly.
func (t Tnum) And(u Tnum) Tnum {
	v := t.Value & u.Value
	return Tnum{v, t.Max() & u.Max() &^ v}
}

// Or returns the bitwise disjunctions, exactly.
func (t Tnum) Or(u Tnum) Tnum {
	v := t.Value | u.Value
	return Tnum{v, (t.Mask | u.Mask) &^ v}
}

// Xor returns the bitwise exclusive disjunctions, exactly.
func (t Tnum) Xor(u Tnum) Tnum {
	m := t.Mask | u.Mask
	return Tnum{(t.Value ^ u.Value) &^ m, m}
}

// Mul returns a Tnum that holds the products, which wrap. It need not be the
// least one.
//
// Sound: acc holds the product of u and the bits of t below i, for every choice
// of both. A bit that is one adds u<<i, a bit that is not known joins both cases.
func (t Tnum) Mul(u Tnum) Tnum {
	if t.Mask|u.Mask == 0 {
		return Const(t.Value * u.Value)
	}
	if t.IsTop() || u.IsTop() {
		// All that is left is a power of two that divides every product.
		return Top().Lsh(t.TrailingZeros() + u.TrailingZeros())
	}
	if bits.OnesCount64(t.Max()) > bits.OnesCount64(u.Max()) {
		t, u = u, t
	}
	var acc Tnum
	for rest := t.Max(); rest != 0; rest &= rest - 1 {
		i := uint(bits.TrailingZeros64(rest))
		sum := acc.Add(u.Lsh(i))
		if t.Mask>>i&1 != 0 {
			sum = sum.Join(acc)
		}
		acc = sum
	}
	return acc
}

// Lsh returns the members shifted left by k, exactly. For k of 64 and more the
// result is 0.
func (t Tnum) Lsh(k uint) Tnum { return Tnum{t.Value << k, t.Mask << k} }

// Rsh returns the members shifted right by k, zeros coming in, exactly. For k
// of 64 and more the result is 0.
func (t Tnum) Rsh(k uint) Tnum { return Tnum{t.Value >> k, t.Mask >> k} }

// Arsh returns the members shifted right by k with copies of bit 63 coming in,
// exactly. The shift at n bits is SignExtend(n), Arsh, Trunc(n).
func (t Tnum) Arsh(k uint) Tnum {
	return Tnum{uint64(int64(t.Value) >> k), uint64(int64(t.Mask) >> k)}
}
