package main

import "fmt"

// decodeVEX returns the instruction that code begins with, which has the VEX
// prefix of three bytes: the disassembler knows none of them and would take the
// prefix for one (SDM vol. 2, section 2.3.5, "The VEX Prefix"). With an operand in
// memory, the text is the bytes, with the mnemonic.
func decodeVEX(code []byte) (raw []byte, text string) {
	const opcode, modrm = 3, 4
	if len(code) <= modrm {
		return code, fmt.Sprintf(".byte % x", code)
	}
	n := modrm + 1
	mod, rm := code[modrm]>>6, code[modrm]&7
	base := rm
	if mod != 3 && rm == 4 { // a SIB byte
		if n < len(code) {
			base = code[n] & 7
		}
		n++
	}
	switch {
	case mod == 1:
		n++
	case mod == 2 || mod == 0 && base == 5:
		n += 4
	}
	x := vexOpcode{code[1] & 31, code[2] & 3, code[opcode]}
	if x.opcodes == map0F3A {
		n++ // an immediate
	}
	raw = code[:min(n, len(code))]
	text = fmt.Sprintf(".byte % x", raw)
	name := vexNames[x]
	if x == blsGroup {
		name = blsNames[code[modrm]>>3&7]
	}
	switch {
	case name == "" || n > len(code):
		return raw, text
	case mod != 3:
		return raw, text + "  # " + name
	}
	return raw, name + " " + vexOperands(x, raw)
}

// vexOperands returns the operands of x, all of them registers: R, X and B of
// the prefix are the inverted fourth bits of what ModRM holds, vvvv is inverted.
func vexOperands(x vexOpcode, raw []byte) string {
	names := &vexRegisters[raw[2]>>7]
	reg := names[raw[4]>>3&7|^raw[1]>>7&1<<3]
	rm := names[raw[4]&7|^raw[1]>>5&1<<3]
	v := names[^raw[2]>>3&15]
	switch {
	case x == blsGroup:
		return v + ", " + rm
	case x.opcodes == map0F3A:
		return fmt.Sprintf("%s, %s, %d", reg, rm, raw[5])
	case x.opcode == 0xf7 || x == vexOpcode{map0F38, prefixNone, 0xf5}:
		return reg + ", " + rm + ", " + v
	}
	return reg + ", " + v + ", " + rm
}

// vexRegisters are the names of registers of 32 and 64 bits.
var vexRegisters = [2][16]string{
	{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"},
	{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
}

// A vexOpcode is what the mnemonic depends on: the opcode map and the prefix as
// VEX numbers them.
type vexOpcode struct {
	opcodes byte
	prefix  byte
	opcode  byte
}

const (
	map0F38 = 2
	map0F3A = 3

	prefixNone = 0
	prefix66   = 1
	prefixF3   = 2
	prefixF2   = 3
)

// vexNames are the instructions of BMI1 and BMI2 (SDM vol. 2).
var vexNames = map[vexOpcode]string{
	{map0F38, prefixNone, 0xf2}: "andn",
	{map0F38, prefixNone, 0xf5}: "bzhi",
	{map0F38, prefixF3, 0xf5}:   "pext",
	{map0F38, prefixF2, 0xf5}:   "pdep",
	{map0F38, prefixF2, 0xf6}:   "mulx",
	{map0F38, prefixNone, 0xf7}: "bextr",
	{map0F38, prefix66, 0xf7}:   "shlx",
	{map0F38, prefixF3, 0xf7}:   "sarx",
	{map0F38, prefixF2, 0xf7}:   "shrx",
	{map0F3A, prefixF2, 0xf0}:   "rorx",
}

// blsNames are those of blsGroup, by the second operand of its ModRM byte.
var (
	blsGroup = vexOpcode{map0F38, prefixNone, 0xf3}
	blsNames = [8]string{1: "blsr", 2: "blsmsk", 3: "blsi"}
)
