package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"
)

// A machineInsn is one instruction of a host.
type machineInsn struct {
	off    int // from the start of the code
	raw    []byte
	text   string
	target int // the offset that it branches to; -1: none
}

// machineArchs says how to take the next instruction from code, which is not
// empty and lies at off. What the disassembler does not know is given as bytes.
var machineArchs = map[string]func(code []byte, off int) machineInsn{
	"amd64": decodeAMD64,
	"arm64": decodeARM64,
}

// disasmMachine returns the instructions of code, which lies at off.
func disasmMachine(arch string, code []byte, off int) []machineInsn {
	var all []machineInsn
	for decode := machineArchs[arch]; len(code) > 0; {
		m := decode(code, off)
		all = append(all, m)
		code, off = code[len(m.raw):], off+len(m.raw)
	}
	return all
}

// hex returns the instruction as manuals write it: bytes on amd64, a word on
// arm64.
func (m *machineInsn) hex(arch string) string {
	if arch == "arm64" && len(m.raw) == 4 {
		return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(m.raw))
	}
	return hex.EncodeToString(m.raw)
}

func decodeAMD64(code []byte, off int) machineInsn {
	m := machineInsn{off: off, target: -1}
	if code[0] == 0xc4 {
		m.raw, m.text = decodeVEX(code)
		return m
	}
	if bytes.HasPrefix(code, endbr64) {
		m.raw, m.text = code[:len(endbr64)], "endbr64"
		return m
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil || in.Op == 0 {
		m.raw, m.text = code, fmt.Sprintf(".byte % x", code)
		return m
	}
	m.raw = code[:in.Len]
	for _, a := range in.Args {
		if rel, ok := a.(x86asm.Rel); ok {
			m.target = off + in.Len + int(rel)
		}
	}
	const moved = 1 // since 0 would mean that the address is not known
	m.text = x86asm.IntelSyntax(in, uint64(off)+moved, func(addr uint64) (string, uint64) {
		if m.target >= 0 && addr == uint64(m.target)+moved {
			return fmt.Sprintf("%#x", m.target), addr
		}
		return "", 0
	})
	m.text = strings.Replace(m.text, ", ptr [", ", [", 1) // LEA's
	return m
}

// endbr64 is no prefix and no NOP to those who read code (SDM vol. 2: F3 0F 1E
// FA).
var endbr64 = []byte{0xf3, 0x0f, 0x1e, 0xfa}

// decodeVEX returns the instruction that code begins with, which has the VEX
// prefix of three bytes: the disassembler knows none of them and would take the
// prefix for one (SDM vol. 2, section 2.3.5, "The VEX Prefix"). The text is the
// bytes, with the mnemonic.
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
	if name != "" {
		text += "  # " + name
	}
	return raw, text
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

// relative is how the disassembler of arm64 writes a distance.
var relative = regexp.MustCompile(`\.\+0x[0-9a-f]+`)

func decodeARM64(code []byte, off int) machineInsn {
	m := machineInsn{off: off, target: -1}
	if len(code) < 4 {
		m.raw, m.text = code, fmt.Sprintf(".byte % x", code)
		return m
	}
	m.raw = code[:4]
	word := binary.LittleEndian.Uint32(m.raw)
	if m.text = atomicARM64(word); m.text != "" {
		return m
	}
	in, err := arm64asm.Decode(m.raw)
	if err != nil {
		m.text = fmt.Sprintf(".word 0x%08x", word)
		return m
	}
	m.text = strings.ToLower(arm64asm.GNUSyntax(in))
	for _, a := range in.Args {
		if rel, ok := a.(arm64asm.PCRel); ok {
			m.target = off + int(rel)
			m.text = relative.ReplaceAllLiteralString(m.text, fmt.Sprintf("%#x", m.target))
		}
	}
	return m
}
