package arm64

import "math/bits"

// BitMask returns how the logical instructions of width w encode the immediate
// v, as the fields N:immr:imms in bits 22 to 10; ok is false if they cannot. At
// W32 the upper half of v must be zero.
//
// What they can encode is an element of 2, 4, 8, 16, 32 or 64 bits, repeated to
// fill the register, that is a rotated run of ones, neither empty nor full (Arm
// ARM, DecodeBitMasks).
func BitMask(w Width, v uint64) (enc uint32, ok bool) {
	if w == W32 {
		if v>>32 != 0 {
			return 0, false
		}
		v |= v << 32
	}
	if v == 0 || v == ^uint64(0) {
		return 0, false
	}
	// The smallest element that v repeats.
	size := uint(64)
	for size > 2 {
		half := size / 2
		mask := uint64(1)<<half - 1
		if v&mask != v>>half&mask {
			break
		}
		size = half
	}
	mask := ^uint64(0) >> (64 - size)
	v &= mask
	// Rotate the element right until it starts with its run of ones at bit 0.
	ones := uint(bits.OnesCount64(v))
	var start uint // bit where the run begins
	if v&1 == 0 {
		start = uint(bits.TrailingZeros64(v))
	} else if gap := ^v & mask; gap&(gap+(gap&-gap))&mask == 0 {
		// The run wraps round, or starts at 0: it begins after the gap.
		start = uint(64-bits.LeadingZeros64(gap)) % size
	}
	if rotr(v, start, size) != uint64(1)<<ones-1 {
		return 0, false
	}
	immr := -uint32(start) & uint32(size-1)
	imms := uint32(ones-1) | ^uint32(size*2-1)&0x3f
	n := uint32(0)
	if size == 64 {
		n = 1
	}
	return n<<22 | immr<<16 | imms<<10, true
}

// rotr returns the low size bits of v rotated right by n.
func rotr(v uint64, n, size uint) uint64 {
	if n == 0 {
		return v
	}
	return (v>>n | v<<(size-n)) & (^uint64(0) >> (64 - size))
}

// IsAddImm reports whether the additive instructions can encode v: 12 bits, or
// 12 bits followed by 12 zeros.
func IsAddImm(v uint64) bool { return v < 1<<12 || v < 1<<24 && v&0xfff == 0 }

// MovI makes d = v, all 64 bits, in as few instructions as MOVZ or MOVN with
// MOVKs, or one ORR with a bitmask immediate, take.
func (a *Asm) MovI(d Reg, v uint64) {
	zeros, ones := 0, 0 // 16-bit parts that need no instruction after MOVZ, MOVN
	for i := 0; i < 64; i += 16 {
		switch uint16(v >> i) {
		case 0:
			zeros++
		case 0xffff:
			ones++
		}
	}
	if zeros < 3 && ones < 3 {
		if enc, ok := BitMask(W64, v); ok {
			a.insn(0xb2000000 | enc | ZR.n()<<5 | d.n())
			return
		}
		// A 32-bit MOVN clears the upper half.
		if v>>32 == 0 && (v>>16 == 0xffff || v&0xffff == 0xffff) {
			part := uint(0)
			if v&0xffff == 0xffff {
				part = 1
			}
			a.Movn(W32, d, ^uint16(v>>(16*part)), part)
			return
		}
		if enc, ok := BitMask(W32, v); ok {
			a.insn(0x32000000 | enc | ZR.n()<<5 | d.n())
			return
		}
	}
	skip := uint16(0) // what the parts are that need no instruction
	if ones > zeros {
		skip = 0xffff
	}
	first := true
	for i := uint(0); i < 4; i++ {
		part := uint16(v >> (16 * i))
		switch {
		case part == skip:
		case !first:
			a.Movk(W64, d, part, i)
		case skip == 0:
			a.Movz(W64, d, part, i)
			first = false
		default:
			a.Movn(W64, d, ^part, i)
			first = false
		}
	}
	if !first {
		return
	}
	if skip == 0 {
		a.Movz(W64, d, 0, 0)
	} else {
		a.Movn(W64, d, 0, 0)
	}
}
