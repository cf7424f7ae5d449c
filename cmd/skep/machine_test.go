package main

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDisasmMachine holds every instruction that the assemblers' tests have from
// llvm-mc against its disassembly: as long, and the same or another name for
// it, or bytes where the disassembler is known to have no name.
func TestDisasmMachine(t *testing.T) {
	for arch, decode := range machineArchs {
		files, err := filepath.Glob("../../jit/internal/" + arch + "/testdata/*.golden")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no instructions: %v", arch, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				code, want, ok := strings.Cut(strings.TrimSpace(line), "\t")
				if !ok {
					continue
				}
				raw, err := hex.DecodeString(code)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				m := decode(append(bytes.Clone(raw), 0xcc, 0xcc, 0xcc, 0xcc), 0x100)
				if !bytes.Equal(m.raw, raw) {
					t.Errorf("%s: %s: the disassembler takes % x for % x: %s", arch, want, raw, m.raw, m.text)
					continue
				}
				exact := isLSE.MatchString(want) || arch == "amd64" && raw[0] == 0xc4 && !strings.Contains(want, "[")
				if exact && m.text != want {
					t.Errorf("%s: % x is %s, got %s", arch, raw, want, m.text)
				}
				name, _, _ := strings.Cut(want, " ")
				if !names(arch, m.text, name) {
					t.Errorf("%s: % x is %s, got %s", arch, raw, want, m.text)
				}
			}
		}
	}
}

// isLSE matches what the disassembler of arm64 has from us, operands included.
var isLSE = regexp.MustCompile(`^(cas|swp|ldadd|ldclr|ldeor|ldset|ldapr)[alhb]* [wx]`)

// names reports whether text is an instruction called name.
func names(arch, text, name string) bool {
	got, rest, _ := strings.Cut(text, " ")
	switch got {
	case name:
		return true
	case ".byte":
		_, comment, _ := strings.Cut(rest, "  # ")
		return arch == "amd64" && comment == name
	}
	for _, other := range strings.Fields(aliases[name]) {
		if got == other {
			return true
		}
	}
	return false
}

// aliases are other names of the same encodings: those of conditions on amd64
// (SDM vol. 2, appendix B.1.4.7), and the aliases that the Arm ARM lists with
// each instruction.
var aliases = map[string]string{
	"cmova": "cmovnbe", "cmovae": "cmovnb", "cmove": "cmovz", "cmovg": "cmovnle", "cmovge": "cmovnl", "cmovne": "cmovnz",
	"seta": "setnbe", "setae": "setnb", "sete": "setz", "setg": "setnle", "setge": "setnl", "setne": "setnz",
	"movabs": "mov", "xchg": "nop data16",

	"add": "mov", "adds": "cmn", "ands": "tst", "bfi": "bfxil", "csdb": "hint", "lsl": "lsr", "movn": "mov", "movz": "mov",
	"orn": "mvn", "orr": "mov", "sub": "neg", "subs": "cmp negs",
	"sbfiz": "sbfx sxtb", "sbfx": "asr sxtb", "ubfiz": "lsl ubfx uxtb", "ubfx": "lsr uxtb",
}

// TestDisasmAnyBytes: whatever bytes there are, each is in one instruction.
func TestDisasmAnyBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		code := make([]byte, 1+r.IntN(16))
		for j := range code {
			code[j] = byte(r.Uint32())
		}
		if i%3 == 0 {
			code[0] = 0xc4 // VEX
		}
		for arch := range machineArchs {
			var all []byte
			for _, m := range disasmMachine(arch, code, 0) {
				if m.off != len(all) || m.text == "" {
					t.Fatalf("%s: % x: %+v at %d", arch, code, m, len(all))
				}
				all = append(all, m.raw...)
			}
			if !bytes.Equal(all, code) {
				t.Fatalf("%s: % x became % x", arch, code, all)
			}
		}
	}
}

// TestDisasmBranches checks where branches say that they go, forwards and back,
// and that a cut instruction is bytes.
func TestDisasmBranches(t *testing.T) {
	for _, tc := range []struct {
		arch, code string
		off        int
		text       string
		target     int
	}{
		{"amd64", "eb05", 0, "jmp 0x7", 7},                      // llvm-mc: jmp .+7
		{"amd64", "7512", 0x56, "jnz 0x6a", 0x6a},               // jne .+20
		{"amd64", "e9fbffffff", 0x100, "jmp 0x100", 0x100},      // jmp .
		{"amd64", "bf02000000", 1, "mov edi, 0x2", -1},          // not the address 2
		{"amd64", "c4e2", 0, ".byte c4 e2", -1},                 // cut
		{"amd64", "0f87", 0, ".byte 0f 87", -1},                 // cut
		{"arm64", "04000014", 0x20, "b 0x30", 0x30},             // b .+16
		{"arm64", "e0ffff54", 0x20, "b.eq 0x1c", 0x1c},          // b.eq .-4
		{"arm64", "2000f8b7", 0x20, "tbnz x0, #63, 0x24", 0x24}, // tbnz x0, #63, .+4
		{"arm64", "40ffffb4", 0x100, "cbz x0, 0xe8", 0xe8},      // cbz x0, .-24
		{"arm64", "000000", 0, ".byte 00 00 00", -1},            // cut
		{"arm64", "ffffff1f", 0, ".word 0x1fffffff", -1},        // llvm-mc: invalid
		{"arm64", "2000e0f8", 0, "ldaddal x0, x0, [x1]", -1},    // llvm-mc: ldaddal x0, x0, [x1]
	} {
		raw, err := hex.DecodeString(tc.code)
		if err != nil {
			t.Fatal(err)
		}
		if m := machineArchs[tc.arch](raw, tc.off); m.text != tc.text || m.target != tc.target {
			t.Errorf("%s %s at %#x: %q to %#x, want %q to %#x", tc.arch, tc.code, tc.off, m.text, m.target, tc.text, tc.target)
		}
	}
}
