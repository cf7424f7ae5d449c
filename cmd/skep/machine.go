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
