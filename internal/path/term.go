package path

import (
	"fmt"

	"github.com/skepvm/skep/internal/isa"
)

// A term is a 64-bit vector in SMT-LIB's text form, short: longer ones have a
// name.
type term string

// A cond is a truth value in that form.
type cond string

func lit(x uint64) term { return term(fmt.Sprintf("#x%016x", x)) }

// define gives a term a name.
func (e *execution) define(format string, args ...any) term {
	e.names++
	name := fmt.Sprintf("t%d", e.names)
	fmt.Fprintf(&e.text, "(define-fun %s () (_ BitVec 64) %s)\n", name, fmt.Sprintf(format, args...))
	return term(name)
}

// fresh returns a value that may be any of size bytes.
func (e *execution) fresh(size int, signed bool) term {
	e.names++
	name := fmt.Sprintf("x%d", e.names)
	fmt.Fprintf(&e.text, "(declare-const %s (_ BitVec %d))\n", name, 8*size)
	return e.extend(name, size, signed)
}

// extend returns a vector of size bytes as 64 bits.
func (e *execution) extend(vec string, size int, signed bool) term {
	switch {
	case size == 8:
		return e.define("%s", vec)
	case signed:
		return e.define("((_ sign_extend %d) %s)", 64-8*size, vec)
	}
	return e.define("((_ zero_extend %d) %s)", 64-8*size, vec)
}

func (e *execution) assert(format string, args ...any) {
	fmt.Fprintf(&e.text, "(assert %s)\n", fmt.Sprintf(format, args...))
}

// low returns the low n bits of t.
func low(t term, n int) string {
	if n == 64 {
		return string(t)
	}
	return fmt.Sprintf("((_ extract %d 0) %s)", n-1, t)
}

// alu returns dst op src (RFC 9669, section 4.1). off and imm are the fields of
// the instruction.
func (e *execution) alu(op isa.ALUOp, bits int, off int16, a, b term) term {
	if op == isa.Div || op == isa.Mod {
		return e.divide(op, bits, off == 1, a, b)
	}
	if _, known := constant(b, bits); op == isa.Mul && !known {
		if e.hard = true; e.loose {
			return e.fresh(bits/8, false)
		}
	}
	x, y := low(a, bits), low(b, bits)
	amount := fmt.Sprintf("(bvand %s (_ bv%d %d))", y, bits-1, bits)
	var vec string
	switch op {
	case isa.Add:
		vec = fmt.Sprintf("(bvadd %s %s)", x, y)
	case isa.Sub:
		vec = fmt.Sprintf("(bvsub %s %s)", x, y)
	case isa.Mul:
		vec = fmt.Sprintf("(bvmul %s %s)", x, y)
	case isa.Or:
		vec = fmt.Sprintf("(bvor %s %s)", x, y)
	case isa.And:
		vec = fmt.Sprintf("(bvand %s %s)", x, y)
	case isa.Xor:
		vec = fmt.Sprintf("(bvxor %s %s)", x, y)
	case isa.Lsh:
		vec = fmt.Sprintf("(bvshl %s %s)", x, amount)
	case isa.Rsh:
		vec = fmt.Sprintf("(bvlshr %s %s)", x, amount)
	case isa.Arsh:
		vec = fmt.Sprintf("(bvashr %s %s)", x, amount)
	case isa.Neg:
		vec = fmt.Sprintf("(bvneg %s)", x)
	case isa.Mov:
		vec = y
		if off == 8 || off == 16 || off == 32 {
			vec = fmt.Sprintf("((_ sign_extend %d) %s)", bits-int(off), low(b, int(off)))
		}
	}
	return e.extend(vec, bits/8, false)
}

// divide returns a quotient or a remainder, as alu does. By 0 the first is 0
// and the second the dividend.
func (e *execution) divide(op isa.ALUOp, bits int, signed bool, a, b term) term {
	if op == isa.Mod && a == b {
		return lit(0)
	}
	x, y, zero := low(a, bits), low(b, bits), fmt.Sprintf("(_ bv0 %d)", bits)
	e.hard = true
	var t term
	if e.loose {
		t = e.fresh(bits/8, false)
	} else {
		f, byZero := "bvudiv", zero
		switch {
		case op == isa.Mod && signed:
			f, byZero = "bvsrem", x
		case op == isa.Mod:
			f, byZero = "bvurem", x
		case signed:
			f = "bvsdiv"
		}
		t = e.extend(fmt.Sprintf("(ite (= %s %s) %s (%s %s %s))", y, zero, byZero, f, x, y), bits/8, false)
	}
	if signed {
		return t
	}
	e.assert("(bvule %s %s)", t, e.extend(x, bits/8, false)) // this follows anyway, and is hard to find
	if k, ok := constant(b, bits); ok && k != 0 {
		switch op {
		case isa.Mod:
			e.assert("(bvult %s %s)", t, lit(k))
		case isa.Div:
			e.assert("(bvule %s %s)", t, lit((1<<bits-1)/k))
		}
	}
	return t
}

// constant returns the low bits of t, if they are written out.
func constant(t term, bits int) (k uint64, ok bool) {
	if _, err := fmt.Sscanf(string(t), "#x%x", &k); err != nil {
		return 0, false
	}
	return k & (1<<bits - 1), true
}

// swap returns t with its low n bits converted: in the other order if reverse.
func (e *execution) swap(t term, n int, reverse bool) term {
	if !reverse {
		return e.extend(low(t, n), n/8, false)
	}
	vec := "(concat"
	for at := 0; at < n; at += 8 { // the lowest byte first, so highest in the result
		vec += fmt.Sprintf(" ((_ extract %d %d) %s)", at+7, at, t)
	}
	return e.extend(vec+")", n/8, false)
}

// compare returns the condition of a jump (RFC 9669, section 4.3).
func compare(op isa.JmpOp, bits int, a, b term) cond {
	x, y := low(a, bits), low(b, bits)
	f := map[isa.JmpOp]string{
		isa.JEq: "(= %s %s)", isa.JNe: "(not (= %s %s))",
		isa.JGt: "(bvugt %s %s)", isa.JGe: "(bvuge %s %s)", isa.JLt: "(bvult %s %s)", isa.JLe: "(bvule %s %s)",
		isa.JSGt: "(bvsgt %s %s)", isa.JSGe: "(bvsge %s %s)", isa.JSLt: "(bvslt %s %s)", isa.JSLe: "(bvsle %s %s)",
	}[op]
	if op == isa.JSet {
		return cond(fmt.Sprintf("(not (= (bvand %s %s) (_ bv0 %d)))", x, y, bits))
	}
	return cond(fmt.Sprintf(f, x, y))
}
