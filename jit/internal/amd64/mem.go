package amd64

import "fmt"

// noReg in a Mem stands for the absence of a base or an index. RSP cannot be an
// index, and its number in the index field means just that.
const noReg Reg = 0xff

// A Mem is a memory operand: base + index*scale + displacement. Build one with
// At, Indexed, Scaled or Absolute.
type Mem struct {
	disp  int32
	base  Reg
	index Reg
	shift uint8 // log2 of the scale
}

// At is the memory at base + disp.
func At(base Reg, disp int32) Mem { return Mem{disp: disp, base: base, index: noReg} }

// Indexed is the memory at base + index*scale + disp, where scale is 1, 2, 4 or
// 8 and index is not RSP.
func Indexed(base, index Reg, scale int, disp int32) Mem {
	if index == RSP {
		panic("BUG: RSP cannot be an index")
	}
	return Mem{disp: disp, base: base, index: index, shift: log2(scale)}
}

// Scaled is the memory at index*scale + disp, where scale is 1, 2, 4 or 8 and
// index is not RSP.
func Scaled(index Reg, scale int, disp int32) Mem { return Indexed(noReg, index, scale, disp) }

// Absolute is the memory at disp, sign-extended to 64 bits.
func Absolute(disp int32) Mem { return Mem{disp: disp, base: noReg, index: noReg} }

// Add returns the memory at m + n; the sum of the displacements must not
// overflow.
func (m Mem) Add(n int32) Mem {
	m.disp += n
	return m
}

func log2(scale int) uint8 {
	switch scale {
	case 1:
		return 0
	case 2:
		return 1
	case 4:
		return 2
	case 8:
		return 3
	}
	panic(fmt.Sprintf("BUG: scale %d", scale))
}
