package main

import "fmt"

// atomicARM64 returns the text of an instruction of LSE or LRCPC, which the
// disassembler does not know; "" if word is none (Arm ARM, "Atomic memory
// operations" and "Compare and swap").
func atomicARM64(word uint32) string {
	size, rs, rn, rt := word>>30, word>>16&31, word>>5&31, word&31
	var name string
	var acquire, release bool
	switch {
	case word&0x3f20fc00 == 0x3820c000 && word>>22&3 == 2 && rs == 31:
		return fmt.Sprintf("ldapr%s %s, [%s]", sizeARM64[size], registerARM64(size, rt), baseARM64(rn))
	case word&0x3f20fc00 == 0x38208000:
		name, acquire, release = "swp", word>>23&1 != 0, word>>22&1 != 0
	case word&0x3f20cc00 == 0x38200000:
		name = [4]string{"ldadd", "ldclr", "ldeor", "ldset"}[word>>12&3]
		acquire, release = word>>23&1 != 0, word>>22&1 != 0
	case word&0x3fa07c00 == 0x08a07c00:
		name, acquire, release = "cas", word>>22&1 != 0, word>>15&1 != 0
	default:
		return ""
	}
	if acquire {
		name += "a"
	}
	if release {
		name += "l"
	}
	return fmt.Sprintf("%s%s %s, %s, [%s]", name, sizeARM64[size], registerARM64(size, rs), registerARM64(size, rt), baseARM64(rn))
}

// sizeARM64 is the suffix of a mnemonic for accesses of 1, 2, 4 and 8 bytes.
var sizeARM64 = [4]string{"b", "h", "", ""}

// registerARM64 returns the name of register r in an access of the size that is
// encoded so.
func registerARM64(size, r uint32) string {
	prefix := "w"
	if size == 3 {
		prefix = "x"
	}
	if r == 31 {
		return prefix + "zr"
	}
	return fmt.Sprint(prefix, r)
}

// baseARM64 returns the name of r as the base of an address.
func baseARM64(r uint32) string {
	if r == 31 {
		return "sp"
	}
	return fmt.Sprint("x", r)
}
