package scalar

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// String returns s in the notation of the kernel's verifier log
// (kernel/bpf/log.c): a constant as its signed value, otherwise the bounds that
// are not the ends of the width, equal ones together, and the known bits:
//
//	scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))
func (s Scalar) String() string {
	if s.IsConst() {
		return signedText(s.full.smin)
	}
	type bound struct {
		name    string
		value   uint64
		signed  bool
		trivial bool // the end of the width, or already printed
	}
	// Lower and upper bounds alternate: one kind is every other element.
	bounds := []bound{
		{"smin", uint64(s.full.smin), true, s.full.smin == minSigned(wordBits)},
		{"smax", uint64(s.full.smax), true, s.full.smax == maxSigned(wordBits)},
		{"umin", s.full.umin, false, s.full.umin == 0},
		{"umax", s.full.umax, false, s.full.umax == wordMask},
		{"smin32", uint64(int64(s.smin32)), true, int64(s.smin32) == minSigned(halfBits)},
		{"smax32", uint64(int64(s.smax32)), true, int64(s.smax32) == maxSigned(halfBits)},
		{"umin32", uint64(s.umin32), false, s.umin32 == 0},
		{"umax32", uint64(s.umax32), false, s.umax32 == halfMask},
	}
	var items []string
	for i, b := range bounds {
		if b.trivial {
			continue
		}
		item := b.name + "="
		for j := i + 2; j < len(bounds); j += 2 {
			o := &bounds[j]
			negative := b.signed && int64(b.value) < 0
			if !o.trivial && o.value == b.value && (o.signed && int64(o.value) < 0) == negative {
				item += o.name + "="
				o.trivial = true
			}
		}
		if b.signed {
			item += signedText(int64(b.value))
		} else {
			item += unsignedText(b.value)
		}
		items = append(items, item)
	}
	if s.bits.Mask != wordMask {
		items = append(items, "var_off="+s.bits.String())
	}
	return "scalar(" + strings.Join(items, ",") + ")"
}

// Words returns s for a sentence: a constant, or the range that holds it, and
// in which steps:
//
//	0 to 2040 in steps of 8
//
// It says less than String.
func (s Scalar) Words() string {
	if s.IsConst() {
		return signedText(s.full.smin)
	}
	var t string
	switch low, high := s.full.smin, s.full.smax; {
	case low == minSigned(wordBits) && high == maxSigned(wordBits) && s.full.umin == 0 && s.full.umax == wordMask:
		t = "unbounded"
	case low == minSigned(wordBits) && high == maxSigned(wordBits):
		t = unsignedText(s.full.umin) + " to " + unsignedText(s.full.umax)
	case high == maxSigned(wordBits):
		t = signedText(low) + " or more"
	case low == minSigned(wordBits):
		t = signedText(high) + " or less"
	default:
		t = signedText(low) + " to " + signedText(high)
	}
	if n := bits.TrailingZeros64(s.bits.Value | s.bits.Mask); n > 0 {
		t += " in steps of " + unsignedText(1<<n)
	}
	return t
}

// Numbers that 16 bits hold are decimal, others hexadecimal.

func signedText(v int64) string {
	if v >= math.MinInt16 && v <= math.MaxInt16 {
		return fmt.Sprintf("%d", v)
	}
	return fmt.Sprintf("%#x", uint64(v))
}

func unsignedText(v uint64) string {
	if v <= math.MaxUint16 {
		return fmt.Sprintf("%d", v)
	}
	return fmt.Sprintf("%#x", v)
}
