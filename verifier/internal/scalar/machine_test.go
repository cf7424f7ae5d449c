package scalar

import (
	"fmt"

	"github.com/skepvm/skep/internal/isa"
)

// machine computes dst op src at n bits (RFC 9669, section 4.1), zero-extended.
func machine(op isa.ALUOp, n uint, signed bool, dst, src uint64) uint64 {
	m := ^uint64(0) >> (64 - n)
	sx := func(x uint64) int64 { return int64(x<<(64-n)) >> (64 - n) }
	dst, src = dst&m, src&m
	var r uint64
	switch op {
	case isa.Add:
		r = dst + src
	case isa.Sub:
		r = dst - src
	case isa.Mul:
		r = dst * src
	case isa.Or:
		r = dst | src
	case isa.And:
		r = dst & src
	case isa.Xor:
		r = dst ^ src
	case isa.Lsh:
		r = dst << (src % uint64(n))
	case isa.Rsh:
		r = dst >> (src % uint64(n))
	case isa.Arsh:
		r = uint64(sx(dst) >> (src % uint64(n)))
	case isa.Neg:
		r = -dst
	case isa.Mov:
		r = src
	case isa.Div:
		switch {
		case src == 0:
			r = 0
		case signed:
			r = uint64(sx(dst) / sx(src)) // Go: the least number by −1 is itself
		default:
			r = dst / src
		}
	case isa.Mod:
		switch {
		case src == 0:
			r = dst
		case signed:
			r = uint64(sx(dst) % sx(src))
		default:
			r = dst % src
		}
	default:
		panic(fmt.Sprintf("no operation %#x", uint8(op)))
	}
	return r & m
}

// branch decides dst op src at n bits (RFC 9669, section 4.3).
func branch(op isa.JmpOp, n uint, dst, src uint64) bool {
	m := ^uint64(0) >> (64 - n)
	dst, src = dst&m, src&m
	sdst, ssrc := int64(dst<<(64-n)), int64(src<<(64-n))
	switch op {
	case isa.JEq:
		return dst == src
	case isa.JNe:
		return dst != src
	case isa.JGt:
		return dst > src
	case isa.JGe:
		return dst >= src
	case isa.JLt:
		return dst < src
	case isa.JLe:
		return dst <= src
	case isa.JSet:
		return dst&src != 0
	case isa.JSGt:
		return sdst > ssrc
	case isa.JSGe:
		return sdst >= ssrc
	case isa.JSLt:
		return sdst < ssrc
	case isa.JSLe:
		return sdst <= ssrc
	default:
		panic(fmt.Sprintf("no comparison %#x", uint8(op)))
	}
}

// aluOps are the operations with one or two operands.
var aluOps = []struct {
	name   string
	op     isa.ALUOp
	signed bool
}{
	{"add", isa.Add, false}, {"sub", isa.Sub, false}, {"mul", isa.Mul, false},
	{"div", isa.Div, false}, {"sdiv", isa.Div, true},
	{"mod", isa.Mod, false}, {"smod", isa.Mod, true},
	{"and", isa.And, false}, {"or", isa.Or, false}, {"xor", isa.Xor, false},
	{"lsh", isa.Lsh, false}, {"rsh", isa.Rsh, false}, {"arsh", isa.Arsh, false},
	{"neg", isa.Neg, false}, {"mov", isa.Mov, false},
}

var jmpOps = []struct {
	name string
	op   isa.JmpOp
}{
	{"eq", isa.JEq}, {"ne", isa.JNe}, {"gt", isa.JGt}, {"ge", isa.JGe}, {"lt", isa.JLt}, {"le", isa.JLe},
	{"sgt", isa.JSGt}, {"sge", isa.JSGe}, {"slt", isa.JSLt}, {"sle", isa.JSLe}, {"set", isa.JSet},
}

// bitsOf returns the width that w has in this build.
func bitsOf(w Width) uint {
	if w == W32 {
		return halfBits
	}
	return wordBits
}

func (w Width) String() string { return map[Width]string{W64: "whole", W32: "half"}[w] }
